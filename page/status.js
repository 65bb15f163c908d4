// What the page says of itself: whether what it shows is fresh, and when it asks again.

export const REFRESH = 10_000; // milliseconds
const OLD = 2.5 * REFRESH;

// state: {isLoading, isLive, isEndless, error, shownAt, now}; the text's time is filled in by the caller.
export function statusOf({ isLoading, isLive, isEndless, error, shownAt, now }) {
  if (isLoading) return { kind: "loading", text: "Loading" };
  if (shownAt === null) return { kind: "stale", text: error ? "Incomplete" : "" };
  if (error || (isLive && now - shownAt > OLD)) return { kind: "stale", text: "Not up to date" };
  if (!isLive) return { kind: "paused", text: "Paused" };
  return isEndless ? { kind: "live", text: "Live" } : { kind: "paused", text: "A fixed time" };
}

// What is wrong, and when it is tried again: milliseconds, or null for never.
export function troubleOf({ kind, status, detail, requestId, retryAfter }, isLive) {
  const wait = isLive ? Math.max(REFRESH, (retryAfter ?? 0) * 1000) : null;
  const id = requestId ? ` (request ${requestId})` : "";
  if (kind === "unreachable") {
    return { text: "The API can’t be reached: the network or the server is down.", wait };
  }
  if (kind === "slow") return { text: "The API has not answered for 30 seconds.", wait };
  if (status === 429) return { text: `Too many requests for this key${id}.`, wait };
  if (status === 503) return { text: `The API is unavailable: ${detail}${id}`, wait };
  if (status >= 500) return { text: `The API failed (${status}): ${detail}${id}`, wait };
  return { text: `The API refuses this (${status}): ${detail}${id}`, wait: null };
}
