// From the rows of GET /kpis and GET /quality to what is drawn: pure functions.

const seconds = (text) => Date.parse(text) / 1000;

// The bucket's starts: all of the range, so that an empty one is seen; days begin where the time zone says.
function startsOf(rows, range) {
  const starts = new Set(rows.map((row) => seconds(row.start)));
  if (range.granularity !== "day") for (let at = range.from; at < range.to; at += range.step) starts.add(at);
  return [...starts].sort((one, other) => one - other);
}

const finite = (value) => (Number.isFinite(value) ? value : null);

// What a source measured: its mean with its band, its rate, its gaps.
export function measured(rows, range, now) {
  const times = startsOf(rows, range);
  const index = new Map(times.map((at, place) => [at, place]));
  const nothing = () => new Array(times.length).fill(null);
  const found = {
    times,
    mean: nothing(),
    low: nothing(),
    high: nothing(),
    events: 0,
    seconds: Math.max(Math.min(range.to, now) - range.from, 1),
    gaps: { count: 0, longest: null, expected: null, rows: [] },
  };
  for (const row of rows) {
    if (row.events === 0) continue;
    const at = index.get(seconds(row.start));
    found.events += row.events;
    found.mean[at] = finite(row.mean);
    found.low[at] = finite(row.mean - row.std_dev);
    found.high[at] = finite(row.mean + row.std_dev);
    found.gaps.expected = row.gaps.expected_seconds;
    if (row.gaps.count > 0) {
      found.gaps.count += row.gaps.count;
      found.gaps.longest = Math.max(found.gaps.longest ?? 0, row.gaps.longest_seconds);
      found.gaps.rows.push({ start: seconds(row.start), count: row.gaps.count, longest: row.gaps.longest_seconds });
    }
  }
  return found;
}

// What arrived: outcomes, rules and latency, of one source or of all together.
export function arrived(rows, range) {
  const times = startsOf(rows, range);
  const index = new Map(times.map((at, place) => [at, place]));
  const zeros = () => new Array(times.length).fill(0);
  const nothing = () => new Array(times.length).fill(null);
  const found = {
    times,
    received: zeros(),
    clean: zeros(),
    flagged: zeros(),
    rejected: zeros(),
    latency: { p50: nothing(), p95: nothing(), mean: null, max: null },
    totals: { received: 0, processed: 0, rejected: 0, flagged: 0, resolved: 0, open: 0 },
  };
  const hits = new Map(); // of a contract's rules: how often one was broken
  const rules = new Map();
  const warnings = new Map();
  let weight = 0;
  let sum = 0;
  for (const row of rows) {
    const at = index.get(seconds(row.start));
    for (const name of Object.keys(found.totals)) found.totals[name] += row[name];
    found.received[at] = row.received;
    found.clean[at] = row.processed - row.flagged;
    found.flagged[at] = row.flagged;
    found.rejected[at] = row.rejected;
    add(rules, row.rejected_by_rule);
    add(warnings, row.flagged_by_rule);
    for (const { contract, rule, events } of row.rules) {
      if (rule !== null) add(hits, { [hitOf(contract, rule)]: events });
    }
    const { mean, p50, p95, max } = row.latency_ms;
    if (mean === null) continue;
    found.latency.p50[at] = p50;
    found.latency.p95[at] = p95;
    found.latency.max = Math.max(found.latency.max ?? 0, max);
    weight += row.received;
    sum += mean * row.received;
  }
  if (weight > 0) found.latency.mean = sum / weight;
  return { ...found, hits, rules: mostFirst(rules), warnings: mostFirst(warnings) };
}

function add(rules, byRule) {
  for (const [rule, times] of Object.entries(byRule)) rules.set(rule, (rules.get(rule) ?? 0) + times);
}

const mostFirst = (rules) => [...rules].sort((one, other) => other[1] - one[1] || one[0].localeCompare(other[0]));

// The name of a contract's rule among those that are counted.
export const hitOf = (contract, rule) => `${contract} ${rule}`;
