import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const text = await load("text.js");
const { measuredTiles } = await load("panels.js");

const NOON = Date.parse("2026-03-04T12:34:56Z") / 1000;

const cases = (name, call, pairs) =>
  test(name, () => {
    for (const [given, shown] of pairs) assert.equal(call(given), shown, `${given}`);
  });

cases("counts have their thousands apart", text.count, [
  [0, "0"],
  [999, "999"],
  [1234567, "1,234,567"],
]);

cases("numbers have four digits, large ones six, and extreme ones an exponent", text.number, [
  [0, "0"],
  [1.23456, "1.235"],
  [-0.0012345, "-0.001235"],
  [999.99, "1,000"],
  [1234.5678, "1,234.57"],
  [0.0001, "0.0001"],
  [0.00009, "9.00e-5"],
  [1e9, "1.00e+9"],
  [999999999, "1,000,000,000"],
  [-2.5e300, "-2.50e+300"],
  [null, "–"],
  [undefined, "–"],
  [NaN, "–"],
  [Infinity, "–"],
]);

test("rates are by the shortest time in which there is an event", () => {
  for (const [events, seconds, shown] of [
    [120, 60, "2 / s"],
    [59, 60, "59 / min"],
    [144, 86400, "6 / h"],
    [2, 86400, "2 / day"],
    [12345, 3600, "3.43 / s"],
    [0, 60, "0 / day"],
    [1, 0, "–"],
  ])
    assert.equal(text.rate(events, seconds), shown);
});

test("a period of a contract is in words", () => {
  for (const [given, shown] of [
    ["PT1H", "60 min"],
    ["PT90S", "1.5 min"],
    ["P2DT12H", "2.5 days"],
    ["P1M", "P1M"],
    ["°C", "°C"],
  ])
    assert.equal(text.period(given), shown);
});

test("a long name is in two parts, whose second is its end", () => {
  assert.deepEqual(text.nameParts("dock/humidity"), ["dock/humidity", ""]);
  assert.deepEqual(text.nameParts("plant-berlin/hall-1/thermometer-17"), ["plant-berlin/hall-1/thermo", "meter-17"]);
  assert.equal(text.nameParts("😀".repeat(30)).join(""), "😀".repeat(30));
});

test("values have their unit, where there is one", () => {
  assert.equal(text.withUnit(21.5, "°C"), "21.5 °C");
  assert.equal(text.withUnit(21.5, ""), "21.5");
  assert.equal(text.withUnit(null, "°C"), "–");
});

cases("what was is so long ago", text.ago, [
  [0, "just now"],
  [5000, "5 s ago"],
  [119_999, "119 s ago"],
  [120_000, "2 min ago"],
  [7_199_000, "119 min ago"],
  [7_200_000, "2 h ago"],
  [172_800_000, "2 days ago"],
  [729 * 86_400_000, "729 days ago"],
  [2768 * 86_400_000, "7 years ago"],
]);

test("a source is silent for as long as its last value is ago", () => {
  const now = 1_800_000_000;
  const measured = { events: 2, seconds: 3600, gaps: { count: 1, expected: 60, longest: 120 } };
  for (const [seconds, shown] of [
    [165, "2 min"],
    [6 * 3600 - 1, "5 h"],
  ]) {
    const [, gaps] = measuredTiles(measured, now - seconds, now);
    assert.deepEqual(gaps, ["Gaps", "2", `silent for ${shown}, and still is`, true]);
    assert.equal(text.ago(seconds * 1000), `${shown} ago`);
  }
});

test("what is counted is one or more", () => {
  assert.deepEqual(
    [text.counted(1, "event"), text.counted(0, "event"), text.counted(1200, "entry", "entries")],
    ["1 event", "0 events", "1,200 entries"],
  );
});

cases("shares are percent", text.percent, [
  [0, "0.0 %"],
  [0.0009, "under 0.1 %"],
  [0.001, "0.1 %"],
  [0.25, "25.0 %"],
  [1, "100.0 %"],
  [null, "–"],
]);

cases("durations, in milliseconds, have a unit that suits them", text.duration, [
  [0, "0 ms"],
  [999.4, "999 ms"],
  [1000, "1 s"],
  [89_900, "89.9 s"],
  [90_000, "1.5 min"],
  [5_399_000, "90 min"],
  [5_400_000, "1.5 h"],
  [172_800_000, "2 days"],
  [null, "–"],
  [undefined, "–"],
]);

cases("a source without a name is said to be one", text.sourceName, [
  ["", "(no source)"],
  ["a", "a"],
]);

test("instants are on the clock of the zone that was chosen", () => {
  text.useZone("Europe/Berlin");
  assert.equal(text.instant(NOON), "4 Mar 2026, 13:34");
  assert.equal(text.zone(), "Europe/Berlin");
  text.useZone("UTC");
  assert.deepEqual([text.isZone("Asia/Kathmandu"), text.isZone("Mars/Base"), text.isZone("")], [true, false, false]);
});

test("instants are of the reader's clock", () => {
  assert.equal(text.instant(NOON), "4 Mar 2026, 12:34");
  assert.equal(text.instant(NOON, 1), "4 Mar 2026, 12:34:56");
  assert.equal(text.preciseInstant("2026-03-04T12:34:56Z"), "4 Mar 2026, 12:34:56");
  assert.equal(text.timeOfDay(NOON * 1000), "12:34:56");
  assert.equal(text.zone(), "UTC");
});

test("an axis has the time, and the date where a day begins", () => {
  const midnight = Date.parse("2026-03-04T00:00:00Z") / 1000;
  assert.equal(text.tick(midnight + 900, 900), "00:15");
  assert.equal(text.tick(midnight, 900), "4 Mar");
  assert.equal(text.tick(midnight + 43200, 86400), "4 Mar");
  assert.equal(text.tick(midnight, 30), "00:00:00");
});

test("a clock is so far from UTC", () => {
  for (const [zone, at, offset] of [
    ["UTC", NOON, 0],
    ["Asia/Kathmandu", NOON, 20_700],
    ["America/St_Johns", NOON, -12_600],
    ["Europe/Berlin", NOON, 3600],
    ["Europe/Berlin", NOON + 60 * 86_400, 7200],
  ]) {
    text.useZone(zone);
    assert.equal(text.offsetAt(at), offset, zone);
  }
});
