import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const text = await load("text.js");

const NOON = Date.parse("2026-03-04T12:34:56Z") / 1000;

const cases = (name, call, pairs) => test(name, () => {
  for (const [given, shown] of pairs) assert.equal(call(given), shown, `${given}`);
});

cases("counts have their thousands apart", text.count, [[0, "0"], [999, "999"], [1234567, "1,234,567"]]);

cases("numbers have four digits, large ones six, and extreme ones an exponent", text.number, [
  [0, "0"], [1.23456, "1.235"], [-0.0012345, "-0.001235"], [999.99, "1,000"], [1234.5678, "1,234.57"],
  [0.0001, "0.0001"], [0.00009, "9.00e-5"], [1e9, "1.00e+9"], [999999999, "1,000,000,000"], [-2.5e300, "-2.50e+300"],
  [null, "–"], [undefined, "–"], [NaN, "–"], [Infinity, "–"],
]);

cases("rough numbers have three digits", text.rough, [[0, "0"], [1.2345, "1.23"], [12345, "12,300"]]);

cases("shares are percent", text.percent, [
  [0, "0.0 %"], [0.0009, "under 0.1 %"], [0.001, "0.1 %"], [0.25, "25.0 %"], [1, "100.0 %"],
]);

cases("durations, in milliseconds, have a unit that suits them", text.duration, [
  [0, "0 ms"], [999.4, "999 ms"], [1000, "1.0 s"], [89_900, "89.9 s"], [90_000, "1.5 min"],
  [5_399_000, "90.0 min"], [5_400_000, "1.5 h"], [null, "–"], [undefined, "–"],
]);

cases("a source without a name is said to be one", text.sourceName, [["", "(no source)"], ["a", "a"]]);

test("instants are of the reader's clock", () => {
  assert.equal(text.instant(NOON), "4 Mar 2026, 12:34");
  assert.equal(text.preciseInstant("2026-03-04T12:34:56Z"), "4 Mar 2026, 12:34:56");
  assert.equal(text.timeOfDay(NOON * 1000), "12:34:56");
  assert.equal(text.zone(), "UTC");
});

test("an axis has the time, and the date where a day begins", () => {
  const midnight = Date.parse("2026-03-04T00:00:00Z") / 1000;
  assert.equal(text.tick(midnight + 900, 900), "00:15");
  assert.equal(text.tick(midnight, 900), "4 Mar");
  assert.equal(text.tick(midnight + 43200, 86400), "4 Mar");
});
