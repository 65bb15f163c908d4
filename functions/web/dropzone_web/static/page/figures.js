// From the rows of GET /kpis to what is drawn: pure functions.

const seconds = (text) => Date.parse(text) / 1000;

// The bucket's starts: all of the range, so that an empty one is seen; days begin where the time zone says.
function startsOf(rows, range) {
  const starts = new Set(rows.map((row) => seconds(row.start)));
  if (range.granularity !== "day") for (let at = range.from; at < range.to; at += range.step) starts.add(at);
  return [...starts].sort((one, other) => one - other);
}

export function figures(rows, range, now) {
  const times = startsOf(rows, range);
  const index = new Map(times.map((at, place) => [at, place]));
  const zeros = () => new Array(times.length).fill(0);
  const nothing = () => new Array(times.length).fill(null);
  const sources = new Map();
  const arrived = { processed: zeros(), rejected: zeros() };
  const latency = { mean: nothing(), max: nothing(), of: zeros() };
  const rules = new Map(), warnings = new Map();
  const totals = { events: 0, received: 0, processed: 0, rejected: 0, open: 0, flagged: 0, latencyMean: null, latencyMax: null };
  let latencySum = 0, latencyCount = 0;

  for (const row of rows) {
    const at = index.get(seconds(row.start));
    totals.events += row.events;
    totals.received += row.received;
    totals.processed += row.processed;
    totals.rejected += row.rejected;
    totals.open += row.open;
    totals.flagged += row.flagged;
    arrived.processed[at] += row.processed;
    arrived.rejected[at] += row.rejected;
    add(rules, row.rejected_by_rule);
    add(warnings, row.flagged_by_rule);
    if (row.latency_ms !== null && row.latency_ms.mean !== null) {
      const before = (latency.mean[at] ?? 0) * latency.of[at];
      latency.of[at] += row.received;
      latency.mean[at] = (before + row.latency_ms.mean * row.received) / latency.of[at];
      latency.max[at] = Math.max(latency.max[at] ?? 0, row.latency_ms.max);
      latencySum += row.latency_ms.mean * row.received;
      latencyCount += row.received;
      totals.latencyMax = Math.max(totals.latencyMax ?? 0, row.latency_ms.max);
    }
    if (row.events > 0) {
      if (!sources.has(row.source)) {
        sources.set(row.source, { events: 0, rate: zeros(), mean: nothing(), low: nothing(), high: nothing() });
      }
      const source = sources.get(row.source);
      source.events += row.events;
      source.rate[at] = row.events / minutes(row, now);
      source.mean[at] = finite(row.mean);
      source.low[at] = finite(row.mean - row.std_dev);
      source.high[at] = finite(row.mean + row.std_dev);
    }
  }
  if (latencyCount > 0) totals.latencyMean = latencySum / latencyCount;
  totals.perMinute = totals.events / Math.max((Math.min(range.to, now) - range.from) / 60, 1);
  return {
    times,
    sources: [...sources].map(([name, source]) => ({ name, ...source })).sort(byEvents),
    arrived,
    latency,
    rules: mostFirst(rules),
    warnings: mostFirst(warnings),
    totals,
  };
}

function add(rules, byRule) {
  for (const [rule, times] of Object.entries(byRule)) rules.set(rule, (rules.get(rule) ?? 0) + times);
}

const mostFirst = (rules) => [...rules].sort((one, other) => other[1] - one[1] || one[0].localeCompare(other[0]));
const byEvents = (one, other) => other.events - one.events || one.name.localeCompare(other.name);
const finite = (value) => (Number.isFinite(value) ? value : null);

// Of the bucket that is under way, the minutes that have passed count; at least one, so that its start is no spike.
function minutes(row, now) {
  const start = seconds(row.start), end = seconds(row.end);
  const passed = now > start ? Math.min(end, now) - start : end - start;
  return Math.max(passed / 60, 1);
}

// The first few by themselves, the others together.
export function mostAndOthers(sources, most) {
  if (sources.length <= most) return sources;
  const others = sources.slice(most - 1);
  const rate = others[0].rate.map((_, at) => others.reduce((sum, source) => sum + source.rate[at], 0));
  return [...sources.slice(0, most - 1), { name: null, label: `${others.length} others`, rate }];
}
