import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { hashOf, viewOf } = await load("address.js");

const FIRST = { source: null, tab: "overview", preset: "24h", chosen: null, zone: "UTC", rule: null, filter: "" };

test("an empty address is the overview of the last day on the reader's clock", () => {
  assert.deepEqual(viewOf(""), FIRST);
});

test("an address brings what it was made of", () => {
  const from = Date.parse("2026-03-04T12:00:00Z") / 1000;
  for (const view of [
    FIRST,
    { ...FIRST, source: "", tab: "contract", preset: "7d" },
    { ...FIRST, source: "a&b=c#d/ü +", tab: "rejected", rule: "data.empty", zone: "Europe/Berlin" },
    { ...FIRST, chosen: { from, to: from + 3600 }, filter: "hall silent" },
  ])
    assert.deepEqual(viewOf(hashOf(view)), view);
});

test("the zone is always in the address, so that a link shows the clock of who sent it", () => {
  assert.equal(hashOf(FIRST), "#range=24h&zone=UTC");
});

test("what is wrong in an address counts as missing", () => {
  for (const hash of [
    "#range=9y",
    "#tab=secrets",
    "#tab=contract",
    "#zone=Mars/Base",
    "#from=x&to=y",
    "#from=2026-03-04T12:00Z&to=2026-03-04T12:00Z",
  ]) {
    assert.deepEqual(viewOf(hash), FIRST, hash);
  }
});
