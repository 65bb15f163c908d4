// The API beside the page. All addresses are relative, so that it works under any stage and prefix.

const KEY = "dropzone.key";
const PATIENCE = 30_000;
const PRINTABLE = /^[ -~]+$/; // what a key of API Gateway is made of
const FIRST_SOURCES = 100;
const MORE_SOURCES = 1000;
const MOST_PAGES = 100;
export const CSV = "text/csv; profile=spreadsheet";

// In this tab alone, or for good on this computer.
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY),
  set(value, isRemembered) {
    key.forget();
    (isRemembered ? localStorage : sessionStorage).setItem(KEY, value);
  },
  forget() {
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
  },
};

// Something else came than what was asked for. kind: "unreachable", "slow", "refused".
export class Trouble extends Error {
  constructor(kind, { status = null, problem = null, retryAfter = null, cause = null } = {}) {
    super(problem?.detail ?? problem?.message ?? `status ${status}`, { cause });
    this.kind = kind;
    this.status = status;
    this.detail = this.message;
    this.type = problem?.type ?? "";
    this.requestId = problem?.request_id ?? null;
    this.retryAfter = retryAfter;
  }
}

export const base = () => new URL(".", location.href).href;

async function call(path, parameters, signal, accept = null) {
  const query = new URLSearchParams(parameters).toString();
  const timeout = AbortSignal.timeout(PATIENCE);
  const mine = key.get();
  // It can't be one, and fetch may throw as if the API were out of reach.
  if (!PRINTABLE.test(mine)) throw new Trouble("refused", { status: 403 });
  const headers = { "x-api-key": mine, ...(accept ? { accept } : {}) };
  let response;
  try {
    response = await fetch(query ? `${path}?${query}` : path, { headers, signal: AbortSignal.any([signal, timeout]) });
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new Trouble(timeout.aborted ? "slow" : "unreachable", { cause });
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => null);
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  throw new Trouble("refused", { status: response.status, problem, retryAfter });
}

async function read(response, signal, form) {
  try {
    return await response[form]();
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new Trouble("unreachable", { cause });
  }
}

const json = async (path, parameters, signal) => read(await call(path, parameters, signal), signal, "json");

// Every source; `onPage` is called with those known so far. The first have their trend with them.
export async function sources(signal, onPage) {
  const found = [];
  let parameters = { limit: FIRST_SOURCES, trend: true };
  for (;;) {
    const page = await json("sources", parameters, signal);
    found.push(...page.sources);
    onPage(found, page.cursor === undefined);
    if (page.cursor === undefined) return found;
    parameters = { limit: MORE_SOURCES, cursor: page.cursor };
  }
}

// The first of the names that begin so is the name itself.
export async function source(name, signal) {
  const [found] = (await json("sources", { prefix: name, limit: 1, trend: true }, signal)).sources;
  return found?.source === name ? found : null;
}

export const kpis = async (parameters, signal) => (await json("kpis", parameters, signal)).kpis;
export const quality = async (parameters, signal) => (await json("quality", parameters, signal)).quality;
export const rejections = (parameters, signal) => json("rejections", parameters, signal);
export const contract = (id, signal) => json(`contracts/${encodeURIComponent(id)}`, {}, signal);

// Pages of rejections until there is no more; `onPage` gets how many there are so far.
export async function allRejections(parameters, signal, onPage) {
  const found = [];
  let cursor;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await rejections({ ...parameters, limit: 1000, ...(cursor ? { cursor } : {}) }, signal);
    found.push(...answer.rejections);
    onPage(found.length);
    cursor = answer.cursor;
    if (cursor === undefined) return { rows: found, isWhole: true };
  }
  return { rows: found, isWhole: false };
}

// All pages of a list as one file for a spreadsheet.
export async function csv(path, parameters, signal) {
  const parts = [];
  let query = { ...parameters };
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const response = await call(path, query, signal, CSV);
    const text = await read(response, signal, "text");
    // Decoding takes the mark of UTF-8 away, which a spreadsheet needs.
    parts.push(page === 0 ? `\ufeff${text}` : text.slice(text.indexOf("\r\n") + 2));
    const next = /<\?([^>]*)>; rel="next"/.exec(response.headers.get("link") ?? "");
    if (next === null) break;
    query = Object.fromEntries(new URLSearchParams(next[1]));
  }
  return parts;
}

export async function raw(rawId, signal) {
  const response = await call(`ingest/${encodeURIComponent(rawId)}/raw`, {}, signal);
  return {
    type: response.headers.get("content-type") ?? "",
    isUnpacked: response.headers.get("content-encoding") === "gzip", // by the browser
    bytes: new Uint8Array(await read(response, signal, "arrayBuffer")),
  };
}
