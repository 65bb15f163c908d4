// A source's data contract: by which rules its events are validated, and what is expected of it over time.

import { byId, element, fill } from "./dom.js";
import { count, duration, period } from "./text.js";

const EXPECTED = {
  interval_seconds: "From one event to the next",
  latency_seconds: "From measurement to arrival",
  unchanged_seconds: "The same samples, at most for",
  retention_seconds: "Kept for",
};

const BROKEN = {
  silent: "two events are missing",
  stuck: "its samples stay the same",
  rejected_share: "too many are rejected",
  latency: "they arrive late",
};

// hitsOf(id): how many events broke the rule in the time that is shown.
export function showContract(contract, source, hitsOf) {
  const hits = (contract?.rules ?? []).map(({ id }) => hitsOf(id));
  fill(byId("contract-text"), JSON.stringify([contract, source?.broken_expectations, hits]), () => {
    if (contract === null) return [element("p", { class: "note" }, "This source’s contract is not known yet.")];
    const { id, version, sources, rules, expectations } = contract;
    const expected = Object.entries(EXPECTED)
      .filter(([name]) => expectations[name] != null)
      .map(([name, title]) => [title, duration(expectations[name] * 1000)]);
    if (expectations.rejected_share != null)
      expected.push(["Of a day’s events, rejected at most", `${expectations.rejected_share * 100} %`]);
    const broken = source.broken_expectations.map((name) => BROKEN[name] ?? name);
    const pairs = [
      ["Contract", `${id}, version ${version}`],
      ["For", sources.length > 0 ? sources.join(", ") : "every source without one of its own"],
      ...expected,
      ["Broken now", broken.length > 0 ? broken.join(", ") : "nothing, as of the last scheduled check"],
    ];
    const facts = pairs.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
    const basic = element("p", { class: "note" }, "The basic rules apply as well: a time with its offset, and numbers in data.");
    if (rules.length === 0) return [element("dl", { class: "facts" }, ...facts), basic];
    const heads = ["Rule", "Kind", "Limits", "If broken", "In this time"].map((text) => element("th", { scope: "col" }, text));
    const rows = rules.map((rule, place) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, element("code", {}, rule.id), element("span", { class: "note" }, ` ${rule.description}`)),
        element("td", {}, rule.rule),
        element(
          "td",
          {},
          Object.entries(rule.arguments)
            .map(([name, value]) => `${name} ${typeof value === "string" ? period(value) : JSON.stringify(value)}`)
            .join(", "),
        ),
        element("td", {}, rule.severity === "error" ? "rejected" : "flagged"),
        element("td", {}, hits[place] === 0 ? "never" : `${count(hits[place])} ×`),
      ),
    );
    const table = element(
      "table",
      { class: "text" },
      element("caption", { class: "unseen" }, "Rules"),
      element("thead", {}, element("tr", {}, ...heads)),
      element("tbody", {}, ...rows),
    );
    return [element("dl", { class: "facts" }, ...facts), basic, element("div", { class: "scroll wide-table" }, table)];
  });
}
