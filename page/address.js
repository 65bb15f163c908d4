// What is shown, as the part of the address behind #, which no server is sent: a link, Back and reload bring it again.

import { between, FIRST, iso, presetOf } from "./range.js";
import { isZone, LOCAL } from "./text.js";

export const TABS = ["overview", "rejected", "contract"];

// view: {source, tab, preset, chosen: {from, to} | null, zone, rule, filter}; what is wrong in an address counts as missing.
export function viewOf(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const source = given.get("source");
  const tab = TABS.includes(given.get("tab")) ? given.get("tab") : TABS[0];
  const from = Date.parse(given.get("from")) / 1000;
  const to = Date.parse(given.get("to")) / 1000;
  return {
    source,
    tab: tab === "contract" && source === null ? TABS[0] : tab,
    preset: presetOf(given.get("range"))?.id ?? FIRST,
    chosen: from < to ? between(from, to) : null,
    zone: isZone(given.get("zone") ?? "") ? given.get("zone") : LOCAL,
    rule: given.get("rule"),
    filter: given.get("filter") ?? "",
  };
}

export function hashOf({ source, tab, preset, chosen, zone, rule, filter }) {
  const parts = new URLSearchParams();
  if (source !== null) parts.set("source", source);
  if (tab !== TABS[0]) parts.set("tab", tab);
  if (chosen === null) parts.set("range", preset);
  else {
    parts.set("from", iso(chosen.from));
    parts.set("to", iso(chosen.to));
  }
  // Always, so that who follows a link sees the clock of who sent it.
  parts.set("zone", zone);
  if (rule !== null) parts.set("rule", rule);
  if (filter !== "") parts.set("filter", filter);
  return `#${parts}`;
}
