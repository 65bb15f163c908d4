import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const range = await load("range.js");

const MINUTE = 60,
  HOUR = 3600,
  DAY = 86400;
const NOON = Date.parse("2026-03-04T12:00:00Z") / 1000;

test("the presets are as long as they say", () => {
  assert.deepEqual(
    range.PRESETS.map(({ id, seconds }) => [id, seconds]),
    [
      ["1h", 3600],
      ["6h", 21600],
      ["24h", 86400],
      ["7d", 604800],
      ["30d", 2592000],
    ],
  );
  assert.equal(range.presetOf(range.FIRST).seconds, 86400);
  assert.equal(range.presetOf("9y"), null);
});

test("buckets are as small as the range allows", () => {
  for (const [seconds, granularity, step] of [
    [MINUTE, "second", 1],
    [10 * MINUTE, "second", 1],
    [10 * MINUTE + 1, "minute", 60],
    [2 * HOUR, "minute", 60],
    [2 * HOUR + 1, "quarter_hour", 900],
    [3 * DAY, "quarter_hour", 900],
    [3 * DAY + 1, "hour", 3600],
    [31 * DAY, "hour", 3600],
    [31 * DAY + 1, "day", 86400],
    [1000 * DAY, "day", 86400],
  ]) {
    assert.equal(range.granularityOf(seconds), granularity);
    assert.equal(range.stepOf(granularity), step);
  }
});

test("a range grows to whole buckets", () => {
  const found = range.wholeBuckets({ from: NOON + 61, to: NOON + HOUR - 1 });
  assert.deepEqual(found, { from: NOON + 60, to: NOON + HOUR, granularity: "minute", step: 60 });
  const day = range.wholeBuckets({ from: NOON - DAY + 1, to: NOON });
  assert.deepEqual(day, { from: NOON - DAY, to: NOON, granularity: "quarter_hour", step: 900 });
});

test("the last so many seconds end now", () => {
  assert.deepEqual(range.lastOf(HOUR, NOON), { from: NOON - HOUR, to: NOON });
});

test("zooming keeps the point where it is", () => {
  const shown = { from: NOON, to: NOON + 4 * HOUR };
  assert.deepEqual(range.zoomed(shown, 0.5), { from: NOON + HOUR, to: NOON + 3 * HOUR });
  assert.deepEqual(range.zoomed(shown, 0.5, NOON), { from: NOON, to: NOON + 2 * HOUR });
  assert.deepEqual(range.zoomed(shown, 2, NOON + 4 * HOUR), { from: NOON - 4 * HOUR, to: NOON + 4 * HOUR });
});

test("zooming ends at five minutes and at a thousand days", () => {
  const near = range.zoomed({ from: NOON, to: NOON + 6 * MINUTE }, 0.01);
  assert.equal(near.to - near.from, 5 * MINUTE);
  const far = range.zoomed({ from: NOON, to: NOON + 600 * DAY }, 10);
  assert.equal(far.to - far.from, 1000 * DAY);
});

test("a chosen range is five minutes long at least, around its middle", () => {
  assert.deepEqual(range.between(NOON, NOON + HOUR), { from: NOON, to: NOON + HOUR });
  assert.deepEqual(range.between(NOON, NOON + 60), { from: NOON - 120, to: NOON + 180 });
});

test("moving is by a share of what is shown", () => {
  assert.deepEqual(range.moved({ from: NOON, to: NOON + HOUR }, -0.5), { from: NOON - 1800, to: NOON + 1800 });
  assert.deepEqual(range.moved({ from: NOON, to: NOON + HOUR }, 1), { from: NOON + HOUR, to: NOON + 2 * HOUR });
});

test("instants are ISO 8601", () => {
  assert.equal(range.iso(NOON), "2026-03-04T12:00:00.000Z");
});

test("what arrived in a few buckets is looked at by shorter ones, until now", () => {
  const day = range.wholeBuckets({ from: NOON - DAY, to: NOON + 5 * MINUTE });
  const times = [...new Array(97)].map((_, at) => day.from + at * 15 * MINUTE);
  const within = (places, events) => times.map((_, at) => (places.includes(at) ? events : 0));
  const closer = (places, now = NOON + 90, events = 9) => range.closer(times, within(places, events), day, now);
  assert.deepEqual(closer([96]), { from: NOON, to: NOON + 90, granularity: "second", step: 1 });
  assert.deepEqual(closer([95]), { from: NOON - 15 * MINUTE, to: NOON, granularity: "minute", step: MINUTE });
  assert.deepEqual(closer([90, 91]), { from: NOON - 90 * MINUTE, to: NOON - HOUR, granularity: "minute", step: MINUTE });
  assert.equal(closer([]), null);
  assert.equal(closer([96], NOON + 90, 7), null, "too few events for a chart");
  assert.notEqual(closer([92, 96], NOON + 90, 4), null);
  assert.equal(closer([89, 90, 91, 92, 93, 94, 95, 96]), null, "enough buckets");
  assert.equal(closer([10, 90]), null, "too long for shorter ones");
  const minutes = range.wholeBuckets({ from: NOON - HOUR, to: NOON });
  assert.deepEqual(range.closer([NOON - 5 * MINUTE], [9], minutes, NOON)?.granularity, "second");
  const seconds = range.wholeBuckets({ from: NOON - MINUTE, to: NOON });
  assert.equal(range.closer([NOON - MINUTE], [9], seconds, NOON), null, "there are none");
});
