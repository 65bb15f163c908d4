// Bundles the page: page/page.html, and what it leads to, under names that change with their content. With --check, only
// compares. What isn't needed for the first look is in a module of its own (page/later.js).

import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const STATIC = "functions/web/dropzone_web/static";

const { outputFiles, metafile } = await build({
  absWorkingDir: at(""),
  entryPoints: { page: "page/main.js", style: "page/page.css" },
  bundle: true,
  splitting: true,
  minify: true,
  metafile: true,
  format: "esm",
  target: ["chrome123", "firefox124", "safari17.4"],
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  outdir: "/page",
  write: false,
});

const outputs = Object.entries(metafile.outputs);
const [script] = outputs.find(([, { entryPoint }]) => entryPoint === "page/main.js");
const [style] = outputs.find(([, { entryPoint }]) => entryPoint === "page/page.css");
const shared = metafile.outputs[script].imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => path);
const html = (await readFile(at("page/page.html"), "utf8"))
  .replace("page.css", `page/${basename(style)}`)
  .replace(/( *)<script src="main.js"/, (_, indent) => {
    const preloads = shared.map((path) => `${indent}<link rel="modulepreload" href="page/${basename(path)}">\n`);
    return `${preloads.join("")}${indent}<script src="page/${basename(script)}"`;
  });

const made = new Map([[`${STATIC}/page.html`, html], ...outputFiles.map(({ path, text }) => [`${STATIC}/page/${basename(path)}`, text])]);
const old = (await readdir(at(`${STATIC}/page`))).map((name) => `${STATIC}/page/${name}`).filter((path) => !made.has(path));

if (process.argv.includes("--check")) {
  const wrong = [...old];
  for (const [path, text] of made) if ((await readFile(at(path), "utf8").catch(() => null)) !== text) wrong.push(path);
  if (wrong.length > 0) console.error(`Not what page/ makes of it: make page\n${wrong.join("\n")}`);
  process.exitCode = wrong.length > 0 ? 1 : 0;
} else {
  await Promise.all(old.map((path) => rm(at(path))));
  await Promise.all([...made].map(([path, text]) => writeFile(at(path), text)));
}
