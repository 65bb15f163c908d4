// Rejected events by rule and source, a page at a time: why, the bytes that they came in, and what to send instead.

import * as api from "./api.js";
import { csvOf, curlOf, curlToSend } from "./curl.js";
import { openLine } from "./data.js";
import { byId, element, fill, save, setText, show } from "./dom.js";
import { correction, fixOf, sentenceOf } from "./fixes.js";
import { eventSpan, violationSpans } from "./spans.js";
import { count, counted, preciseInstant, sourceName } from "./text.js";

const PAGE = 25;
const MOST_SHOWN = 65_536; // characters of an object: the whole of it can be saved

let asked = null; // the selection that is shown: parameters of GET /rejections
let shown = []; // its events
let cursor = null;

// The first page, of the newest; what was loaded beyond it stays until something else is selected.
export async function refreshRejected(parameters, signal, isNew) {
  if (!isNew && shown.length > PAGE) return;
  const page = await api.rejections({ ...parameters, limit: PAGE }, signal);
  asked = parameters;
  shown = page.rejections;
  cursor = page.cursor ?? null;
  draw();
}

export function showSelection(rules, rule, linkTo) {
  const chips = [[null, "All"], ...rules.map(([name, times]) => [name, `${name} (${count(times)})`])];
  if (rule !== null && !rules.some(([name]) => name === rule)) chips.push([rule, `${rule} (0)`]);
  fill(byId("rejected-rules"), JSON.stringify([chips, rule, linkTo("")]), () =>
    chips.map(([name, text]) => element("a", { class: "chip", href: linkTo(name), "aria-current": name === rule ? "true" : null }, text)),
  );
}

function draw() {
  fill(byId("rejected-list"), JSON.stringify(shown), () =>
    shown.length === 0 ? [element("li", { class: "note" }, "None in this time.")] : shown.map(entry),
  );
  show(byId("rejected-more"), cursor !== null);
  for (const id of ["rejected-export", "rejected-curl"]) byId(id).disabled = shown.length === 0;
  setText(byId("rejected-count"), shown.length === 0 ? "" : `${counted(shown.length, "event")}${cursor === null ? "" : ", and more"}`);
}

function entry(event) {
  const reasons = event.violations.map((violation) => element("li", {}, element("code", {}, violation.code), ` ${sentenceOf(violation)}`));
  const when = preciseInstant(event.received_at);
  const open = element(
    "button",
    { type: "button", class: "small", "aria-label": `Look into the event of ${when}`, onclick: () => openEvent(event) },
    "Look into it",
  );
  const head = element(
    "p",
    { class: "head" },
    element("time", { datetime: event.received_at }, when),
    element("span", { class: "from" }, sourceName(event.source)),
    event.resolved_by ? element("span", { class: "resolved" }, "✓ resolved") : null,
  );
  return element("li", {}, head, open, element("ul", { class: "reasons" }, ...reasons));
}

async function more() {
  const button = byId("rejected-more");
  button.disabled = true;
  try {
    const page = await api.rejections({ ...asked, limit: PAGE, cursor }, new AbortController().signal);
    shown = [...shown, ...page.rejections];
    cursor = page.cursor ?? null;
    draw();
  } catch (error) {
    setText(byId("rejected-count"), `More can’t be fetched: ${error.detail ?? "the API can’t be reached"}`);
  }
  button.disabled = false;
}

