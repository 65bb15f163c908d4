// The page's pure modules, as they are served. They carry no package.json, so Node is handed their text as a module.

import { readFile } from "node:fs/promises";

const PAGE = new URL("../../../functions/web/dropzone_web/static/page/", import.meta.url);

export async function load(name) {
  const text = await readFile(new URL(name, PAGE), "utf8");
  return import(`data:text/javascript,${encodeURIComponent(text)}`);
}
