import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { arrived, hitOf, measured } = await load("figures.js");

const START = Date.parse("2026-03-04T12:00:00Z") / 1000;
const MINUTE = 60;
const iso = (seconds) => new Date(seconds * 1000).toISOString();

// Ten minutes by the minute, long over.
const RANGE = { from: START, to: START + 10 * MINUTE, granularity: "minute", step: MINUTE };
const LATER = START + 3600;

const bucket = (number, others) => ({ start: iso(START + number * MINUTE), end: iso(START + (number + 1) * MINUTE), ...others });
const NO_GAPS = { count: 0, longest_seconds: null, expected_seconds: 60 };
const kpi = (number, events, mean = 1, std_dev = 0.5, gaps = NO_GAPS) => bucket(number, { events, mean, std_dev, gaps });
const NO_LATENCY = { mean: null, p50: null, p95: null, max: null };
const quality = (number, processed, rejected, others = {}) =>
  bucket(number, {
    received: processed + rejected,
    processed,
    rejected,
    flagged: 0,
    resolved: 0,
    open: rejected,
    rejected_by_rule: {},
    flagged_by_rule: {},
    rules: [],
    latency_ms: NO_LATENCY,
    ...others,
  });

const empty = (length, value) => new Array(length).fill(value);
const at = (length, places, other) => empty(length, other).map((value, place) => places[place] ?? value);

test("a range without events is whole and empty", () => {
  const times = [...empty(10)].map((_, number) => START + number * MINUTE);
  assert.deepEqual(measured([], RANGE, LATER), {
    times,
    mean: empty(10, null),
    low: empty(10, null),
    high: empty(10, null),
    events: 0,
    seconds: 600,
    gaps: { count: 0, longest: null, expected: null, rows: [] },
  });
  assert.deepEqual(arrived([], RANGE), {
    times,
    received: empty(10, 0),
    clean: empty(10, 0),
    flagged: empty(10, 0),
    rejected: empty(10, 0),
    latency: { p50: empty(10, null), p95: empty(10, null), mean: null, max: null },
    totals: { received: 0, processed: 0, rejected: 0, flagged: 0, resolved: 0, open: 0 },
    hits: new Map(),
    rules: [],
    warnings: [],
  });
});

test("a source has its mean and its band where it was measured, and nothing elsewhere", () => {
  const found = measured([kpi(2, 30, 5, 2), kpi(4, 6, 7, 1), kpi(5, 0, null, null)], RANGE, LATER);
  assert.equal(found.events, 36);
  assert.deepEqual(found.mean, at(10, { 2: 5, 4: 7 }, null));
  assert.deepEqual(found.low, at(10, { 2: 3, 4: 6 }, null));
  assert.deepEqual(found.high, at(10, { 2: 7, 4: 8 }, null));
});

test("a mean or a band that is not a number is nothing", () => {
  const found = measured([kpi(0, 1, null, null), kpi(1, 1, 1e308, 1e308)], RANGE, LATER);
  assert.deepEqual([found.mean[0], found.mean[1], found.low[1], found.high[1]], [null, 1e308, 0, null]);
});

test("the time that has passed is what a rate is of", () => {
  assert.equal(measured([], RANGE, LATER).seconds, 600);
  assert.equal(measured([], RANGE, START + 300).seconds, 300);
  assert.equal(measured([], RANGE, START - 60).seconds, 1);
});

test("gaps are counted, and listed by the bucket that they end in", () => {
  const gap = (count, longest) => ({ count, longest_seconds: longest, expected_seconds: 60 });
  const { gaps } = measured([kpi(0, 1), kpi(3, 1, 1, 0, gap(1, 180)), kpi(9, 2, 1, 0, gap(2, 120))], RANGE, LATER);
  assert.deepEqual(gaps, {
    count: 3,
    longest: 180,
    expected: 60,
    rows: [
      { start: START + 180, count: 1, longest: 180 },
      { start: START + 540, count: 2, longest: 120 },
    ],
  });
});

test("arrivals are by their outcome", () => {
  const found = arrived([quality(1, 13, 1, { flagged: 3, resolved: 1, open: 0 }), quality(2, 0, 4)], RANGE);
  assert.deepEqual(found.clean, at(10, { 1: 10 }, 0));
  assert.deepEqual(found.flagged, at(10, { 1: 3 }, 0));
  assert.deepEqual(found.rejected, at(10, { 1: 1, 2: 4 }, 0));
  assert.deepEqual(found.totals, { received: 18, processed: 13, rejected: 5, flagged: 3, resolved: 1, open: 4 });
});

test("latency is the mean of events, not of buckets, and the longest of all", () => {
  const latency = (mean, max) => ({ latency_ms: { mean, p50: mean - 1, p95: mean + 1, max } });
  const rows = [quality(1, 1, 0, latency(100, 900)), quality(2, 9, 0, latency(200, 300)), quality(3, 5, 0)];
  const { latency: found } = arrived(rows, RANGE);
  assert.deepEqual(found.p50, at(10, { 1: 99, 2: 199 }, null));
  assert.deepEqual(found.p95, at(10, { 1: 101, 2: 201 }, null));
  assert.deepEqual([found.mean, found.max], [190, 900]);
});

test("rules and warnings are added up apart, the most frequent first", () => {
  const rows = [
    quality(0, 2, 3, { rejected_by_rule: { "data.empty": 1, b: 2 }, flagged_by_rule: { ahead: 2 } }),
    quality(5, 0, 4, { rejected_by_rule: { "data.empty": 3, a: 2 } }),
  ];
  const { rules, warnings } = arrived(rows, RANGE);
  assert.deepEqual(rules, [
    ["data.empty", 4],
    ["a", 2],
    ["b", 2],
  ]);
  assert.deepEqual(warnings, [["ahead", 2]]);
});

test("the rules of contracts are counted one by one, and the basic ones not among them", () => {
  const hit = (contract, rule, events) => ({ code: "data.out_of_range", contract, rule, events, severity: "error" });
  const rows = [
    quality(0, 2, 3, { rules: [hit("weather", "cold", 2), hit(null, null, 1)] }),
    quality(5, 0, 4, { rules: [hit("weather", "cold", 3), hit("weather", "hot", 1), hit("default", "hot", 4)] }),
  ];
  const { hits } = arrived(rows, RANGE);
  assert.deepEqual([hits.size, hits.get(hitOf("weather", "cold")), hits.get(hitOf("weather", "hot"))], [3, 5, 1]);
});

test("days begin where the rows say, which is where the time zone's do", () => {
  const day = { from: START, to: START + 3 * 86400, granularity: "day", step: 86400 };
  const rows = [kpi(0, 1), { ...kpi(0, 1), start: iso(START + 90000) }];
  assert.deepEqual(measured(rows, day, LATER).times, [START, START + 90000]);
});
