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
