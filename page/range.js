// The time that is shown, in seconds since 1970, and the buckets that it is shown by.

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

export const PRESETS = [
  { id: "1h", label: "Last hour", seconds: HOUR },
  { id: "6h", label: "Last 6 hours", seconds: 6 * HOUR },
  { id: "24h", label: "Last 24 hours", seconds: DAY },
  { id: "7d", label: "Last 7 days", seconds: 7 * DAY },
  { id: "30d", label: "Last 30 days", seconds: 30 * DAY },
];
export const FIRST = "24h";
export const CHOSEN = "chosen";

const SHORTEST = 5 * MINUTE;
const LONGEST = 1000 * DAY;
const STEPS = { second: 1, minute: MINUTE, quarter_hour: 15 * MINUTE, hour: HOUR, day: DAY };

export const WORDS = { second: "second", minute: "minute", quarter_hour: "15 minutes", hour: "hour", day: "day" };

export const stepOf = (granularity) => STEPS[granularity];

export function granularityOf(seconds) {
  if (seconds <= 10 * MINUTE) return "second";
  if (seconds <= 2 * HOUR) return "minute";
  if (seconds <= 3 * DAY) return "quarter_hour";
  if (seconds <= 31 * DAY) return "hour";
  return "day";
}

export const presetOf = (id) => PRESETS.find((preset) => preset.id === id) ?? null;

export const lastOf = (seconds, now) => ({ from: now - seconds, to: now });

// Whole buckets, so that the same bucket asks the same question, and an unchanged answer is not sent again.
export function wholeBuckets({ from, to }) {
  const granularity = granularityOf(to - from);
  const step = STEPS[granularity];
  return { from: Math.floor(from / step) * step, to: Math.ceil(to / step) * step, granularity, step };
}

const FEW = 8; // buckets: less is a poor chart

// Shorter buckets for the part of a range that has anything, where that is only a few buckets, of enough events; else null.
export function closer(times, events, { to, step }, now) {
  const filled = times.filter((_, at) => events[at] > 0);
  const all = events.reduce((sum, number) => sum + number, 0);
  if (all < FEW || filled.length >= FEW) return null;
  const end = Math.min(filled.at(-1) + step, to, now);
  const found = wholeBuckets({ from: filled[0], to: end });
  return found.step < step ? found : null;
}

export function zoomed({ from, to }, factor, at = (from + to) / 2) {
  const length = Math.min(Math.max((to - from) * factor, SHORTEST), LONGEST);
  const start = at - length * ((at - from) / (to - from));
  return { from: start, to: start + length };
}

export function between(from, to) {
  const middle = (from + to) / 2;
  const half = Math.max(to - from, SHORTEST) / 2;
  return { from: middle - half, to: middle + half };
}

export function moved({ from, to }, share) {
  const by = (to - from) * share;
  return { from: from + by, to: to + by };
}

export const iso = (seconds) => new Date(seconds * 1000).toISOString();
