import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { correction, fixOf, sentenceOf } = await load("fixes.js");

test("each rule has its fix; those of a contract name their rule", () => {
  assert.match(fixOf({ code: "data.empty" }), /at least one number/);
  assert.match(fixOf({ code: "value.below_minimum", rule: "range" }), /rule range/);
  assert.match(fixOf({ code: "new.code" }), /as the message says/);
});

test("a violation says of which field it is, or of the event", () => {
  assert.equal(sentenceOf({ field: "time_stamp", message: "is missing" }), "time_stamp is missing");
  assert.equal(sentenceOf({ field: "$", message: "is not JSON" }), "The event is not JSON");
});

test("a correction is the event, of version 2, with its reference to the rejected one", () => {
  const event = { raw_id: "r", item: 3 };
  assert.deepEqual(JSON.parse(correction('{"data": [], "schema_version": 1}', event)), {
    data: [],
    schema_version: 2,
    corrects: { raw_id: "r", item: 3 },
  });
  for (const text of ["{", "5", "null", "[1]"]) assert.equal(correction(text, event), null);
});
