// What a chart draws of its figures: pure functions, apart from figures.js since they come with the charts.

// In how many buckets there is anything: a chart of one bar or two dots says less than its figures.
export const filled = (lines) =>
  lines[0].values.filter((_, at) => lines.some(({ values }) => values[at] !== null && values[at] !== 0)).length;

// Of a stack: the whole of each bucket.
export const sumsOf = (lines) => lines[0].values.map((_, at) => lines.reduce((sum, { values }) => sum + (values[at] ?? 0), 0));

const SPIKE = 6;

// The top of an axis on which a few spikes leave the others visible, as a file of old events makes them; else the highest.
export function topOf(sums) {
  const filled = sums.filter((sum) => sum > 0).sort((one, other) => other - one);
  const most = filled[0] ?? 0;
  const few = Math.max(Math.floor(filled.length / 3), 1);
  const next = filled.slice(1, few + 1).findLast((sum, at) => filled[at] > SPIKE * sum);
  return next === undefined ? most : next * 1.6;
}

// The sums above an axis, with one label for those that are nearer to each other than it has room.
export function spikesOf(sums, edges, most, room) {
  const spikes = [];
  sums.forEach((sum, at) => {
    if (sum <= most) return;
    const near = spikes.at(-1);
    if (near === undefined || edges[at] - edges[near.last + 1] > room) spikes.push({ first: at, last: at, count: 1, top: sum });
    else Object.assign(near, { last: at, count: near.count + 1, top: Math.max(near.top, sum) });
  });
  return spikes;
}

// Where the label of such sums stands: behind them, else before them, else over them, at the end.
export function besideSpikes({ first, last }, edges, room) {
  const [left, right] = [edges[0], edges.at(-1)];
  if (edges[last + 1] + room <= right) return { x: edges[last + 1] + 4 };
  return { x: edges[first] - room >= left ? edges[first] - 4 : right, "text-anchor": "end" };
}

const ROOM = 1.08; // of an axis, for what it shows

// The ends of the vertical axis: around what a band shows, else from zero on.
export function extentOf(kind, lines) {
  const all = (names) => lines.flatMap((line) => names.flatMap((name) => (line[name] ?? []).filter(Number.isFinite)));
  if (kind !== "band") {
    const top = kind === "stack" ? topOf(sumsOf(lines)) : all(["values"]).reduce((one, other) => Math.max(one, other), 0);
    return [0, top > 0 ? top * ROOM : 1];
  }
  const known = all(["low", "values", "high"]);
  if (known.length === 0) return [0, 1];
  const least = known.reduce((one, other) => Math.min(one, other));
  const most = known.reduce((one, other) => Math.max(one, other));
  const room = (most - least) * (ROOM - 1) || Math.abs(most) * 0.05 || 1;
  return [least - room, most + room];
}

// A function from values between two ends to pixels; the ends may be as far apart as numbers can be.
export function scaleOf(least, most, first, last) {
  const unit = Math.max(Math.abs(least), Math.abs(most));
  const length = most / unit - least / unit;
  return (value) => Math.round((first + ((value / unit - least / unit) / length) * (last - first)) * 10) / 10;
}

// Round values for an axis, about as many as asked for.
export function ticksOf(least, most, number) {
  const rough = (most - least) / number;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  if (!Number.isFinite(step) || step === 0) return [];
  const ticks = [];
  for (let at = Math.ceil(least / step); at * step <= most; at += 1) ticks.push(Number((at * step).toPrecision(12)));
  return ticks;
}

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;
const STEPS = [
  ...[1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100, 200].map((days) => days * DAY),
];

// Round times of a clock for an axis, at most so many, and how far they are apart; offsetAt(seconds) is the clock's from UTC.
export function timeTicksOf(from, to, number, offsetAt) {
  const step = STEPS.find((each) => (to - from) / each <= number) ?? STEPS.at(-1);
  const start = from + offsetAt(from);
  const ticks = new Set();
  for (let local = Math.ceil(start / step) * step; local <= to + offsetAt(to); local += step) {
    const at = local - offsetAt(local - offsetAt(from));
    if (at >= from && at <= to) ticks.add(at);
  }
  return { ticks: [...ticks], step };
}

// The path of a stack's steps, line by line from the bottom: one rectangle for each bucket that has anything. A sum above
// the axis reaches its end, and keeps its shares. Edges are whole pixels, so that no seam is between neighbours.
export function stepsOf(lines, edges, y, most) {
  const whole = sumsOf(lines);
  const below = whole.map(() => 0);
  return lines.map(({ values }) => {
    let path = "";
    values.forEach((value, at) => {
      if (!value) return;
      const bottom = y(below[at]);
      below[at] += value * Math.min(most / whole[at], 1);
      path += `M${edges[at]} ${bottom}V${y(below[at])}H${edges[at + 1]}V${bottom}Z`;
    });
    return path;
  });
}

// Runs of neighbours that have a value, as places.
function runsOf(values) {
  const runs = [];
  values.forEach((value, at) => {
    if (value === null) return;
    if (at > 0 && values[at - 1] !== null) runs.at(-1).push(at);
    else runs.push([at]);
  });
  return runs;
}

// A line through the values, and dots for those between two empty buckets, which have no line.
export function lineOf(values, xs, y) {
  const point = (at) => `${xs[at]} ${y(values[at])}`;
  const runs = runsOf(values);
  return {
    line: runs
      .filter((run) => run.length > 1)
      .map((run) => `M${run.map(point).join("L")}`)
      .join(""),
    dots: runs
      .filter((run) => run.length === 1)
      .map(([at]) => `M${point(at)}h0`)
      .join(""),
  };
}

// The area between two lines, where both have values.
export function areaOf(low, high, xs, y) {
  const both = low.map((value, at) => (high[at] === null ? null : value));
  return runsOf(both)
    .map((run) => {
      const above = run.map((at) => `${xs[at]} ${y(high[at])}`);
      const below = run.map((at) => `${xs[at]} ${y(low[at])}`).reverse();
      return `M${[...above, ...below].join("L")}Z`;
    })
    .join("");
}
