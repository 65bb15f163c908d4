import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { figures, mostAndOthers } = await load("figures.js");

const START = Date.parse("2026-03-04T12:00:00Z") / 1000;
const MINUTE = 60;
const iso = (seconds) => new Date(seconds * 1000).toISOString();

// Ten minutes by the minute, long over.
const RANGE = { from: START, to: START + 10 * MINUTE, granularity: "minute", step: MINUTE };
const LATER = START + 3600;

const row = (bucket, source, others = {}) => ({
  start: iso(START + bucket * MINUTE), end: iso(START + (bucket + 1) * MINUTE), source,
  events: 0, received: 0, processed: 0, rejected: 0, flagged: 0, rejected_by_rule: {}, flagged_by_rule: {}, latency_ms: null,
  mean: null, std_dev: null, ...others,
});
const measured = (bucket, source, events, mean = 1, std_dev = 0.5) => row(bucket, source, { events, mean, std_dev });
const arrived = (bucket, source, processed, rejected, latency_ms = null, rejected_by_rule = {}) =>
  row(bucket, source, { received: processed + rejected, processed, rejected, latency_ms, rejected_by_rule });

const empty = (length, value) => new Array(length).fill(value);
const at = (length, places, other) => empty(length, other).map((value, place) => places[place] ?? value);

test("a range without events is shown whole and empty", () => {
  const found = figures([], RANGE, LATER);
  assert.deepEqual(found.times, [...empty(10)].map((_, bucket) => START + bucket * MINUTE));
  assert.deepEqual(found.sources, []);
  assert.deepEqual(found.rules, []);
  assert.deepEqual(found.warnings, []);
  assert.deepEqual(found.arrived, { processed: empty(10, 0), rejected: empty(10, 0) });
  assert.deepEqual(found.latency, { mean: empty(10, null), max: empty(10, null), of: empty(10, 0) });
  assert.deepEqual(found.totals, {
    events: 0, received: 0, processed: 0, rejected: 0, flagged: 0, latencyMean: null, latencyMax: null, perMinute: 0,
  });
});

test("each source has its rate a minute, its mean and its band where it was measured, and gaps elsewhere", () => {
  const { sources } = figures([measured(2, "a", 30, 5, 2), measured(4, "a", 6, 7, 1)], RANGE, LATER);
  assert.deepEqual(sources, [{
    name: "a", events: 36,
    rate: at(10, { 2: 30, 4: 6 }, 0),
    mean: at(10, { 2: 5, 4: 7 }, null),
    low: at(10, { 2: 3, 4: 6 }, null),
    high: at(10, { 2: 7, 4: 8 }, null),
  }]);
});

test("a rate is a minute's whatever the bucket", () => {
  const hour = { from: START, to: START + 3600, granularity: "hour", step: 3600 };
  const [source] = figures([{ ...measured(0, "a", 120), end: iso(START + 3600) }], hour, LATER + 3600).sources;
  assert.deepEqual(source.rate, [2]);
});

test("of the bucket that is under way, the minutes that have passed count, and one at least", () => {
  const hour = { from: START, to: START + 3600, granularity: "hour", step: 3600 };
  const rows = [{ ...measured(0, "a", 120), end: iso(START + 3600) }];
  const rate = (passed) => figures(rows, hour, START + passed).sources[0].rate[0];
  assert.equal(rate(30 * MINUTE), 4);
  assert.equal(rate(2 * MINUTE), 60);
  assert.equal(rate(10), 120);
  assert.equal(rate(3 * 3600), 2);
  // A bucket of the future, by a clock that is behind: all of it.
  assert.equal(rate(-MINUTE), 2);
});

test("sources are in order of their events, then of their names", () => {
  const rows = [measured(0, "few", 1), measured(0, "b", 5), measured(0, "a", 5), measured(1, "many", 9)];
  assert.deepEqual(figures(rows, RANGE, LATER).sources.map(({ name }) => name), ["many", "a", "b", "few"]);
});

test("a source of which nothing was measured is none", () => {
  assert.deepEqual(figures([arrived(0, "a", 0, 3)], RANGE, LATER).sources, []);
});

