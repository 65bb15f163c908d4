import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { csvOf, curlOf, curlToSend } = await load("curl.js");

const inShell = (line) =>
  execFileSync("sh", ["-c", `curl() { printf '%s\\n' "$@"; }; KEY=secret; ${line}`], { encoding: "utf8" })
    .split("\n")
    .slice(0, -1);

test("a line asks what the page asks, with the key of the shell", () => {
  const line = curlOf("http://h/v1/", "kpis", { source: "it's $HOME & `id`", tz: "UTC" }, "text/csv");
  assert.ok(!line.includes("secret"));
  assert.deepEqual(inShell(line), [
    "-sS",
    "--compressed",
    "http://h/v1/kpis?source=it%27s+%24HOME+%26+%60id%60&tz=UTC",
    "-H",
    "x-api-key: secret",
    "-H",
    "accept: text/csv",
  ]);
});

test("a line sends an event as it is", () => {
  const event = `{"source": "it's $HOME", "data": []}`;
  assert.equal(inShell(curlToSend("http://h/", event)).at(-1), event);
});

test("a file for spreadsheets is marked, quoted, and runs nothing", () => {
  assert.equal(
    csvOf(
      ["a", "b"],
      [
        [-1, "-1"],
        ['x"y', "=1+1"],
        [null, "l1\nl2"],
      ],
    ),
    '\ufeffa,b\r\n-1,\'-1\r\n"x""y",\'=1+1\r\n,"l1\nl2"\r\n',
  );
});
