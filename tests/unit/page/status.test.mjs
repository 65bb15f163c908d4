import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { REFRESH, statusOf, troubleOf } = await load("status.js");

const NOW = 1_000_000;
const FRESH = { isLoading: false, isLive: true, isEndless: true, error: null, shownAt: NOW - REFRESH, now: NOW };

test("live is what is fresh and goes on, and nothing else", () => {
  for (const [change, kind, text] of [
    [{}, "live", "Live"],
    [{ isLoading: true }, "loading", "Loading"],
    [{ isLive: false }, "paused", "Paused"],
    [{ isEndless: false }, "paused", "A fixed time"],
    [{ error: new Error() }, "stale", "Not up to date"],
    [{ shownAt: NOW - 3 * REFRESH }, "stale", "Not up to date"],
    [{ shownAt: NOW - 3 * REFRESH, isLive: false }, "paused", "Paused"],
    [{ shownAt: null, error: new Error() }, "stale", "Incomplete"],
    [{ shownAt: null }, "stale", ""],
  ])
    assert.deepEqual(statusOf({ ...FRESH, ...change }), { kind, text }, JSON.stringify(change));
});

test("each trouble says what is wrong, and when it is tried again", () => {
  const refused = (status, retryAfter = null) => ({ kind: "refused", status, detail: "Too bad.", requestId: "r1", retryAfter });
  for (const [trouble, text, wait] of [
    [{ kind: "unreachable" }, /can’t be reached/, REFRESH],
    [{ kind: "slow" }, /30 seconds/, REFRESH],
    [refused(429, 60), /^Too many requests for this key \(request r1\)\.$/, 60_000],
    [refused(503, 5), /^The API is unavailable: Too bad\. \(request r1\)$/, REFRESH],
    [refused(500), /failed \(500\)/, REFRESH],
    [refused(422), /refuses this \(422\)/, null],
  ]) {
    const found = troubleOf(trouble, true);
    assert.match(found.text, text);
    assert.equal(found.wait, wait, found.text);
    assert.equal(troubleOf(trouble, false).wait, null);
  }
});