test("a mean that is no number is a gap", () => {
  const [source] = figures([measured(0, "a", 1, null, null), measured(1, "a", 1, 1e308, 1e308)], RANGE, LATER).sources;
  assert.deepEqual([source.mean[1], source.low[1], source.high[1]], [1e308, 0, null]);
});

test("arrivals of all sources are added up by bucket", () => {
  const rows = [arrived(1, "a", 3, 1), arrived(1, "b", 10, 0), arrived(2, "a", 0, 4)];
  const found = figures(rows, RANGE, LATER);
  assert.deepEqual(found.arrived.processed, at(10, { 1: 13 }, 0));
  assert.deepEqual(found.arrived.rejected, at(10, { 1: 1, 2: 4 }, 0));
  const { received, processed, rejected } = found.totals;
  assert.deepEqual({ received, processed, rejected }, { received: 18, processed: 13, rejected: 5 });
});

test("latency is the mean of events, not of sources, and the longest of all", () => {
  const latency = (mean, max) => ({ mean, max });
  const rows = [
    arrived(1, "a", 1, 0, latency(100, 900)), arrived(1, "b", 9, 0, latency(200, 300)),
    arrived(2, "a", 10, 0, latency(400, 500)), arrived(3, "a", 5, 0, null), arrived(4, "a", 5, 0, latency(null, null)),
  ];
  const { latency: shown, totals } = figures(rows, RANGE, LATER);
  assert.deepEqual(shown.mean, at(10, { 1: 190, 2: 400 }, null));
  assert.deepEqual(shown.max, at(10, { 1: 900, 2: 500 }, null));
  assert.equal(totals.latencyMean, 295);
  assert.equal(totals.latencyMax, 900);
});

test("warnings are added up beside the rules that reject", () => {
  const flagged_by_rule = { "value.sentinel": 1, "time_stamp.ahead": 2 };
  const rows = [
    row(0, "a", { flagged: 2, flagged_by_rule, rejected_by_rule: { "value.sentinel": 5 } }),
    row(1, "b", { flagged: 4, flagged_by_rule: { "value.sentinel": 4 } }),
  ];
  const found = figures(rows, RANGE, LATER);
  assert.deepEqual(found.warnings, [["value.sentinel", 5], ["time_stamp.ahead", 2]]);
  assert.deepEqual(found.rules, [["value.sentinel", 5]]);
  assert.equal(found.totals.flagged, 6);
});

test("rules are added up, the most frequent first", () => {
  const rows = [
    arrived(0, "a", 0, 3, null, { "data.empty": 1, "time_stamp.no_timezone": 2 }),
    arrived(5, "b", 0, 4, null, { "data.empty": 3, "data.not_array": 2 }),
  ];
  assert.deepEqual(figures(rows, RANGE, LATER).rules, [
    ["data.empty", 4], ["data.not_array", 2], ["time_stamp.no_timezone", 2],
  ]);
});

test("events a minute are of the time that has passed", () => {
  const rows = [measured(0, "a", 50), measured(4, "b", 50)];
  assert.equal(figures(rows, RANGE, LATER).totals.perMinute, 10);
  assert.equal(figures(rows, RANGE, START + 5 * MINUTE).totals.perMinute, 20);
  assert.equal(figures(rows, RANGE, START + 1).totals.perMinute, 100);
});

test("days begin where the rows say, which is where the time zone's do", () => {
  const day = { from: START, to: START + 3 * 86400, granularity: "day", step: 86400 };
  const rows = [measured(0, "a", 1), { ...measured(0, "a", 1), start: iso(START + 90000), end: iso(START + 176400) }];
  assert.deepEqual(figures(rows, day, START + 10 * 86400).times, [START, START + 90000]);
});

test("the most frequent sources are by themselves, and the others are added up", () => {
  const source = (name, ...rate) => ({ name, rate });
  const all = [source("a", 5, 5), source("b", 4, 0), source("c", 1, 2), source("d", 1, 0)];
  assert.deepEqual(mostAndOthers(all, 4), all);
  assert.deepEqual(mostAndOthers(all, 3), [all[0], all[1], { name: null, label: "2 others", rate: [2, 2] }]);
});
