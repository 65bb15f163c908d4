// A chart with its legend, its summary for screen readers, its keys, and its data: a table, a file, a line for a shell.

import { dataOf as dataMenu } from "./data.js";
import { drawing, element, say, setText, show } from "./dom.js";
import { areaOf, besideSpikes, extentOf, filled, lineOf, scaleOf, spikesOf, stepsOf, sumsOf, ticksOf, timeTicksOf } from "./drawn.js";
import { instant, number, offsetAt, tick } from "./text.js";

const DRAG = 8; // pixels: less is a click
const TABLE_ROWS = 200; // the latest
const FEW = 3; // buckets: less is no chart
const SIDES = { top: 14, right: 8, bottom: 24, left: 58 }; // pixels around what is drawn
const TICK = { height: 28, letter: 8 }; // pixels from one to the next, at least; and of a letter, with some room

const SPIKE_ROOM = 90; // pixels that the label of a sum that is cut takes

const PAPER = matchMedia("print");
const colour = (name) => `var(--${name})`;
const charts = new Set(); // which show the same instant under the pointer

export class Chart {
  // spec: {times, range, kind: "stack" | "lines" | "band", lines: [{label, colour, values, low?, high?, dash?, hatched?}],
  //        unit, format?, note?, data: {name, path, parameters}}
  constructor(host, { title, height = 180, onZoom, onReset, onFactor }) {
    this.title = title;
    this.height = height;
    this.act = { onZoom, onReset, onFactor };
    this.spec = null;
    this.place = null; // of the bucket that is looked at
    this.legend = element("p", { class: "legend" });
    this.note = element("p", { class: "note", hidden: "" });
    this.few = element("p", { class: "few", hidden: "" });
    this.svg = drawing("svg", { height, "aria-hidden": "true" });
    this.canvas = element("div", { class: "canvas", tabindex: "0", role: "group", "aria-describedby": "keys" }, this.svg);
    this.table = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}: table` });
    this.menu = dataMenu(() => this.spec.data);
    this.details = element("details", {}, element("summary", {}, "Data"), this.menu, this.table);
    this.details.addEventListener("toggle", () => this.#fillTable());
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#listen();
    host.replaceChildren(element("h2", {}, title), this.note, this.legend, this.few, this.canvas, this.details);
    new ResizeObserver(() => this.#plot()).observe(this.canvas);
    PAPER.addEventListener("change", () => this.#plot()); // a change that no resize event reports
    charts.add(this);
  }

  draw(spec) {
    this.spec = spec;
    const buckets = filled(spec.lines);
    const isFew = buckets < FEW;
    setText(this.note, spec.note ?? "");
    show(this.note, Boolean(spec.note) && !isFew);
    show(this.few, isFew);
    show(this.canvas, !isFew);
    show(this.legend, !isFew);
    show(this.details, buckets > 0);
    if (isFew) setText(this.few, this.#inWords(buckets));
    this.canvas.setAttribute("aria-label", this.#summary());
    this.#fillLegend();
    this.#plot();
    this.#fillTable();
  }

  #plot() {
    const width = this.canvas.clientWidth;
    if (this.spec === null || width === 0) return;
    const { kind, lines, range, times } = this.spec;
    const [left, right, bottom] = [SIDES.left, width - SIDES.right, this.height - SIDES.bottom];
    const [least, most] = extentOf(kind, lines);
    const x = scaleOf(range.from, range.to, left, right);
    const y = scaleOf(least, most, bottom, SIDES.top);
    const edges = [...times, range.to].map((at) => Math.round(x(at)));
    const middles = times.map((_, at) => (edges[at] + edges[at + 1]) / 2);
    this.scale = { x, y, left, right, bottom, middles };
    this.selection = drawing("rect", { class: "selection", y: SIDES.top, height: bottom - SIDES.top, width: 0 });
    this.cursor = drawing("g", {});
    const shapes = kind === "stack" ? stackOf(lines, edges, y, most) : linesOf(lines, middles, y);
    const spikes = kind === "stack" ? this.#spikes(edges, most) : [];
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`); // where paper is narrower, and is not drawn again
    this.svg.replaceChildren(...this.#axes(least, most), ...shapes, ...spikes, this.cursor, this.selection);
    this.#look(this.place);
  }

  #axes(least, most) {
    const { x, y, left, right, bottom } = this.scale;
    const { from, to } = this.spec.range;
    const rows = ticksOf(least, most, Math.floor((bottom - SIDES.top) / TICK.height)).flatMap((value) => [
      drawing("path", { class: "grid", d: `M${left} ${Math.round(y(value)) + 0.5}H${right}` }),
      drawing("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, this.#format(value)),
    ]);
    const fitting = (letters) => timeTicksOf(from, to, Math.max(Math.floor((right - left) / (letters * TICK.letter)), 1), offsetAt);
    const short = fitting("12:00 ".length);
    const { ticks, step } = short.step < 60 ? fitting("12:00:00 ".length) : short;
    const columns = ticks.flatMap((at) => {
      const line = drawing("path", { class: "grid", d: `M${Math.round(x(at)) + 0.5} ${SIDES.top}V${bottom + 5}` });
      const text = tick(at, step);
      // None is cut at the end.
      if (x(at) + (text.length * TICK.letter) / 2 > right + SIDES.right) return [line];
      return [line, drawing("text", { x: x(at), y: this.height - 5, "text-anchor": "middle" }, text)];
    });
    return [...rows, ...columns];
  }

  // Sums that are cut say how high they are.
  #spikes(edges, most) {
    return spikesOf(sumsOf(this.spec.lines), edges, most, SPIKE_ROOM).map((spike) => {
      const text = `▲ ${spike.count > 1 ? "up to " : ""}${this.#format(spike.top)}`;
      return drawing("text", { class: "spike", y: SIDES.top + 9, ...besideSpikes(spike, edges, SPIKE_ROOM) }, text);
    });
  }

  #format(value) {
    return (this.spec.format ?? number)(value);
  }

  // ---- the pointer -------------------------------------------------------------------------------------------------

  #listen() {
    const { canvas } = this;
    let from = null; // where a drag began
    const inside = (event) => {
      const { left, right } = this.scale;
      return Math.min(Math.max(event.clientX - canvas.getBoundingClientRect().left, left), right);
    };
    const select = (start, end) => {
      this.selection.setAttribute("x", Math.min(start, end));
      this.selection.setAttribute("width", Math.abs(end - start));
    };
    const end = () => {
      from = null;
      select(0, 0);
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = inside(event);
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const at = this.#instantAt(inside(event));
      lookAt(at);
      if (from !== null) select(from, inside(event));
    });
    canvas.addEventListener("pointerup", (event) => {
      if (from === null) return;
      const [first, last] = [from, inside(event)].sort((one, other) => one - other);
      end();
      if (last - first >= DRAG) this.act.onZoom(this.#instantAt(first), this.#instantAt(last));
    });
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("pointerleave", () => lookAt(null));
    canvas.addEventListener("dblclick", () => this.act.onReset());
  }

  #instantAt(pixel) {
    const { from, to } = this.spec.range;
    const { left, right } = this.scale;
    return from + ((pixel - left) / (right - left)) * (to - from);
  }

  // Shows the bucket that an instant is in.
  lookAt(at) {
    if (this.spec === null) return;
    const { times, range } = this.spec;
    const place = at === null || at >= range.to ? -1 : times.findLastIndex((start) => start <= at);
    this.#look(place < 0 ? null : place);
  }

  // Shows a bucket: where it is, and in the legend what it has; of null the latest, where that says something.
  #look(place) {
    const { kind, lines, times } = this.spec;
    const isAt = place !== null && place < times.length;
    this.place = isAt ? place : null;
    const last = isAt ? place : kind === "band" ? lines[0].values.findLastIndex((value) => value !== null) : -1;
    this.values.forEach((node, at) => {
      node.textContent = last < 0 ? "" : this.#valueAt(lines[at], last) + (kind === "band" ? this.#unit() : "");
    });
    this.at.textContent = last < 0 ? "" : this.#instant(times[last]);
    if (this.cursor === undefined) return;
    const { y, bottom, middles } = this.scale;
    const marks = isAt ? [drawing("path", { class: "cursor", d: `M${Math.round(middles[place]) + 0.5} ${SIDES.top}V${bottom}` })] : [];
    if (isAt && kind !== "stack") {
      for (const { values, colour: name } of lines) {
        if (values[place] !== null) marks.push(drawing("circle", { cx: middles[place], cy: y(values[place]), r: 3.5, fill: colour(name) }));
      }
    }
    this.cursor.replaceChildren(...marks);
  }

  #fillLegend() {
    const { kind, lines } = this.spec;
    this.values = lines.map(() => element("b", {}));
    this.at = element("span", { class: "at" });
    const keys = lines.map((line, at) => {
      const form = line.hatched ? "hatched" : kind === "stack" ? "" : line.dash ? "dashed" : "line";
      const swatch = element("span", { class: `swatch ${form}` });
      swatch.style.setProperty("--swatch", colour(line.colour));
      return element("span", { class: "key" }, swatch, `${line.label} `, this.values[at]);
    });
    this.legend.replaceChildren(...(kind === "band" ? this.values : keys), this.at);
  }

  #instant(seconds) {
    return instant(seconds, this.spec.range.step);
  }

  #valueAt(line, place) {
    const middle = this.#format(line.values[place]);
    if (!line.low || line.values[place] === null) return middle;
    const deviation = line.high[place] === null ? null : line.high[place] - line.values[place];
    return `${middle} ± ${number(deviation, 3)}`;
  }

  #unit() {
    return this.spec.unit ? ` ${this.spec.unit}` : "";
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { place } = this;
    const { times } = this.spec;
    const to = {
      ArrowLeft: (place ?? times.length) - 1,
      ArrowRight: (place ?? -1) + 1,
      Home: 0,
      End: times.length - 1,
    }[event.key];
    if (to !== undefined) this.#moveTo(Math.min(Math.max(to, 0), times.length - 1));
    else if (event.key === "+" || event.key === "=") this.act.onFactor(0.5, times[place]);
    else if (event.key === "-") this.act.onFactor(2, times[place]);
    else if (event.key === "0") this.act.onReset();
    else return;
    event.preventDefault();
  }

  #moveTo(place) {
    const { times, lines } = this.spec;
    lookAt(times[place]);
    const values = lines.map((line) => `${line.label}: ${this.#valueAt(line, place)}${this.#unit()}`);
    say(`${this.#instant(times[place])}. ${values.join(", ")}`);
  }

  #summary() {
    const { spec } = this;
    const extremes = spec.lines.map((line) => {
      const known = line.values.filter((value) => value !== null);
      if (known.length === 0) return `${line.label}: nothing`;
      const least = known.reduce((one, other) => Math.min(one, other));
      const most = known.reduce((one, other) => Math.max(one, other));
      return `${line.label}: ${this.#format(least)} to ${this.#format(most)}`;
    });
    const unit = spec.unit ? `, in ${spec.unit}` : "";
    return `Chart: ${this.title}${unit}, ${instant(spec.range.from)} to ${instant(spec.range.to)}. ${extremes.join("; ")}.`;
  }

  #inWords(buckets) {
    if (buckets === 0) return "Nothing in this time.";
    const { times, lines } = this.spec;
    const sentences = times.flatMap((at, place) => {
      const shown = lines.filter(({ values }) => values[place]);
      if (shown.length === 0) return [];
      return [`${this.#instant(at)}: ${shown.map((line) => `${line.label} ${this.#valueAt(line, place)}${this.#unit()}`).join(", ")}.`];
    });
    return `${sentences.join(" ")} Too little for a chart.`;
  }

  #fillTable() {
    if (!this.details.open || this.spec === null) return;
    const { times, lines } = this.spec;
    const rows = [];
    for (let at = times.length - 1; at >= 0 && rows.length < TABLE_ROWS; at -= 1) {
      if (lines.every((line) => !line.values[at])) continue;
      const cells = lines.map((line) => element("td", {}, this.#valueAt(line, at)));
      rows.push(element("tr", {}, element("th", { scope: "row" }, this.#instant(times[at])), ...cells));
    }
    const heads = ["From", ...lines.map((line) => line.label)].map((text) => element("th", { scope: "col" }, text));
    this.table.replaceChildren(
      element(
        "table",
        {},
        element("caption", { class: "unseen" }, this.title),
        element("thead", {}, element("tr", {}, ...heads)),
        element("tbody", {}, ...rows),
      ),
    );
  }
}

function lookAt(at) {
  for (const chart of charts) chart.lookAt(at);
}

// Paper has no pointer.
matchMedia("print").addEventListener("change", () => lookAt(null));

// So that outcomes differ by more than their colours.
const hatch = (name) =>
  drawing(
    "pattern",
    { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse" },
    drawing("rect", { width: 6, height: 6, fill: colour(name) }),
    drawing("path", { d: "M-1 1L1 -1M0 6L6 0M5 7L7 5", stroke: colour("panel") }),
  );

function stackOf(lines, edges, y, most) {
  const patterns = lines.filter(({ hatched }) => hatched).map((line) => hatch(line.colour));
  const paths = stepsOf(lines, edges, y, most).map((d, at) =>
    drawing("path", { d, fill: lines[at].hatched ? "url(#hatch)" : colour(lines[at].colour) }),
  );
  return [...patterns, ...paths];
}

function linesOf(lines, xs, y) {
  return lines.flatMap(({ values, low, high, colour: name, dash }) => {
    const { line, dots } = lineOf(values, xs, y);
    const area = low ? [drawing("path", { class: "area", d: areaOf(low, high, xs, y), fill: colour(name) })] : [];
    return [
      ...area,
      drawing("path", { class: "line", d: line, stroke: colour(name), "stroke-dasharray": dash }),
      drawing("path", { class: "dots", d: dots, stroke: colour(name) }),
    ];
  });
}
