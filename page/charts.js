// A chart with its legend, its summary for screen readers, its keys, and its data: a table, a file, a line for a shell.

import uPlot from "uplot";

import { dataOf as dataMenu } from "./data.js";
import { element, say, setText, show } from "./dom.js";
import { filled, sumsOf, topOf } from "./drawn.js";
import { instant, number, tick, zone } from "./text.js";

const SYNC = "dropzone";
const DRAG = 8; // pixels: less is a click
const TABLE_ROWS = 200; // the latest
const ROOM = 1.08; // of an axis, for what it shows
const FEW = 3; // buckets: less is no chart
const AXIS_FONT = "12px system-ui, sans-serif";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export class Chart {
  // spec: {times, range, kind: "stack" | "lines" | "band", lines: [{label, colour, values, low?, high?, dash?, hatched?}],
  //        unit, format?, note?, data: {name, path, parameters}}
  constructor(host, { title, height = 180, onZoom, onReset, onFactor }) {
    this.title = title;
    this.height = height;
    this.act = { onZoom, onReset, onFactor };
    this.spec = null;
    this.plot = null;
    this.shape = "";
    this.legend = element("p", { class: "legend" });
    this.note = element("p", { class: "note", hidden: "" });
    this.few = element("p", { class: "few", hidden: "" });
    this.canvas = element("div", { class: "canvas", tabindex: "0", role: "group", "aria-describedby": "keys" });
    this.table = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}: table` });
    this.menu = dataMenu(() => this.spec.data);
    this.details = element("details", {}, element("summary", {}, "Data"), this.menu, this.table);
    this.details.addEventListener("toggle", () => this.#fillTable());
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    host.replaceChildren(element("h2", {}, title), this.note, this.legend, this.few, this.canvas, this.details);
    this.observer = new ResizeObserver(() => this.#resize());
    this.observer.observe(this.canvas);
  }

  remove() {
    this.observer.disconnect();
    this.plot?.destroy();
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
    if (isFew) setText(this.few, this.#inWords(buckets));
    const shape = JSON.stringify([spec.kind, spec.unit, zone(), spec.lines.map((line) => [line.label, line.colour])]);
    if (shape !== this.shape || this.plot === null) {
      this.shape = shape;
      this.#make();
    } else {
      this.plot.setData(dataOf(spec), false);
      this.plot.setScale("x", { min: spec.range.from, max: spec.range.to });
    }
    this.canvas.setAttribute("aria-label", this.#summary());
    this.#read(this.#place());
    this.#fillTable();
  }

  recolour() {
    if (this.spec) this.#make();
  }

  #make() {
    const { spec } = this;
    this.plot?.destroy();
    this.plot = new uPlot(
      {
        width: Math.max(this.canvas.clientWidth, 50),
        height: this.height,
        padding: [12, null, null, null],
        legend: { show: false },
        tzDate: (at) => uPlot.tzDate(new Date(at * 1000), zone()),
        cursor: {
          drag: { x: true, y: false, setScale: false, dist: DRAG },
          points: { size: 7 },
          sync: { key: SYNC, filters: { pub: (kind) => !/^(mouse(up|down)|dblclick)$/.test(kind) } },
          bind: { dblclick: () => () => this.act.onReset() },
        },
        scales: {
          x: { range: () => [this.spec.range.from, this.spec.range.to] },
          y: { range: spec.kind === "band" ? aroundBand : () => this.#fromZero() },
        },
        axes: [
          axis({ space: 62, size: 30, values: tickTexts }),
          axis({ space: this.height / 6, size: 58, values: (_, ticks) => ticks.map((at) => this.#format(at)) }),
        ],
        series: [{}, ...seriesOf(spec)],
        bands: spec.kind === "band" ? [{ series: [3, 2], fill: faded(spec.lines[0].colour) }] : undefined,
        hooks: {
          draw: [(plot) => this.#markSpikes(plot)],
          setCursor: [() => this.#read(this.#place())],
          setSelect: [(plot) => this.#select(plot)],
        },
      },
      dataOf(spec),
      this.canvas,
    );
    this.values = spec.lines.map(() => element("b", {}));
    this.at = element("span", { class: "at" });
    const keys = spec.lines.map((line, place) => {
      const swatch = element("span", { class: `swatch${line.hatched ? " hatched" : ""}${line.dash ? " dashed" : ""}` });
      swatch.style.setProperty("--swatch", colour(line.colour));
      return element("span", { class: "key" }, swatch, `${line.label} `, this.values[place]);
    });
    this.legend.replaceChildren(...(spec.kind === "band" ? this.values : keys), this.at);
  }

  #format(value) {
    return (this.spec.format ?? number)(value);
  }

  // Of a stack, a spike far above the others is cut, and says how high it is.
  #fromZero() {
    const { kind, lines } = this.spec;
    const top = kind === "stack" ? topOf(sumsOf(lines)) : Math.max(0, ...lines.flatMap(({ values }) => values.filter(Number.isFinite)));
    return [0, top > 0 ? top * ROOM : 1];
  }

  #markSpikes(plot) {
    if (this.spec.kind !== "stack") return;
    const { ctx, bbox, scales } = plot;
    const sums = sumsOf(this.spec.lines);
    ctx.save();
    ctx.fillStyle = colour("ink");
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    for (const [place, sum] of sums.entries()) {
      if (sum <= scales.y.max) continue;
      const left = plot.valToPos(plot.data[0][place], "x", true);
      const isLeft = left > bbox.left + bbox.width * 0.8;
      ctx.textAlign = isLeft ? "right" : "left";
      const right = plot.valToPos(plot.data[0][place + 1], "x", true);
      ctx.fillText(`▲ ${this.#format(sum)}`, isLeft ? left - 4 : right + 4, bbox.top + 10 * devicePixelRatio);
    }
    ctx.restore();
  }

  #resize() {
    const width = this.canvas.clientWidth;
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: this.height });
  }

  // The bucket at the cursor: of steps the one that it is in, of lines the one whose start is nearest.
  #place() {
    const { idx, left } = this.plot.cursor;
    if (idx === null || idx === undefined || left < 0) return null;
    const isLater = this.spec.kind === "stack" && this.plot.data[0][idx] > this.plot.posToVal(left, "x");
    return Math.max(Math.min(idx, this.spec.times.length) - (isLater ? 1 : 0), 0);
  }

  #select(plot) {
    const { left, width } = plot.select;
    if (width < DRAG) return;
    const from = plot.posToVal(left, "x");
    const to = plot.posToVal(left + width, "x");
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.act.onZoom(from, to);
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

  #read(place) {
    const isAt = place !== null && place !== undefined && place < this.spec.times.length;
    const isBand = this.spec.kind === "band";
    const last = isAt ? place : isBand ? lastKnown(this.spec.lines[0].values) : -1;
    this.values.forEach((node, at) => {
      node.textContent = last < 0 ? "" : this.#valueAt(this.spec.lines[at], last) + (isBand ? this.#unit() : "");
    });
    this.at.textContent = last < 0 ? "" : instant(this.spec.times[last]);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { times } = this.spec;
    const place = this.#place();
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
    const { spec, plot } = this;
    const inside = spec.kind === "stack" ? spec.range.step / 2 : 0;
    plot.setCursor({ left: plot.valToPos(spec.times[place] + inside, "x"), top: plot.over.clientHeight / 2 });
    const told = spec.lines.map((line) => `${line.label}: ${this.#valueAt(line, place)}${this.#unit()}`);
    say(`${instant(spec.times[place])}. ${told.join(", ")}`);
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
    const told = times.flatMap((at, place) => {
      const shown = lines.filter(({ values }) => values[place]);
      if (shown.length === 0) return [];
      return [`${instant(at)}: ${shown.map((line) => `${line.label} ${this.#valueAt(line, place)}${this.#unit()}`).join(", ")}.`];
    });
    return `${told.join(" ")} Too little for a chart.`;
  }

  #fillTable() {
    if (!this.details.open || this.spec === null) return;
    const { times, lines } = this.spec;
    const rows = [];
    for (let at = times.length - 1; at >= 0 && rows.length < TABLE_ROWS; at -= 1) {
      if (lines.every((line) => !line.values[at])) continue;
      const cells = lines.map((line) => element("td", {}, this.#valueAt(line, at)));
      rows.push(element("tr", {}, element("th", { scope: "row" }, instant(times[at])), ...cells));
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

const lastKnown = (values) => values.findLastIndex((value) => value !== null);

function axis(more) {
  return {
    stroke: () => colour("quiet"),
    grid: { stroke: () => colour("grid"), width: 1 },
    ticks: { stroke: () => colour("grid"), width: 1, size: 5 },
    font: AXIS_FONT,
    ...more,
  };
}

function tickTexts(_, ticks, __, ___, step) {
  return ticks.map((at) => tick(at, step));
}

function aroundBand(_, least, most) {
  if (least === null || most === null) return [0, 1];
  const room = (most - least) * 0.08 || Math.abs(most) * 0.05 || 1;
  return [least - room, most + room];
}

const faded = (name) => `color-mix(in srgb, ${colour(name)} 32%, transparent)`;

// So that outcomes differ by more than their colours.
function hatch(name) {
  const size = 6 * devicePixelRatio;
  const tile = new OffscreenCanvas(size, size);
  const ctx = tile.getContext("2d");
  ctx.fillStyle = colour(name);
  ctx.fillRect(0, 0, size, size);
  ctx.strokeStyle = colour("panel");
  ctx.lineWidth = devicePixelRatio;
  for (const shift of [-size, 0, size]) {
    ctx.moveTo(shift, size);
    ctx.lineTo(shift + size, 0);
  }
  ctx.stroke();
  return ctx.createPattern(tile, "repeat");
}

// A sum above the axis reaches its end, and keeps its shares.
function stacked(lines) {
  const whole = sumsOf(lines);
  const end = topOf(whole) * ROOM;
  const sums = [];
  for (const line of lines) {
    const below = sums.at(-1);
    sums.push(line.values.map((value, at) => (value ?? 0) * Math.min(end / whole[at] || 0, 1) + (below ? below[at] : 0)));
  }
  // The whole first: what is drawn later covers it. The last bucket ends with the range.
  return sums.reverse().map((values) => [...values, values.at(-1) ?? 0]);
}

function dataOf({ kind, times, lines, range }) {
  if (kind === "stack") return [[...times, range.to], ...stacked(lines)];
  if (kind === "band") return [times, lines[0].values, lines[0].low, lines[0].high];
  return [times, ...lines.map((line) => line.values)];
}

// A value between two empty buckets has no line: it gets a point.
function lonely(plot, series) {
  const values = plot.data[series];
  const isEmpty = (at) => (values[at] ?? null) === null;
  return values.flatMap((_, at) => (!isEmpty(at) && isEmpty(at - 1) && isEmpty(at + 1) ? [at] : []));
}

function seriesOf({ kind, lines }) {
  const hidden = { stroke: "transparent", width: 0, points: { show: false } };
  if (kind === "stack") {
    const stepped = uPlot.paths.stepped({ align: 1 });
    return [...lines].reverse().map((line) => ({
      stroke: () => colour(line.colour),
      fill: () => (line.hatched ? hatch(line.colour) : colour(line.colour)),
      width: 0,
      paths: stepped,
      points: { show: false },
    }));
  }
  const drawn = lines.map((line) => ({
    stroke: () => colour(line.colour),
    width: 1.75,
    dash: line.dash,
    points: { show: true, size: 5, width: 1, fill: () => colour(line.colour), filter: lonely },
  }));
  return kind === "band" ? [...drawn, hidden, hidden] : drawn;
}
