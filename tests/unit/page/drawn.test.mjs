import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { areaOf, besideSpikes, extentOf, filled, lineOf, scaleOf, spikesOf, stepsOf, sumsOf, ticksOf, timeTicksOf, topOf } =
  await load("drawn.js");

test("buckets with anything are counted", () => {
  assert.equal(filled([{ values: [0, 1, null, 2] }, { values: [0, 0, 3, 1] }]), 3);
  assert.equal(filled([{ values: [] }]), 0);
});

test("the whole of a bucket is what all lines have of it", () => {
  assert.deepEqual(sumsOf([{ values: [1, null, 3] }, { values: [4, null, 0] }]), [5, 0, 3]);
});

test("an axis ends below a spike that would flatten the rest", () => {
  assert.equal(topOf([10, 12, 9]), 12);
  assert.equal(topOf([10, 60, 9]), 60);
  assert.equal(topOf([10, 1000, 9]), 16);
  assert.equal(topOf([1000, 10, 2000, 9, 8, 7, 0]), 16);
  assert.equal(topOf([1000, 10, 2000, 9]), 2000);
  assert.equal(topOf([1000]), 1000);
  assert.equal(topOf([]), 0);
});

test("an axis begins at zero, except of a band, and ends with some room", () => {
  assert.deepEqual(extentOf("lines", [{ values: [null, 50] }, { values: [100, null] }]), [0, 108]);
  assert.deepEqual(extentOf("stack", [{ values: [10, 1000, 9] }]), [0, 16 * 1.08]);
  assert.deepEqual(extentOf("lines", [{ values: [null] }]), [0, 1]);
  const band = (low, values, high) => extentOf("band", [{ low, values, high }]).map((value) => Math.round(value * 100) / 100);
  assert.deepEqual(band([10, null], [15, null], [20, null]), [9.2, 20.8]);
  assert.deepEqual(band([-5], [-5], [-5]), [-5.25, -4.75]);
  assert.deepEqual(band([0], [0], [0]), [-1, 1]);
  assert.deepEqual(band([null], [null], [null]), [0, 1]);
});

test("a scale leads from values to tenths of pixels, and is as wide as numbers are", () => {
  const y = scaleOf(10, 40, 200, 0);
  assert.deepEqual([y(10), y(40), y(20), y(30.01)], [200, 0, 133.3, 66.6]);
  const widest = scaleOf(-1.7e308, 1.7e308, 0, 100);
  assert.deepEqual([widest(-1.7e308), widest(0), widest(1.7e308)], [0, 50, 100]);
});

test("ticks are round values within the axis, about as many as asked for", () => {
  assert.deepEqual(ticksOf(0, 108, 5), [0, 50, 100]);
  assert.deepEqual(ticksOf(5.7, 6.8, 5), [6, 6.5]);
  assert.deepEqual(ticksOf(-0.31, 0.3, 4), [-0.2, 0, 0.2]);
  assert.deepEqual(ticksOf(0, 1080, 5), [0, 500, 1000]);
  assert.deepEqual(ticksOf(-1.7e308, 1.7e308, 5), []);
});

test("ticks of time are round on the clock that is shown", () => {
  const noon = Date.parse("2026-03-04T12:00:00Z") / 1000;
  const utc = () => 0;
  const found = (from, to, number, offsetAt = utc) => {
    const { ticks, step } = timeTicksOf(from, to, number, offsetAt);
    return [step, ticks.map((at) => new Date((at + offsetAt(at)) * 1000).toISOString().slice(5, 19))];
  };
  assert.deepEqual(found(noon + 7, noon + 67, 6), [
    10,
    ["10", "20", "30", "40", "50"].map((at) => `03-04T12:00:${at}`).concat("03-04T12:01:00"),
  ]);
  assert.deepEqual(found(noon, noon + 86400, 5), [
    21600,
    ["03-04T12:00:00", "03-04T18:00:00", "03-05T00:00:00", "03-05T06:00:00", "03-05T12:00:00"],
  ]);
  assert.deepEqual(
    found(noon, noon + 3 * 86400, 4, () => 20_700),
    [86400, ["03-05T00:00:00", "03-06T00:00:00", "03-07T00:00:00"]],
  );
  // Berlin's clock is set forward at 01:00 UTC: midnight is midnight before and after.
  const spring = Date.parse("2026-03-29T01:00:00Z") / 1000;
  const berlin = (at) => (at < spring ? 3600 : 7200);
  assert.deepEqual(found(spring - 86400, spring + 86400, 3, berlin), [86400, ["03-29T00:00:00", "03-30T00:00:00"]]);
  const night = ["00", "01", "03", "04", "05"].map((hour) => `03-29T${hour}:00:00`);
  assert.deepEqual(found(spring - 2 * 3600, spring + 2 * 3600, 4, berlin), [3600, night]);
  const bogota = ["07", "08", "09"].map((hour) => `03-04T${hour}:00:00`);
  assert.deepEqual(
    found(noon, noon + 2 * 3600, 2, () => -18_000),
    [3600, bogota],
  );
  assert.equal(timeTicksOf(noon, noon + 5000 * 86400, 2, utc).step, 200 * 86400);
});

test("a stack is rectangles without seams, the first at the bottom; a sum above the axis keeps its shares", () => {
  const y = (value) => 100 - value;
  const lines = [{ values: [10, 0, 150] }, { values: [20, null, 50] }];
  assert.deepEqual(stepsOf(lines, [0, 5, 10, 15], y, 100), ["M0 100V90H5V100ZM10 100V25H15V100Z", "M0 90V70H5V90ZM10 25V0H15V25Z"]);
});

test("sums above an axis that are near each other have one label, of the highest", () => {
  const edges = [0, 10, 20, 30, 200, 210];
  assert.deepEqual(spikesOf([50, 9, 70, 1, 60], edges, 10, 30), [
    { first: 0, last: 2, count: 2, top: 70 },
    { first: 4, last: 4, count: 1, top: 60 },
  ]);
  assert.deepEqual(spikesOf([10, 9], edges, 10, 30), []);
});

test("the label of spikes is within the chart, however wide they are", () => {
  const edges = [0, 10, 20, 180, 190, 200];
  assert.deepEqual(besideSpikes({ first: 0, last: 0 }, edges, 90), { x: 14 });
  assert.deepEqual(besideSpikes({ first: 3, last: 4 }, edges, 90), { x: 176, "text-anchor": "end" });
  assert.deepEqual(besideSpikes({ first: 0, last: 4 }, edges, 90), { x: 200, "text-anchor": "end" });
});

test("a line has gaps where there is nothing, and dots where there is one value alone", () => {
  const y = (value) => 10 - value;
  assert.deepEqual(lineOf([1, 2, null, 3, null, 4, 5], [0, 1, 2, 3, 4, 5, 6], y), { line: "M0 9L1 8M5 6L6 5", dots: "M3 7h0" });
  assert.deepEqual(lineOf([null], [0], y), { line: "", dots: "" });
});

test("an area is between two lines, where both are", () => {
  const y = (value) => value;
  assert.equal(areaOf([1, 2, 3, null, 5], [4, 5, null, null, 9], [0, 1, 2, 3, 4], y), "M0 4L1 5L1 2L0 1ZM4 9L4 5Z");
});
