import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { eventSpan, spanOf, violationSpans } = await load("spans.js");

const cut = (text, span) => (span === null ? null : text.slice(span.start, span.end));

test("a value is found where it was written", () => {
  const text = ' { "a" : [1, "n/a" , {"b\\"": -1.5e3}], "time_stamp":"x, ]}" , "e": {} ,"l":[ ]}';
  for (const [path, found] of [
    [[], text.trim()],
    [["a", 1], '"n/a"'],
    [["a", 2, 'b"'], "-1.5e3"],
    [["time_stamp"], '"x, ]}"'],
    [["e"], "{}"],
    [["l"], "[ ]"],
    [["a"], '[1, "n/a" , {"b\\"": -1.5e3}]'],
    [["none"], null],
    [["a", 9], null],
    [["time_stamp", 0], null],
  ])
    assert.equal(cut(text, spanOf(text, path)), found, JSON.stringify(path));
});

test("of names that come twice the last counts, as in parsing", () => {
  const text = '{"a": 1, "a": 2}';
  assert.equal(cut(text, spanOf(text, ["a"])), "2");
});

test("what is no JSON has no values", () => {
  for (const text of ['{"a": [1, 2', "", "{a: 1}", '{"a": 1 "b": 2}']) assert.equal(spanOf(text, ["a"]), null, text);
});

test("an event is a line, an entry, or all of it", () => {
  const lines = '{"a":1}\n \n{"b":2}\n';
  assert.equal(cut(lines, eventSpan(lines, "application/x-ndjson", 1)), '{"b":2}');
  const list = '\ufeff[{"a":1}, {"b":2}]';
  assert.equal(cut(list, eventSpan(list, "application/json", 1)), '{"b":2}');
  assert.equal(cut("{}", eventSpan("{}", "application/json", 0)), "{}");
  assert.equal(cut("[[", eventSpan("[[", "application/json", 0)), "[[");
  assert.equal(cut(lines, eventSpan(lines, "application/x-ndjson", 7)), lines);
});

test("violations are marked, in their order, each once; what is missing is nowhere", () => {
  const text = '{"time_stamp": "06:00", "data": [1, "n/a"], "tags": {"a": 3}}';
  const marked = (...violations) => violationSpans(text, violations).map((span) => cut(text, span));
  assert.deepEqual(marked({ field: "data", index: 1 }, { field: "time_stamp" }), ['"06:00"', '"n/a"']);
  assert.deepEqual(marked({ field: "tags.a" }, { field: "data" }), ['[1, "n/a"]', "3"]);
  assert.deepEqual(marked({ field: "data", index: 1 }, { field: "data", index: 1 }), ['"n/a"']);
  assert.deepEqual(marked({ field: "$" }, { field: "source" }), []);
});
