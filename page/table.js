// The table of sources. Of thousands, the rows that can be seen are there, and no others.

import { byId, drawing, element, fill, setText, show } from "./dom.js";
import { arranged, isBad, sparkline, stateOf } from "./sources.js";
import { ago, count, counted, nameParts, percent, preciseInstant, sourceName, withUnit } from "./text.js";

const ALL_AT_ONCE = 25; // more scroll in a box of their own
const ROW = 40; // pixels, as in page.css
const AROUND = 8; // rows above and below those that are seen
const AGO = " ago"; // is left out where there is little room
const PAPER = matchMedia("print"); // doesn't scroll
const TREND = { width: 96, height: 22 };
const STATES = { ok: ["●", "ok"], late: ["◐", "late"], silent: ["○", "silent"], stuck: ["▬", "stuck"], unnamed: ["–", "unnamed"] };
const COLUMNS = [
  ["state", "State"],
  ["source", "Source"],
  [null, "Last value"],
  [null, "Last 24 hours"],
  ["seen", "Last seen"],
  ["received", "Received"],
  ["rejected", "Rejected"],
];

export class SourcesTable {
  // linkTo(source): the address of its view; open(source) goes there; learnTrend(source) fetches what is missing.
  constructor({ linkTo, open, learnTrend }) {
    this.act = { linkTo, open, learnTrend };
    this.sources = [];
    this.shown = [];
    this.rows = new Map();
    this.order = "state";
    this.isReversed = false;
    this.isPrinted = false;
    this.box = byId("sources-rows");
    this.above = element("tr", { class: "space", "aria-hidden": "true" });
    this.below = element("tr", { class: "space", "aria-hidden": "true" });
    this.body = element("tbody", {}, this.above, this.below);
    this.head = element("tr", {});
    this.table = element("table", { class: "sources", "aria-labelledby": "sources-title" }, element("thead", {}, this.head), this.body);
    this.box.append(this.table);
    this.box.addEventListener("scroll", () => this.#place(), { passive: true });
    new ResizeObserver(() => this.#place()).observe(this.box);
    // The browser counts pages before the media query changes: rows that are added only then would be cut off.
    for (const [event, isPrinted] of [
      ["beforeprint", true],
      ["afterprint", false],
    ]) {
      addEventListener(event, () => {
        this.isPrinted = isPrinted;
        this.#place();
      });
    }
    PAPER.addEventListener("change", () => this.#place()); // by the tools of developers
  }

  draw(sources, filter, isWhole) {
    this.sources = sources;
    this.filter = filter;
    this.shown = arranged(sources, filter, this.order, this.isReversed);
    this.box.classList.toggle("tall", this.shown.length > ALL_AT_ONCE);
    this.table.setAttribute("aria-rowcount", this.shown.length + 1);
    this.#fillHead();
    this.#place();
    const of = filter ? ` of ${count(sources.length)}` : "";
    setText(byId("sources-count"), `${count(this.shown.length)}${of}${isWhole ? "" : ", loading more …"}`);
    const none = byId("sources-none");
    setText(
      none,
      sources.length > 0 && this.shown.length === 0 ? `No source matches “${filter}”, neither by its name nor by its state.` : "",
    );
    show(none, none.textContent !== "");
    show(this.box, this.shown.length > 0);
  }

  #fillHead() {
    fill(this.head, JSON.stringify([this.order, this.isReversed]), () =>
      COLUMNS.map(([order, title]) => {
        if (order === null) return element("th", { scope: "col" }, title);
        const isIt = order === this.order;
        const sort = isIt ? (this.isReversed ? "descending" : "ascending") : null;
        const arrow = isIt ? element("span", { "aria-hidden": "true" }, this.isReversed ? " ↑" : " ↓") : null;
        const button = element("button", { type: "button", class: "sort", onclick: () => this.#sort(order) }, title, arrow);
        return element("th", { scope: "col", "aria-sort": sort, class: `of-${order}` }, button);
      }),
    );
  }

  #sort(order) {
    this.isReversed = order === this.order && !this.isReversed;
    this.order = order;
    this.shown = arranged(this.sources, this.filter, this.order, this.isReversed);
    this.#fillHead();
    this.head.children[COLUMNS.findIndex(([each]) => each === order)].firstElementChild.focus();
    this.#place();
  }

  // Those that are seen, and some around them; on paper all. Rows that stay are not moved, so that they keep the focus.
  #place() {
    const isPrinted = this.isPrinted || PAPER.matches;
    const isTall = this.box.classList.contains("tall") && !isPrinted;
    const first = isTall ? Math.max(Math.floor(this.box.scrollTop / ROW) - AROUND, 0) : 0;
    const last = isTall ? Math.min(first + Math.ceil(this.box.clientHeight / ROW) + 2 * AROUND, this.shown.length) : this.shown.length;
    const wanted = this.shown.slice(first, last);
    const names = new Set(wanted.map(({ source }) => source));
    for (const [name, row] of this.rows) {
      if (names.has(name)) continue;
      row.remove();
      this.rows.delete(name);
    }
    this.above.style.height = `${first * ROW}px`;
    this.below.style.height = `${(this.shown.length - last) * ROW}px`;
    let next = this.above.nextSibling;
    wanted.forEach((source, at) => {
      let row = this.rows.get(source.source);
      if (row === undefined) {
        row = this.#makeRow(source.source);
        this.rows.set(source.source, row);
      }
      this.#fillRow(row, source);
      row.setAttribute("aria-rowindex", first + at + 2);
      if (row === next) next = next.nextSibling;
      else this.body.insertBefore(row, next);
      if (source.trend === null && !isPrinted) this.act.learnTrend(source);
    });
  }

  #makeRow(name) {
    return element("tr", {
      onclick: (event) => {
        if (!event.target.closest("a")) this.act.open(name);
      },
    });
  }

  #fillRow(row, source) {
    const { last_mean, unit, last_measured_at, last_day } = source;
    const seen = last_measured_at === null ? "never" : ago(Date.now() - Date.parse(last_measured_at));
    fill(row, JSON.stringify([source, seen, this.act.linkTo(source.source)]), () => {
      const state = stateOf(source);
      const [mark, word] = STATES[state];
      const [start, end] = nameParts(sourceName(source.source));
      const link = element(
        "a",
        { class: "name", href: this.act.linkTo(source.source), title: sourceName(source.source), "aria-label": sourceName(source.source) },
        element("span", { class: "start" }, start),
        element("span", { class: "end" }, end),
      );
      const value = last_mean === null ? "–" : withUnit(last_mean, unit);
      const share = last_day.received === 0 ? "–" : percent(last_day.rejected_share);
      return [
        element(
          "td",
          { class: `state ${state}` },
          element("span", { "aria-hidden": "true" }, mark),
          element("span", { class: "word" }, ` ${word}`),
        ),
        // The second line stands in for its column where that has no room.
        element("th", { scope: "row" }, link, isBad(source) ? element("span", { class: "share" }, `${share} rejected`) : null),
        element("td", { class: "value", title: value }, element("span", {}, value)),
        element("td", { class: "trend" }, trendOf(source)),
        element(
          "td",
          { class: "seen", title: last_measured_at === null ? null : preciseInstant(last_measured_at) },
          seen.replace(AGO, ""),
          seen.endsWith(AGO) ? element("span", { class: "word" }, AGO) : null,
        ),
        element("td", { class: "received" }, count(last_day.received)),
        element("td", { class: `rejected${isBad(source) ? " bad" : ""}` }, share),
      ];
    });
  }
}

function trendOf({ trend, unit }) {
  if (trend === null) return "";
  const known = trend.filter((value) => value !== null);
  if (known.length === 0) return "";
  const range = `${withUnit(Math.min(...known), unit)} to ${withUnit(Math.max(...known), unit)}`;
  return drawing(
    "svg",
    {
      class: "spark",
      viewBox: `-1 -2 ${TREND.width + 3} ${TREND.height + 4}`,
      role: "img",
      "aria-label": `${counted(known.length, "hour")}, ${range}`,
    },
    drawing("path", { d: sparkline(trend, TREND.width, TREND.height) }),
  );
}
