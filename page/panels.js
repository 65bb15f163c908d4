// The parts that an overview and a source's view have in common.

import { byId, element, fill } from "./dom.js";
import { age, count, counted, duration, instant, percent, rate, zone } from "./text.js";

const GAPS = 50; // the latest

// tiles: [name, value, more, isBad?]
export function showTiles(tiles) {
  fill(byId("tiles"), JSON.stringify(tiles), () =>
    tiles.map(([name, value, more, isBad]) => {
      const [figure, ...unit] = value.split(" ");
      const words = more.replace(/(\d) (?=[a-z%])/g, "$1\u00a0"); // a number stays with what it counts, at the end of a line too
      const whole = element("b", {}, figure, unit.length > 0 ? element("small", {}, ` ${unit.join(" ")}`) : null);
      return element(
        "div",
        { class: isBad ? "tile bad" : "tile" },
        element("dt", {}, name),
        element("dd", {}, whole, element("span", {}, words)),
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

// What a source measured, and how regularly. since: when it fell silent, if it has.
export function measuredTiles({ events, seconds, gaps }, since, now) {
  const often = events > 1 ? rate(events, seconds) : "–"; // one event has no rate
  const tiles = [["Rate", often, `${counted(events, "event")} measured in this time`]];
  if (since !== null) return [...tiles, ["Gaps", count(gaps.count + 1), `silent for ${age((now - since) * 1000)}, and still is`, true]];
  const usual = gaps.expected === null ? "none is too long" : `one each ${duration(gaps.expected * 1000)}, as usual`;
  return [...tiles, ["Gaps", count(gaps.count), gaps.count > 0 ? `the longest ${duration(gaps.longest * 1000)}` : usual]];
}

export function showGaps({ gaps }, since, now) {
  const rows = gaps.rows
    .slice(-GAPS)
    .reverse()
    .map((row) => [row.start, `${row.count > 1 ? `${count(row.count)}, up to ` : ""}${duration(row.longest * 1000)}`]);
  if (since !== null) rows.unshift([since, `${age((now - since) * 1000)} so far`]);
  fill(byId("gap-list"), JSON.stringify([rows, zone()]), () => {
    if (rows.length === 0) return [element("p", { class: "note" }, "None in this time.")];
    const lines = rows.map(([start, words]) =>
      element("tr", {}, element("th", { scope: "row" }, instant(start)), element("td", {}, words)),
    );
    return [element("table", { "aria-labelledby": "gaps-title" }, element("tbody", {}, ...lines))];
  });
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
