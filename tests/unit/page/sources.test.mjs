import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { arranged, silentSince, sparkline, summary } = await load("sources.js");

const source = (name, state = "ok", rejected_share = 0, hour = 12, received = 100) => ({
  source: name,
  state,
  last_measured_at: hour === null ? null : `2026-03-04T${hour}:00:00Z`,
  last_day: { received, rejected_share },
  stuck_since: null,
  broken_expectations: [],
});
const names = (sources) => sources.map((each) => each.source);

test("silent sources are on top, then the late, then those with many rejected", () => {
  const all = [source("a"), source("b", "ok", 0.2), source("c", "late"), source("d", "silent", 0, 10), source("e", "silent", 0, null)];
  assert.deepEqual(names(arranged(all, "", "state")), ["e", "d", "c", "b", "a"]);
  assert.deepEqual(names(arranged(all, "", "state", true)), ["a", "b", "c", "d", "e"]);
});

test("a source that sends the same for too long is stuck, and bad is what its contract says", () => {
  const stuck = { ...source("a"), stuck_since: "2026-03-04T09:00:00Z" };
  const bad = { ...source("b"), broken_expectations: ["rejected_share"] };
  assert.deepEqual(names(arranged([source("0"), bad, source("c", "late"), stuck, source("d", "silent")], "", "state")), [
    "d",
    "a",
    "c",
    "b",
    "0",
  ]);
  assert.deepEqual(names(arranged([source("0"), stuck], "stuck", "state")), ["a"]);
  assert.deepEqual(summary([stuck, bad]), { ok: 1, late: 0, silent: 0, stuck: 1, unnamed: 0, bad: 1 });
});

test("rejected events without a source are no source that is silent", () => {
  const unnamed = source("", "unnamed", 1, null);
  assert.deepEqual(names(arranged([source("a"), unnamed, source("b", "late"), source("c", "silent")], "", "state")), ["c", "b", "", "a"]);
  assert.equal(summary([unnamed, source("c", "silent")]).silent, 1);
});

test("a source is silent since its last event, if that is before the end of what is shown", () => {
  const noon = Date.parse("2026-03-04T12:00:00Z") / 1000;
  assert.equal(silentSince(source("a", "silent"), { to: noon + 60 }), noon);
  assert.equal(silentSince(source("a", "silent"), { to: noon }), null);
  assert.equal(silentSince(source("a", "late"), { to: noon + 60 }), null);
  assert.equal(silentSince(source("a", "silent", 1, null), { to: noon }), null);
  assert.equal(silentSince(null, { to: noon }), null);
});

test("names are in the order of their numbers", () => {
  assert.deepEqual(names(arranged([source("s10"), source("s9"), source("S1")], "", "source")), ["S1", "s9", "s10"]);
});

test("other orders", () => {
  const all = [source("a", "ok", 0.1, 12, 5), source("b", "ok", 0.3, 11, 7), source("c", "ok", null, null, 0)];
  assert.deepEqual(names(arranged(all, "", "seen")), ["c", "b", "a"]);
  assert.deepEqual(names(arranged(all, "", "received")), ["b", "a", "c"]);
  assert.deepEqual(names(arranged(all, "", "rejected")), ["b", "a", "c"]);
});

test("a filter is words of the name, in any case, or a state", () => {
  const all = [source("hall-1/Thermometer"), source("hall-2/thermometer", "silent"), source("dock/silent-valve")];
  assert.deepEqual(names(arranged(all, "thermo HALL", "source")), ["hall-1/Thermometer", "hall-2/thermometer"]);
  assert.deepEqual(names(arranged(all, "silent", "source")), ["dock/silent-valve", "hall-2/thermometer"]);
  assert.deepEqual(names(arranged(all, "cellar", "source")), []);
  assert.deepEqual(arranged(all, "  ", "source").length, 3);
});

test("what was given stays in its order", () => {
  const all = [source("b"), source("a")];
  arranged(all, "", "source");
  assert.deepEqual(names(all), ["b", "a"]);
});

test("states are counted, and those with many rejected", () => {
  assert.deepEqual(summary([source("a"), source("b", "late", 0.06), source("c", "silent", null)]), {
    ok: 1,
    late: 1,
    silent: 1,
    stuck: 0,
    unnamed: 0,
    bad: 1,
  });
});

test("a trend is a line with gaps; a lone value is a dash, and a flat line is in the middle", () => {
  assert.equal(sparkline([1, 3, null, 2, null, 1, 2], 60, 10), "M0 10L10 0M30 5h1M50 10L60 5");
  assert.equal(sparkline([5, 5], 60, 10), "M0 5L60 5");
  assert.equal(sparkline([null, null], 60, 10), "");
  assert.equal(sparkline([], 60, 10), "");
  assert.equal(sparkline([-1e308, 1e308], 60, 10), "M0 5L60 5");
});
