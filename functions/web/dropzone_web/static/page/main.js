// The page: what is asked for, when, and where it is shown.

import * as api from "./api.js";
import { Chart } from "./charts.js";
import { byId, element, fill, show } from "./dom.js";
import { figures, mostAndOthers } from "./figures.js";
import * as ranges from "./range.js";
import { showRejected } from "./rejected.js";
import { count, duration, instant, percent, rough, sourceName, timeOfDay, zone } from "./text.js";

const REFRESH = 10_000;
const COLOURS = 8;
const MOST_MEANS = 12;
const LATEST = 20;
const ALL = "\u0001"; // no source has a control character in its name

const state = { preset: ranges.FIRST, chosen: null, source: ALL, known: new Set(), units: new Map(), asking: null };
let timer = null;
const charts = {};
const means = new Map();

const nowSeconds = () => Date.now() / 1000;
const range = () => state.chosen ?? ranges.lastOf(state.preset.seconds, nowSeconds());
const colourOf = (source) => `colour-${[...state.known].indexOf(source) % COLOURS}`; // in the order in which they were first seen

// ---- asking ------------------------------------------------------------------------------------------------------

async function refresh() {
  clearTimeout(timer);
  state.asking?.abort();
  if (api.key.get() === null) return askForKey();
  const asking = new AbortController();
  state.asking = asking;
  const buckets = ranges.wholeBuckets(range());
  const span = { from: ranges.iso(buckets.from), to: ranges.iso(buckets.to) };
  const source = state.source === ALL ? {} : { source: state.source };
  const days = buckets.granularity === "day" ? { tz: zone() } : {};
  let wait = REFRESH;
  try {
    const [kpis, rejected] = await Promise.all([
      api.kpis({ granularity: buckets.granularity, ...span, ...source, ...days }, asking.signal),
      api.rejections({ ...span, ...source, limit: LATEST }, asking.signal),
    ]);
    await learnUnits(kpis.rows, span, asking.signal);
    showData(figures(kpis.rows, buckets, nowSeconds()), buckets, kpis.isWhole, rejected);
    showTrouble(null);
  } catch (error) {
    if (asking.signal.aborted) return;
    wait = showTrouble(error);
  }
  if (byId("live").checked && wait !== null && !document.hidden) timer = setTimeout(refresh, wait);
}

// A figure has no unit of its own: the latest measurements say it. Without an answer there is none.
async function learnUnits(rows, span, signal) {
  const unknown = new Set(rows.filter((row) => row.events > 0 && !state.units.has(row.source)).map((row) => row.source));
  if (unknown.size === 0) return;
  const learn = async (parameters) => {
    for (const { source, unit } of await api.measurements({ ...span, ...parameters }, signal)) {
      state.units.set(source, unit);
      unknown.delete(source);
    }
  };
  try {
    await learn({ limit: 200 });
    await Promise.all([...unknown].slice(0, MOST_MEANS).map((source) => learn({ source, limit: 1 })));
  } catch {
    if (signal.aborted) return;
  }
  for (const source of unknown) state.units.set(source, "");
}

// ---- trouble -----------------------------------------------------------------------------------------------------

function askForKey(reason = null) {
  clearTimeout(timer);
  state.asking?.abort();
  say(reason);
  byId("state").textContent = "";
  show(byId("shown"), false);
  show(byId("forget"), false);
  show(byId("ask"), true);
  byId("key").focus();
}

function say(text) {
  const box = byId("trouble");
  if (box.textContent !== (text ?? "")) box.textContent = text ?? "";
  show(box, text !== null);
}

// Says what is wrong, and returns how long to wait before it is tried again; null: not at all.
function showTrouble(error) {
  document.body.classList.toggle("stale", error !== null);
  if (error === null) {
    say(null);
    return REFRESH;
  }
  if (error instanceof api.Refused && (error.status === 401 || error.status === 403)) {
    document.body.classList.remove("stale");
    api.key.forget();
    askForKey("The API refuses this key. Check it, and enter it again.");
    return null;
  }
  // The key is not what is wrong: it stays, and the page doesn't ask for it again.
  show(byId("ask"), false);
  show(byId("forget"), true);
  byId("state").textContent = "Not up to date";
  const again = byId("live").checked ? " The page goes on trying." : "";
  if (error instanceof api.Refused) {
    const id = error.requestId ? ` (request ${error.requestId})` : "";
    if (error.status >= 500) say(`The API is unavailable${byId("live").checked ? ", trying again" : ""}: ${error.message}${id}`);
    else say(`${error.status === 429 ? "Too many requests for this key" : `The API answered ${error.status}`}: ${error.message}${id}${again}`);
    return Math.max(REFRESH, (error.retryAfter ?? 0) * 1000);
  }
  if (error instanceof api.Unreachable) {
    say(`The API can’t be reached. What is shown, if anything, is not up to date.${again}`);
    return REFRESH;
  }
  console.error(error);
  say(`This page has a fault: ${error.message}`);
  return REFRESH;
}

