// The parts that an overview and a source's view have in common.

import { byId, element, fill } from "./dom.js";
import { count, percent } from "./text.js";

// tiles: [name, value, more, isBad?]
export function showTiles(tiles) {
  fill(byId("tiles"), JSON.stringify(tiles), () =>
    tiles.map(([name, value, more, isBad]) => {
      const [figure, ...unit] = value.split(" ");
      const whole = element("b", {}, figure, unit.length > 0 ? element("small", {}, ` ${unit.join(" ")}`) : null);
      return element(
        "div",
        { class: isBad ? "tile bad" : "tile" },
        element("dt", {}, name),
        element("dd", {}, whole, element("span", {}, more)),
      );
    }),
  );
}

export function arrivalTiles({ totals }) {
  const share = totals.received > 0 ? `${percent(totals.rejected / totals.received)} of the received` : "broke a rule";
  const resolved = totals.rejected > totals.open ? `, ${count(totals.open)} still open` : "";
  return [
    ["Received", count(totals.received), "arrived in this time, and validated"],
    ["Processed", count(totals.processed), totals.flagged > 0 ? `${count(totals.flagged)} of them with warnings` : "became measurements"],
    ["Rejected", count(totals.rejected), share + resolved],
  ];
}

// A link for each rule, to the events that broke it; warnings have no such list.
export function showRules(kind, rules, linkTo) {
  const most = rules[0]?.[1];
  fill(byId(`${kind}-list`), JSON.stringify([rules, linkTo?.("")]), () => {
    if (rules.length === 0) return [element("p", { class: "note" }, "None in this time.")];
    const rows = rules.map(([rule, times]) => {
      const bar = element("div", { class: "bar", "aria-hidden": "true" });
      bar.style.width = `${Math.max((times / most) * 100, 1)}%`;
      const name = element("code", {}, rule);
      const label = linkTo ? element("a", { href: linkTo(rule) }, name) : name;
      return element("tr", {}, element("th", { scope: "row" }, label, bar), element("td", {}, count(times)));
    });
    return [element("table", { "aria-labelledby": `${kind}s-title` }, element("tbody", {}, ...rows))];
  });
}
