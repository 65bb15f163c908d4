import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { filled, sumsOf, topOf } = await load("drawn.js");

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