// ---- showing -----------------------------------------------------------------------------------------------------

function showData(data, buckets, isWhole, rejected) {
  for (const { name } of data.sources) state.known.add(name);
  show(byId("ask"), false);
  show(byId("shown"), true);
  show(byId("forget"), true);
  showControls();
  byId("state").textContent = `${byId("live").checked ? "Live" : "Paused"} · ${timeOfDay(Date.now())}`;
  const words = { minute: "minute", quarter_hour: "quarter of an hour", hour: "hour", day: "day" }[buckets.granularity];
  const { from, to } = range();
  byId("span").textContent = `${instant(from)} to ${instant(to)}, by ${words} (${zone()})`;
  showNothing(data, isWhole);
  showTiles(data.totals);
  showCharts(data, buckets);
  showRules("rule", data.rules);
  showRules("warning", data.warnings);
  showMeans(data, buckets);
  showRejected(rejected);
}

function showNothing({ totals }, isWhole) {
  const box = byId("nothing");
  const whose = state.source === ALL ? "" : ` of ${sourceName(state.source)}`;
  let text = "";
  if (totals.events === 0 && totals.received === 0) {
    text = `There is no data${whose}: in this time, nothing was measured and nothing arrived. Choose a longer time, or send an event.`;
  } else if (!isWhole) {
    text = "There is more than this page can show, and the end is missing: choose one source, or a shorter time.";
  }
  if (box.textContent !== text) box.textContent = text;
  show(box, text !== "");
  byId("shown").classList.toggle("empty", totals.events === 0 && totals.received === 0);
}

function showTiles(totals) {
  const open = totals.open > 0 ? `${percent(totals.open / totals.received)} of the accepted` : "none of them";
  const warned = totals.flagged > 0 ? `${count(totals.flagged)} of them with warnings` : "";
  const tiles = [
    ["Events per minute", rough(totals.perMinute), `${count(totals.events)} measured in this time`],
    ["Accepted", count(totals.received), "arrived in this time, and validated"],
    ["Processed", count(totals.processed), warned || "became measurements"],
    ["Rejected", count(totals.rejected), totals.rejected > 0 ? `${open} still open` : "broke a rule"],
    ["Latency", duration(totals.latencyMean), `mean; the longest ${duration(totals.latencyMax)}`],
  ];
  fill(byId("tiles"), JSON.stringify(tiles), () => tiles.map(([name, value, more]) =>
    element("div", { class: "tile" }, element("dt", {}, name),
      element("dd", {}, element("b", {}, value), element("span", {}, more)))));
}

function showCharts({ times, sources, arrived, latency }, buckets) {
  const rates = mostAndOthers(sources, COLOURS).map(({ name, label, rate }) => ({
    label: label ?? sourceName(name), colour: name === null ? "quiet" : colourOf(name), values: rate,
  }));
  charts.events.draw({ times, range: buckets, kind: "stack", lines: rates });
  charts.arrived.draw({
    times, range: buckets, kind: "stack",
    lines: [
      { label: "Rejected", colour: "bad", values: arrived.rejected },
      { label: "Processed", colour: "good", values: arrived.processed },
    ],
  });
  charts.latency.draw({
    times, range: buckets, kind: "lines", format: duration,
    lines: [
      { label: "Mean", colour: "colour-0", values: latency.mean },
      { label: "Longest", colour: "colour-1", values: latency.max },
    ],
  });
}

