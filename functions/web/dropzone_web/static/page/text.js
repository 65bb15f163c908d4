// Numbers and instants, as people read them.

export const NO_SOURCE = "(no source)";

export const sourceName = (source) => (source === "" ? NO_SOURCE : source);

const whole = new Intl.NumberFormat("en");

export const count = (value) => whole.format(value);

export function number(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e9 || size < 1e-4)) return value.toExponential(2);
  return new Intl.NumberFormat("en", { maximumSignificantDigits: size >= 1000 ? 6 : digits }).format(value);
}

export const rough = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 }).format;

export function percent(share) {
  if (share > 0 && share < 0.001) return "under 0.1 %";
  return `${(share * 100).toFixed(1)} %`;
}

export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return "–";
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 90) return `${seconds.toFixed(1)} s`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(1)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

const day = { year: "numeric", month: "short", day: "numeric" };
const minute = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const withDay = new Intl.DateTimeFormat("en-GB", { ...day, ...minute });
const withSeconds = new Intl.DateTimeFormat("en-GB", { ...day, ...minute, second: "2-digit" });
const clock = new Intl.DateTimeFormat("en-GB", { ...minute, second: "2-digit" });

export const instant = (seconds) => withDay.format(seconds * 1000);

const timeOnly = new Intl.DateTimeFormat("en-GB", minute);
const dayOnly = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

// On an axis: the time; where a day begins, or whole days are between two, the date.
export function tick(seconds, step) {
  const time = timeOnly.format(seconds * 1000);
  return step >= 86400 || time === "00:00" ? dayOnly.format(seconds * 1000) : time;
}

export const preciseInstant = (text) => withSeconds.format(Date.parse(text));
export const timeOfDay = (milliseconds) => clock.format(milliseconds);
export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
