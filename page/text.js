// Numbers and instants, as people read them.

export const NO_SOURCE = "(no source)";

export const sourceName = (source) => (source === "" ? NO_SOURCE : source);

const TAIL = 8; // characters

// A name in two parts, of which the first may be cut where there is no room: names differ at their ends.
export function nameParts(name) {
  const letters = [...name];
  if (letters.length < 2 * TAIL) return [name, ""];
  return [letters.slice(0, -TAIL).join(""), letters.slice(-TAIL).join("")];
}

const whole = new Intl.NumberFormat("en");

export const count = (value) => whole.format(value);

export const counted = (value, one, more = `${one}s`) => `${count(value)} ${value === 1 ? one : more}`;

export function number(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e9 || size < 1e-4)) return value.toExponential(2);
  return new Intl.NumberFormat("en", { maximumSignificantDigits: size >= 1000 ? 6 : digits }).format(value);
}

export const withUnit = (value, unit) => (unit && value !== null ? `${number(value)} ${unit}` : number(value));

const rough = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 }).format;

// A number of events in some seconds, by the shortest time in which there is one.
export function rate(events, seconds) {
  if (!(seconds > 0)) return "–";
  for (const [unit, length] of [
    ["s", 1],
    ["min", 60],
    ["h", 3600],
  ]) {
    if ((events * length) / seconds >= 1) return `${rough((events * length) / seconds)} / ${unit}`;
  }
  return `${rough((events * 86400) / seconds)} / day`;
}

export function percent(share) {
  if (share === null || share === undefined) return "–";
  if (share > 0 && share < 0.001) return "under 0.1 %";
  return `${(share * 100).toFixed(1)} %`;
}

export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return "–";
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 90) return `${trimmed(seconds)} s`;
  if (seconds < 5400) return `${trimmed(seconds / 60)} min`;
  if (seconds < 172_800) return `${trimmed(seconds / 3600)} h`;
  return `${trimmed(seconds / 86400)} days`;
}

const PERIOD = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/;

// A period of ISO 8601, such as PT1H, in words; any other text as it is.
export function period(text) {
  const [, ...parts] = PERIOD.exec(text) ?? [null];
  const [days, hours, minutes, seconds] = parts.map((part) => Number(part ?? 0));
  const whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
  return whole > 0 ? duration(whole * 1000) : text;
}

const trimmed = (value) => value.toFixed(1).replace(/\.0$/, "");

// In whole units: what goes on grows into the next one.
export function age(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  const days = Math.floor(seconds / 86400);
  return days < 731 ? `${days} days` : `${Math.floor(days / 365.25)} years`;
}

export const ago = (milliseconds) => (milliseconds < 5000 ? "just now" : `${age(milliseconds)} ago`);

// ---- instants, on the clock of a zone ----------------------------------------------------------------------------

export const LOCAL = Intl.DateTimeFormat().resolvedOptions().timeZone;

const DAY = { year: "numeric", month: "short", day: "numeric" };
const MINUTE = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const FORMS = {
  day: { day: "numeric", month: "short" },
  time: MINUTE,
  clock: { ...MINUTE, second: "2-digit" },
  instant: { ...DAY, ...MINUTE },
  offset: { timeZoneName: "longOffset" },
  precise: { ...DAY, ...MINUTE, second: "2-digit" },
};

let zoneNow = LOCAL;
let formats = {};

export function isZone(name) {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

export function useZone(name) {
  if (name !== zoneNow) formats = {};
  zoneNow = name;
}

export const zone = () => zoneNow;

function format(form, milliseconds) {
  formats[form] ??= new Intl.DateTimeFormat("en-GB", { ...FORMS[form], timeZone: zoneNow });
  return formats[form].format(milliseconds);
}

// To the second where times are closer than a minute.
export const instant = (seconds, step = 60) => format(step < 60 ? "precise" : "instant", seconds * 1000);
export const preciseInstant = (text) => format("precise", Date.parse(text));
export const timeOfDay = (milliseconds) => format("clock", milliseconds);

// On an axis: the time, to the second where it needs that; where a day begins, or whole days are between two, the date.
export function tick(seconds, step) {
  if (step < 60) return format("clock", seconds * 1000);
  const time = format("time", seconds * 1000);
  return step >= 86400 || time === "00:00" ? format("day", seconds * 1000) : time;
}

// How far the zone's clock is ahead of UTC, in seconds.
export function offsetAt(seconds) {
  const [, sign, hours, minutes] = /GMT([+-])(\d+):(\d+)/.exec(format("offset", seconds * 1000)) ?? [null, "+", 0, 0];
  return Number(`${sign}1`) * (hours * 3600 + minutes * 60);
}
