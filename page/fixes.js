// What to change in a rejected event, and the event to send in its place.

const FIXES = {
  "payload.not_json": "Send complete JSON in UTF-8: the text ends too early, or holds a character that JSON doesn’t allow.",
  "payload.not_object": "Send an object with time_stamp and data, not a bare value.",
  "payload.missing_field": "Add the field.",
  "payload.unsupported_version": "Set schema_version to 1 or 2, or leave it out.",
  "time_stamp.not_string": 'Write the time as text: "2026-11-24T06:00:00Z".',
  "time_stamp.not_iso8601": "Write the time as 2026-11-24T06:00:00Z: year first, T between date and time, an offset at the end.",
  "time_stamp.no_timezone": "Add the offset to the time: Z for UTC, or as +01:00. Without it the instant is unknown.",
  "time_stamp.out_of_range": "Check the clock of the sender: the instant is outside the years 1 to 9999.",
  "data.not_array": "Send data as an array of numbers, also for one: [21.5].",
  "data.empty": "Send at least one number, or no event where nothing was measured.",
  "data.not_numeric": 'Leave out what is not a number: null, true and text such as "n/a" are not, and neither is "21.5" in quotes.',
  "data.not_finite": "Send numbers that a 64-bit float can hold: NaN and Infinity are not allowed.",
  "source.invalid": "Send the source as text of at most 200 characters, without control characters.",
  "unit.invalid": "Send the unit as text of at most 50 characters, without control characters.",
  "tags.invalid": "Send tags as an object of at most 16 texts: numbers go in quotes.",
  "corrects.invalid": 'Name the rejected event as {"raw_id": "…", "item": 0}.',
  "payload.empty_batch": "Send at least one event.",
  "payload.not_gzip": "Compress the body again: it is damaged or cut off.",
  "payload.too_large": "Send it in parts: unpacked it has more than 16 MiB.",
};

export const fixOf = ({ code, rule }) =>
  FIXES[code] ??
  (rule ? `Its data contract forbids this (rule ${rule}): send another value, or change the contract.` : "Change it as the message says.");

// What is wrong, as a sentence without its full stop.
export const sentenceOf = ({ field, message }) => `${field === "$" ? "The event" : field} ${message}`;

// The event with its reference to the rejected one; null where its text is no object.
export function correction(text, { raw_id, item }) {
  let event;
  try {
    event = JSON.parse(text);
  } catch {
    return null;
  }
  if (event === null || typeof event !== "object" || Array.isArray(event)) return null;
  return JSON.stringify({ ...event, schema_version: 2, corrects: { raw_id, item } });
}
