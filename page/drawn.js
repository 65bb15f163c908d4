// What a chart draws of its figures: pure functions, apart from figures.js since they come with the charts.

// In how many buckets there is anything: a chart of one bar or two dots says less than its figures.
export const filled = (lines) =>
  lines[0].values.filter((_, at) => lines.some(({ values }) => values[at] !== null && values[at] !== 0)).length;

const SPIKE = 6;

// The top of an axis on which a single spike leaves the others visible, as a file of old events does; else the highest.
export function topOf(sums) {
  const [most = 0, next = 0] = [...sums].sort((one, other) => other - one);
  return next > 0 && most > SPIKE * next ? next * 1.6 : most;
}
