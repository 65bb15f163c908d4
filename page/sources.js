// Which sources are shown, in which order: pure functions.

const SEVERITY = { silent: 0, stuck: 0.5, late: 1, ok: 2, unnamed: 2 };
const BAD_SHARE = 0.05; // of the events of a day that were rejected

const names = new Intl.Collator("en", { numeric: true });
const byName = (one, other) => names.compare(one.source, other.source);
const seen = (source) => (source.last_measured_at === null ? -Infinity : Date.parse(source.last_measured_at));

export const shareOf = (source) => source.last_day.rejected_share ?? 0;
export const isBad = (source) => shareOf(source) >= BAD_SHARE || source.broken_expectations.includes("rejected_share");

// A source that sends the same samples for longer than its contract allows is stuck, however punctual it is.
export function stateOf({ state, stuck_since }) {
  return stuck_since !== null && state !== "silent" ? "stuck" : state;
}

// Since when a source is silent, if that is within what is shown: a gap ends only with the next event. In seconds, or null.
export function silentSince(source, { to }) {
  if (source === null || source.last_measured_at === null || stateOf(source) !== "silent") return null;
  const since = Date.parse(source.last_measured_at) / 1000;
  return since < to ? since : null;
}

const severity = (source) => (SEVERITY[stateOf(source)] === 2 && isBad(source) ? 1.5 : (SEVERITY[stateOf(source)] ?? 0));

// Of each the order in which what needs attention is on top.
export const ORDERS = {
  state: (one, other) => severity(one) - severity(other) || seen(one) - seen(other),
  source: byName,
  seen: (one, other) => seen(one) - seen(other),
  received: (one, other) => other.last_day.received - one.last_day.received,
  rejected: (one, other) => shareOf(other) - shareOf(one),
};

export function arranged(sources, filter, order, isReversed = false) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const compare = ORDERS[order];
  const sign = isReversed ? -1 : 1;
  return sources
    .filter((each) => words.every((word) => each.source.toLowerCase().includes(word) || stateOf(each) === word))
    .sort((one, other) => sign * compare(one, other) || byName(one, other));
}

export function summary(sources) {
  const states = { silent: 0, stuck: 0, late: 0, ok: 0, unnamed: 0, bad: 0 };
  for (const source of sources) {
    states[stateOf(source)] += 1;
    if (isBad(source)) states.bad += 1;
  }
  return states;
}

// An SVG path of a trend in a box; values that are missing leave gaps, and lone ones are short dashes.
export function sparkline(values, width, height) {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return "";
  const least = Math.min(...known);
  const span = Math.max(...known) - least;
  const step = width / Math.max(values.length - 1, 1);
  const y = (value) => (span === 0 || !Number.isFinite(span) ? height / 2 : height - ((value - least) / span) * height);
  let path = "";
  let isDrawing = false;
  values.forEach((value, at) => {
    if (value === null) {
      isDrawing = false;
      return;
    }
    path += `${isDrawing ? "L" : "M"}${round(at * step)} ${round(y(value))}`;
    if (!isDrawing && (values[at + 1] ?? null) === null) path += "h1";
    isDrawing = true;
  });
  return path;
}

const round = (value) => Math.round(value * 10) / 10;