async function exportAll() {
  const button = byId("rejected-export");
  button.disabled = true;
  const note = byId("rejected-count");
  try {
    const { rows, isWhole } = await api.allRejections(asked, new AbortController().signal, (number) =>
      setText(note, `Fetching them: ${count(number)} so far`),
    );
    const columns = ["received_at", "source", "raw_id", "item", "codes", "messages", "contract", "resolved_by_raw_id"];
    const cells = rows.map((row) => [
      row.received_at,
      row.source,
      row.raw_id,
      row.item,
      row.violations.map(({ code }) => code).join(" "),
      row.violations.map(({ field, message }) => `${field} ${message}`).join("; "),
      row.contract,
      row.resolved_by?.raw_id ?? "",
    ]);
    save("rejections.csv", [csvOf(columns, cells)], "text/csv");
    setText(note, `${counted(rows.length, "event")} saved${isWhole ? "" : "; there are more: choose a shorter time"}`);
  } catch (error) {
    setText(note, `They can’t be fetched: ${error.detail ?? "the API can’t be reached"}`);
  }
  button.disabled = false;
}

// ---- one event ---------------------------------------------------------------------------------------------------

let opened = null; // the bytes in the dialog
let asking = null;

async function openEvent(event) {
  asking?.abort();
  asking = new AbortController();
  opened = null;
  byId("raw-save").disabled = true;
  setText(byId("raw-title"), `Event ${event.item} of ${event.raw_id}`);
  setText(byId("raw-note"), "Fetching its bytes …");
  byId("raw-text").replaceChildren();
  show(byId("raw-again"), false);
  byId("raw-reasons").replaceChildren(
    ...event.violations.map((violation) =>
      element(
        "li",
        {},
        element("code", {}, violation.code),
        ` ${sentenceOf(violation)}. `,
        element("span", { class: "fix" }, fixOf(violation)),
      ),
    ),
  );
  byId("raw").showModal();
  try {
    opened = { ...(await api.raw(event.raw_id, asking.signal)), name: `${event.raw_id}.json` };
    byId("raw-save").disabled = false;
    showBytes(opened, event);
  } catch (error) {
    if (error.name === "AbortError") return;
    setText(byId("raw-note"), `They can’t be shown: ${error.kind === "refused" ? error.detail : "the API can’t be reached"}`);
  }
}

function showBytes({ bytes, type, isUnpacked }, event) {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const { start, end } = eventSpan(text, type, event.item);
  const own = text.slice(start, end);
  const spans = violationSpans(own, event.violations);
  const [before, inside, after] = [text.slice(0, start), own.slice(0, MOST_SHOWN), text.slice(end)];
  const around = Math.floor((MOST_SHOWN - inside.length) / 2);
  const head = before.slice(Math.max(before.length - around, 0));
  const tail = after.slice(0, around);
  const isWhole = head.length + inside.length + tail.length === text.length;
  const size = `${counted(bytes.length, "byte")}${isUnpacked ? ", unpacked from gzip" : ""}${type ? `, ${type}` : ""}.`;
  setText(byId("raw-note"), isWhole ? size : `${size} A part is shown; all of it can be saved.`);
  const parts = [];
  let at = 0;
  for (const span of spans) {
    parts.push(inside.slice(at, span.start), element("em", { title: "This breaks a rule" }, inside.slice(span.start, span.end)));
    at = span.end;
  }
  parts.push(inside.slice(at));
  const mark = element(before || after ? "mark" : "span", before || after ? { "aria-label": "This event" } : {}, ...parts);
  byId("raw-text").replaceChildren(head, mark, tail);
  mark.scrollIntoView({ block: "center" });
  const again = correction(own, event);
  show(byId("raw-again"), again !== null);
  if (again !== null) byId("raw-correction").value = again;
}

export function startRejected() {
  byId("rejected-more").addEventListener("click", more);
  byId("rejected-export").addEventListener("click", exportAll);
  byId("rejected-curl").addEventListener("click", () => openLine("The line for a shell", curlOf(api.base(), "rejections", asked)));
  byId("raw-save").addEventListener("click", () => save(opened.name, [opened.bytes], "application/octet-stream"));
  byId("raw-close").addEventListener("click", () => byId("raw").close());
  byId("raw").addEventListener("close", () => asking?.abort());
  byId("raw-curl").addEventListener("click", () => openLine("Send it again", curlToSend(api.base(), byId("raw-correction").value)));
}
