// Where a value is in a text of JSON, so that it can be marked as it was sent.

const SPACE = /[ \t\r\n]*/y;
const STRING = /"(?:[^"\\]|\\.)*"/y;
const PLAIN = /[^ \t\r\n,\]}]+/y;

// The start and end of the value at a path of names and indices; null where there is none. Of names that come twice the
// last counts, as in parsing.
export function spanOf(text, path) {
  try {
    const whole = new Reader(text);
    return whole.find(path);
  } catch {
    return null; // it isn't JSON
  }
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) throw new SyntaxError(`at ${this.at}`);
    this.at = pattern.lastIndex;
    return found[0];
  }

  // Reads a value, and answers where what the path leads to is in it.
  find(path) {
    this.match(SPACE);
    const start = this.at;
    const opening = this.text[this.at];
    let found = null;
    if (opening === "{" || opening === "[") {
      const isObject = opening === "{";
      this.at += 1;
      for (let index = 0; ; index += 1) {
        this.match(SPACE);
        if (this.text[this.at] === (isObject ? "}" : "]")) break;
        let name = index;
        if (isObject) {
          name = JSON.parse(this.match(STRING));
          this.match(SPACE);
          this.at += 1; // the colon
        }
        const isWanted = path !== null && path.length > 0 && path[0] === name;
        const inside = this.find(isWanted ? path.slice(1) : null);
        if (isWanted) found = inside;
        this.match(SPACE);
        if (this.text[this.at] === ",") this.at += 1;
        else if (this.text[this.at] !== (isObject ? "}" : "]")) throw new SyntaxError(`at ${this.at}`);
      }
      this.at += 1;
    } else this.match(opening === '"' ? STRING : PLAIN);
    return path !== null && path.length === 0 ? { start, end: this.at } : found;
  }
}

// The event in a body: a line of NDJSON, an entry of an array, or all of it. Of NDJSON, blank lines don't count.
export function eventSpan(text, type, item) {
  if (!/ndjson|jsonl/i.test(type)) {
    return (/^[\ufeff \t\r\n]*\[/.test(text) ? spanOf(text.replace("\ufeff", " "), [item]) : null) ?? { start: 0, end: text.length };
  }
  let start = 0;
  let left = item;
  for (const line of text.split("\n")) {
    if (/[^ \t\r]/.test(line) && left-- === 0) return { start, end: start + line.length };
    start += line.length + 1;
  }
  return { start: 0, end: text.length };
}

// Where in an event's text each violation is; those of what is missing, or of all of it, are nowhere.
export function violationSpans(text, violations) {
  const spans = [];
  for (const { field, index } of violations) {
    if (field === "$") continue;
    const path = field.split(".");
    const span = (index !== undefined && spanOf(text, [...path, index])) || spanOf(text, path) || spanOf(text, [field]);
    if (span && !spans.some((other) => other.start < span.end && span.start < other.end)) spans.push(span);
  }
  return spans.sort((one, other) => one.start - other.start);
}
