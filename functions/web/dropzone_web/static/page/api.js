// The API beside the page. All addresses are relative, so that it works under any stage and prefix.

const KEY = "dropzone.key";
const PATIENCE = 30_000;
const MOST_PAGES = 4;
const PRINTABLE = /^[ -~]+$/; // what a key of API Gateway is made of

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

// The API was not reached: no answer came, or none that the page may read.
export class Unreachable extends Error {}

// The API answered, and not with what was asked for.
export class Refused extends Error {
  constructor(status, problem, retryAfter) {
    super(problem?.detail ?? problem?.message ?? `The API answered ${status}.`);
    this.status = status;
    this.requestId = problem?.request_id ?? null;
    this.retryAfter = retryAfter;
  }
}

async function call(path, parameters, signal) {
  const query = new URLSearchParams(parameters).toString();
  const timely = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]);
  const mine = key.get();
  // It can't be one, and fetch may throw as if the API were out of reach.
  if (!PRINTABLE.test(mine)) throw new Refused(403, null, null);
  let response;
  try {
    response = await fetch(query ? `${path}?${query}` : path, { headers: { "x-api-key": mine }, signal: timely });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Unreachable(String(error), { cause: error });
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => null);
  throw new Refused(response.status, problem, Number(response.headers.get("retry-after")) || null);
}

async function json(path, parameters, signal) {
  const response = await call(path, parameters, signal);
  try {
    return await response.json();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Unreachable(String(error), { cause: error });
  }
}

// All rows of a question, and whether these are all: it asks for a few pages at most.
export async function kpis(parameters, signal) {
  const rows = [];
  let cursor = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await json("kpis", cursor ? { ...parameters, cursor } : parameters, signal);
    rows.push(...answer.kpis);
    cursor = answer.cursor ?? null;
    if (cursor === null) break;
  }
  return { rows, isWhole: cursor === null };
}

export const rejections = async (parameters, signal) => (await json("rejections", parameters, signal)).rejections;

export const measurements = async (parameters, signal) =>
  (await json("measurements", parameters, signal)).measurements;

export async function raw(rawId, signal) {
  const response = await call(`ingest/${encodeURIComponent(rawId)}/raw`, {}, signal);
  const { headers } = response;
  return {
    type: headers.get("content-type") ?? "",
    isUnpacked: headers.get("content-encoding") === "gzip", // by the browser
    bytes: new Uint8Array(await response.arrayBuffer()),
  };
}
