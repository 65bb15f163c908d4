// The latest rejected events, and the bytes that they came in.

import { raw, Refused } from "./api.js";
import { byId, element, fill } from "./dom.js";
import { count, preciseInstant, sourceName } from "./text.js";

const MOST_SHOWN = 65_536; // characters of an object: the whole of it can be saved

export function showRejected(events) {
  fill(byId("rejected-list"), JSON.stringify(events), () =>
    events.length === 0 ? [element("li", { class: "note" }, "None in this time.")] : events.map(entry));
}

function entry(event) {
  const reasons = event.violations.map(({ code, message }) => element("li", {}, element("code", {}, code), ` ${message}`));
  const when = preciseInstant(event.received_at);
  const open = element("button", {
    type: "button", class: "small", "aria-label": `Raw bytes of the event of ${when}`, onclick: () => openRaw(event),
  }, "Raw bytes");
  const head = element("p", { class: "head" },
    element("time", { datetime: event.received_at }, when),
    element("span", { class: "from" }, sourceName(event.source ?? "")), open);
  return element("li", {}, head, element("ul", { class: "reasons" }, ...reasons));
}

let opened = null; // the bytes in the dialog
let asking = null;

async function openRaw(event) {
  const dialog = byId("raw");
  asking?.abort();
  asking = new AbortController();
  opened = null;
  byId("raw-save").disabled = true;
  byId("raw-title").textContent = `Raw bytes of ${event.raw_id}`;
  byId("raw-note").textContent = "Fetching them …";
  byId("raw-text").replaceChildren();
  dialog.showModal();
  try {
    opened = { ...(await raw(event.raw_id, asking.signal)), name: `${event.raw_id}.json` };
    byId("raw-save").disabled = false;
    showBytes(opened, event.item);
  } catch (error) {
    if (error.name === "AbortError") return;
    const reason = error instanceof Refused ? error.message : "The API can’t be reached.";
    byId("raw-note").textContent = `They can’t be shown. ${reason}`;
  }
}

function showBytes({ bytes, type, isUnpacked }, item) {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const [before, event, after] = parts(text, type, item);
  const shown = event.slice(0, MOST_SHOWN);
  const around = Math.floor((MOST_SHOWN - shown.length) / 2);
  const start = before.slice(Math.max(before.length - around, 0)), rest = after.slice(0, around);
  const isWhole = start.length + shown.length + rest.length === text.length;
  const size = `${count(bytes.length)} bytes${isUnpacked ? ", unpacked from gzip" : ""}${type ? `, ${type}` : ""}.`;
  byId("raw-note").textContent = isWhole ? size : `${size} A part is shown; all of it can be saved.`;
  const mark = element("mark", { "aria-label": "This event" }, shown);
  byId("raw-text").replaceChildren(start, before || after ? mark : shown, rest);
  mark.scrollIntoView({ block: "center" });
}

// What is before the event, the event, and what is after it. Of NDJSON, blank lines don't count.
function parts(text, type, item) {
  if (!/ndjson|jsonl/i.test(type)) return ["", text, ""];
  let start = 0, left = item;
  for (const line of text.split("\n")) {
    if (/[^ \t\r]/.test(line) && left-- === 0) {
      return [text.slice(0, start), line, text.slice(start + line.length)];
    }
    start += line.length + 1;
  }
  return ["", text, ""];
}

function save() {
  const address = URL.createObjectURL(new Blob([opened.bytes], { type: "application/octet-stream" }));
  element("a", { href: address, download: opened.name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

byId("raw-save").addEventListener("click", save);
byId("raw-close").addEventListener("click", () => byId("raw").close());
byId("raw").addEventListener("close", () => asking?.abort());