function showRules(kind, rules) {
  const most = rules[0]?.[1];
  fill(byId(`${kind}-list`), JSON.stringify(rules), () => {
    if (rules.length === 0) return [element("p", { class: "note" }, "None in this time.")];
    const rows = rules.map(([rule, times]) => {
      const bar = element("div", { class: "bar", "aria-hidden": "true" });
      bar.style.width = `${Math.max((times / most) * 100, 1)}%`;
      return element("tr", {}, element("th", { scope: "row" }, element("code", {}, rule), bar), element("td", {}, count(times)));
    });
    return [element("table", { "aria-labelledby": `${kind}s-title` }, element("tbody", {}, ...rows))];
  });
}

function showMeans({ times, sources }, buckets) {
  const shown = sources.slice(0, MOST_MEANS);
  const names = new Set(shown.map(({ name }) => name));
  for (const [name, { chart, panel }] of means) {
    if (names.has(name)) continue;
    chart.remove();
    panel.remove();
    means.delete(name);
  }
  for (const { name, mean, low, high } of shown) {
    if (!means.has(name)) {
      const panel = element("section", { class: "panel" });
      byId("means").append(panel);
      means.set(name, { panel, chart: new Chart(panel, { title: sourceName(name), height: 140, ...actions }) });
    }
    means.get(name).chart.draw({
      times, range: buckets, kind: "band", unit: state.units.get(name) ?? "",
      lines: [{ label: "Mean", colour: colourOf(name), values: mean, low, high }],
    });
  }
  const more = sources.length - shown.length;
  byId("means-note").textContent =
    more > 0 ? `The ${MOST_MEANS} with the most events; ${more} more can be chosen as the source.` : "";
  show(byId("means-note"), more > 0);
}

// ---- controls ----------------------------------------------------------------------------------------------------

function showControls() {
  const presets = ranges.PRESETS.map(({ id, label }) => [id, label]);
  if (state.chosen) presets.push([ranges.CHOSEN, "Zoomed"]);
  fill(byId("range"), JSON.stringify(presets), () => presets.map(([value, label]) => element("option", { value }, label)));
  byId("range").value = state.chosen ? ranges.CHOSEN : state.preset.id;
  const sources = [...state.known].sort();
  fill(byId("source"), JSON.stringify(sources), () => [
    element("option", { value: ALL }, "All"),
    ...sources.map((name) => element("option", { value: name }, sourceName(name))),
  ]);
  byId("source").value = state.source;
}

function choose(chosen) {
  state.chosen = chosen;
  showControls();
  refresh();
}

const actions = {
  onZoom: (from, to) => choose(ranges.between(from, to)),
  onReset: () => choose(null),
  onFactor: (factor, at) => choose(ranges.zoomed(range(), factor, at)),
};

function start() {
  if (location.search) history.replaceState(null, "", location.pathname);
  byId("unstarted").remove();
  for (const part of ["header", "main"]) show(document.querySelector(part), true);

  charts.events = new Chart(byId("chart-events"), { title: "Events per minute, by time of measurement", ...actions });
  charts.arrived = new Chart(byId("chart-arrived"), { title: "Accepted events, by time of arrival", ...actions });
  charts.latency = new Chart(byId("chart-latency"), { title: "Latency, from arrival to measurement", ...actions });

  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    api.key.set(byId("key").value.trim());
    byId("key").value = "";
    refresh();
  });
  byId("forget").addEventListener("click", () => {
    api.key.forget();
    askForKey();
  });
  byId("range").addEventListener("change", () => {
    const preset = ranges.PRESETS.find(({ id }) => id === byId("range").value);
    if (preset) state.preset = preset;
    choose(null);
  });
  byId("source").addEventListener("change", () => {
    state.source = byId("source").value;
    refresh();
  });
  byId("live").addEventListener("change", refresh);
  byId("earlier").addEventListener("click", () => choose(ranges.moved(range(), -0.5)));
  byId("later").addEventListener("click", () => choose(ranges.moved(range(), 0.5)));
  byId("zoom-in").addEventListener("click", () => choose(ranges.zoomed(range(), 0.5)));
  byId("zoom-out").addEventListener("click", () => choose(ranges.zoomed(range(), 2)));
  // Anywhere, since a chart goes when its source has nothing in the time zoomed to.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && state.chosen && !byId("raw").open) choose(null);
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && byId("live").checked) refresh();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const chart of [...Object.values(charts), ...[...means.values()].map((mean) => mean.chart)]) chart.recolour();
  });
  refresh();
}

start();
