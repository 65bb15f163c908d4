// The page: what is asked for, when, and where it is shown.

import { hashOf, viewOf } from "./address.js";
import * as api from "./api.js";
import { clearNotes, dataOf, startData } from "./data.js";
import { byId, element, fill, setText, show } from "./dom.js";
import { arrived, hitOf, measured } from "./figures.js";
import { arrivalTiles, measuredTiles, showGaps, showRules, showTiles } from "./panels.js";
import * as ranges from "./range.js";
import { silentSince, stateOf, summary } from "./sources.js";
import { REFRESH, statusOf, troubleOf } from "./status.js";
import { SourcesTable } from "./table.js";
import * as text from "./text.js";

const MANY = 100; // sources: more are asked for each minute, not every ten seconds
const MANY_REFRESH = 60_000;
const COLOUR = "colour-0";

let view = viewOf(location.hash);
let asking = null;
let timer = null;
let listFilter = view.filter; // of the sources: the way back to them keeps it
let isLoading = false;
let error = null; // of the last time that it asked
let shownAt = null; // when what is shown was asked for, in milliseconds
let retryAt = null;
const known = { sources: [], isWhole: false, at: 0, trends: new Map() };
let table = null;
let later = null; // what page/later.js has, once it is here
let charts = null; // once page/charts.js is here

const nowSeconds = () => Date.now() / 1000;
const isLive = () => byId("live").checked;
const range = () => view.chosen ?? ranges.lastOf(ranges.presetOf(view.preset).seconds, nowSeconds());
const linkTo = (change) => hashOf({ ...view, rule: null, filter: "", tab: "overview", ...change });

// ---- asking ------------------------------------------------------------------------------------------------------

// isNew: something else is to be shown than what is.
async function refresh(isNew = false) {
  clearTimeout(timer);
  asking?.abort();
  if (api.key.get() === null) return askForKey();
  const mine = new AbortController();
  asking = mine;
  isLoading ||= isNew;
  retryAt = null;
  showForm(false);
  showStatus();
  const { signal } = mine;
  const began = Date.now();
  try {
    await load(signal, isLoading);
    if (signal.aborted) return;
    error = null;
    shownAt = began;
  } catch (trouble) {
    if (signal.aborted) return;
    error = trouble;
    if (isAboutTheKey(trouble)) return refuseKey(trouble);
  }
  isLoading = false;
  again();
  showStatus();
}

function again() {
  clearTimeout(timer);
  if (!isLive() || document.hidden) return;
  const wait = error instanceof api.Trouble ? troubleOf(error, true).wait : REFRESH;
  if (wait === null) return;
  if (error) retryAt = Date.now() + wait;
  timer = setTimeout(refresh, wait);
}

function load(signal, isNew) {
  const buckets = ranges.wholeBuckets(range());
  const span = { from: ranges.iso(buckets.from), to: ranges.iso(buckets.to) };
  const days = buckets.granularity === "day" ? { tz: view.zone } : {};
  const asked = { granularity: buckets.granularity, ...span, ...days };
  const of = view.source === null ? { together: true } : { source: view.source };
  showFrame(buckets);
  const arriving = api.quality({ ...asked, ...of }, signal).then((rows) => showArrived(rows, buckets, { ...asked, ...of }, signal));
  const parts = [arriving];
  if (view.tab === "rejected") {
    const selection = { ...span, resolved: "all" };
    if (view.source !== null) selection.source = view.source;
    if (view.rule !== null) selection.code = view.rule;
    parts.push(needLater().then(({ refreshRejected }) => refreshRejected(selection, signal, isNew)));
  } else if (view.source === null) parts.push(loadSources(signal));
  else {
    parts.push(loadSource(signal, arriving));
    if (view.tab === "overview") {
      const mine = { ...asked, source: view.source };
      parts.push(api.kpis(mine, signal).then((rows) => showMeasured(rows, buckets, mine)));
    }
  }
  return Promise.all(parts);
}

async function loadSources(signal) {
  if (known.sources.length > MANY && known.isWhole && Date.now() - known.at < MANY_REFRESH) return showSources();
  const isFirst = known.sources.length === 0;
  const found = await api.sources(signal, (some, isWhole) => {
    if (!isFirst && !isWhole) return; // those that are shown stay until all are there again
    known.sources = some.map(withTrend);
    known.isWhole = isWhole;
    showSources();
  });
  known.at = Date.now();
  if (found.length === 0) showSources();
}

async function loadSource(signal, arriving) {
  const found = await api.source(view.source, signal);
  showSource(found);
  if (view.tab !== "contract") return;
  const [{ showContract }, contract] = await Promise.all([
    needLater(),
    found?.contract ? api.contract(contractId(found.contract), signal) : null,
  ]);
  await arriving; // the rules' counts come with it
  if (!signal.aborted) showContract(contract, found, (rule) => figures.hits.get(hitOf(contract.id, rule)) ?? 0);
}

const contractId = (contract) => contract.split("@")[0];

// Trends that came by themselves, of rows that were looked at, last until the page of sources is asked for again.
const withTrend = (source) => (source.trend === null ? { ...source, trend: known.trends.get(source.source) ?? null } : source);
const wanted = [];
let isLearning = false;

async function learnTrend(source) {
  if (known.trends.has(source.source)) return;
  known.trends.set(source.source, null);
  wanted.push(source.source);
  if (isLearning) return;
  isLearning = true;
  while (wanted.length > 0) {
    const name = wanted.pop(); // what was scrolled to last comes first
    const found = await api.source(name, new AbortController().signal).catch(() => null);
    known.trends.set(name, found?.trend ?? []);
    known.sources = known.sources.map(withTrend);
    showSources();
  }
  isLearning = false;
}

// ---- what is wrong -----------------------------------------------------------------------------------------------

const isAboutTheKey = ({ kind, status }) => kind === "refused" && (status === 401 || status === 403);

function refuseKey({ type, detail }) {
  const name = type.split(":").at(-1);
  if (name === "scope-missing") return askForKey(`This key may not read: enter one that may. ${detail}`);
  if (name.startsWith("key-")) return askForKey(detail);
  return askForKey("The API rejected this key. Check it and enter it again.");
}

function askForKey(reason = null) {
  clearTimeout(timer);
  asking?.abort();
  if (reason !== null) api.key.forget();
  error = null;
  isLoading = false;
  shownAt = null;
  retryAt = null;
  showForm(true);
  showStatus();
  showTrouble(reason);
  byId("key").focus();
}

function showForm(isShown) {
  show(byId("ask"), isShown);
  show(byId("shown"), !isShown);
  show(byId("forget"), !isShown);
}

function showTrouble(message, isRetried = false) {
  const box = byId("trouble");
  setText(byId("trouble-text"), message ?? "");
  show(byId("retry"), isRetried);
  show(box, message !== null);
}

function showStatus() {
  const isEndless = view.chosen === null;
  const { kind, text: words } = statusOf({ isLoading, isLive: isLive(), isEndless, error, shownAt, now: Date.now() });
  const time = shownAt !== null && !isLoading ? ` · ${text.timeOfDay(shownAt)}` : "";
  setText(byId("state"), words + time);
  document.body.dataset.state = kind;
  byId("shown").setAttribute("aria-busy", String(isLoading));
  if (!byId("ask").hidden) return;
  if (error === null) return showTrouble(null);
  if (!(error instanceof api.Trouble)) {
    console.error(error);
    return showTrouble(`This page has a fault: ${error.message}`, true);
  }
  const { text: message } = troubleOf(error, isLive());
  setText(byId("retry-in"), retryAt === null ? "" : `Trying again in ${Math.max(Math.ceil((retryAt - Date.now()) / 1000), 0)} s.`);
  showTrouble(message, true);
}

// ---- showing -----------------------------------------------------------------------------------------------------

const SECTIONS = {
  sources: () => view.source === null && view.tab === "overview",
  measured: () => view.source !== null && view.tab === "overview",
  charts: () => view.tab === "overview",
  tiles: () => view.tab === "overview",
  rejected: () => view.tab === "rejected",
  contract: () => view.tab === "contract",
};

function showFrame(buckets) {
  text.useZone(view.zone);
  for (const [id, isShown] of Object.entries(SECTIONS)) show(byId(id), isShown());
  show(byId("welcome"), false);
  const { from, to } = range();
  setText(byId("span"), `${text.instant(from)} to ${text.instant(to)}, by ${ranges.WORDS[buckets.granularity]} (${view.zone})`);
  showControls();
  showTabs();
}

function showTabs() {
  const { source, tab } = view;
  const crumbs =
    source === null
      ? [["All sources", null]]
      : [
          ["All sources", linkTo({ source: null, filter: listFilter })],
          [text.sourceName(source), null],
        ];
  fill(byId("crumbs"), JSON.stringify(crumbs), () =>
    crumbs.map(([name, href]) =>
      href === null ? element("h2", { title: name, "aria-label": name }, ...cut(name)) : element("a", { href }, name),
    ),
  );
  document.title = source === null ? "Dropzone" : `${text.sourceName(source)} · Dropzone`;
  const tabs = [
    ["overview", source === null ? "Sources" : "Measured"],
    ["rejected", "Rejected"],
    ...(source === null ? [] : [["contract", "Contract"]]),
  ];
  fill(byId("tabs"), JSON.stringify([tabs, tab, linkTo({})]), () =>
    tabs.map(([id, name]) => element("a", { href: linkTo({ tab: id }), "aria-current": id === tab ? "page" : null }, name)),
  );
}

const cut = (name) => text.nameParts(name).map((part, at) => element("span", { class: at === 0 ? "start" : "end" }, part));

function showSources() {
  if (view.source !== null || view.tab !== "overview") return;
  table.draw(known.sources, view.filter, known.isWhole);
  const isEmpty = known.isWhole && known.sources.length === 0;
  show(byId("welcome"), isEmpty);
  for (const id of ["sources", "charts", "tiles"]) show(byId(id), !isEmpty);
  drawTiles();
}

let figures = null; // what arrived, as the tiles need it
let lastSource = null;
let isUnknown = false; // the source that is looked at
let lastMeasured = null;

function showSource(found) {
  lastSource = found;
  isUnknown = found === null;
  drawTiles();
  drawMean();
  drawGaps();
}

async function showArrived(rows, buckets, asked, signal) {
  figures = { ...arrived(rows, buckets), buckets, asked, closer: null };
  drawTiles();
  showRules("rule", figures.rules, (rule) => linkTo({ tab: "rejected", rule }));
  showRules("warning", figures.warnings);
  showSelection();
  if (charts !== null) await lookCloser(signal);
  drawCharts();
}

// What arrived within a few buckets, as a file of old events does, is drawn by shorter ones.
async function lookCloser(signal) {
  const mine = figures;
  let found = mine;
  while (found !== null && view.tab === "overview") {
    const buckets = ranges.closer(found.times, found.received, found.buckets, nowSeconds());
    if (buckets === null) break;
    const { tz: _, ...others } = mine.asked;
    const asked = { ...others, granularity: buckets.granularity, from: ranges.iso(buckets.from), to: ranges.iso(buckets.to) };
    const rows = await api.quality(asked, signal);
    const begun = { ...buckets, from: rows.length > 0 ? Date.parse(rows[0].start) / 1000 : buckets.from };
    found = { ...arrived(rows, begun), buckets: begun, asked };
  }
  if (found !== mine) mine.closer = found;
}

// Imports a part of the page once; again, where it did not come.
function part(load, start) {
  let coming = null;
  return () => {
    coming ??= load().then(start);
    coming.catch(() => {
      coming = null;
    });
    return coming;
  };
}

// The charts are fetched when they come into sight.
const needCharts = part(
  () => import("./charts.js"),
  ({ Chart }) => {
    charts = {
      mean: new Chart(byId("chart-mean"), { title: "Mean, and one deviation around it", height: 240, ...actions }),
      arrived: new Chart(byId("chart-arrived"), { title: "Received events, by time of arrival", ...actions }),
      latency: new Chart(byId("chart-latency"), { title: "Latency, from arrival to measurement", ...actions }),
    };
    drawMean(); // which waits for no other figures
    drawCharts();
    lookCloser(asking?.signal).then(drawCharts, () => {}); // the next refresh tells what is wrong
  },
);

const needLater = part(
  () => import("./later.js"),
  (found) => {
    later = found;
    later.startRejected();
    showSelection();
    return later;
  },
);

function showSelection() {
  if (later === null || figures === null || view.tab !== "rejected") return;
  later.showSelection(figures.rules, view.rule, (rule) => linkTo({ tab: "rejected", rule }));
}

function drawCharts() {
  if (charts === null || figures === null || view.tab !== "overview") return;
  const { times, clean, flagged, rejected, latency, buckets, asked } = figures.closer ?? figures;
  const note =
    figures.closer &&
    `All of it arrived from ${text.instant(buckets.from, buckets.step)} on, and is shown by ${ranges.WORDS[buckets.granularity]}.`;
  const data = (name) => ({ name, path: "quality", parameters: asked });
  const warned = flagged.some((value) => value > 0) ? [{ label: "With warnings", colour: "colour-1", values: flagged }] : [];
  charts.arrived.draw({
    times,
    range: buckets,
    kind: "stack",
    note,
    data: data("arrivals"),
    lines: [
      { label: "Rejected", colour: "bad", values: rejected, hatched: true },
      ...warned,
      { label: "Processed", colour: "good", values: clean },
    ],
  });
  charts.latency.draw({
    times,
    range: buckets,
    kind: "lines",
    note,
    format: text.duration,
    data: data("latency"),
    lines: [
      { label: "Half within about", colour: "colour-0", values: latency.p50 },
      { label: "95 % within about", colour: "colour-1", values: latency.p95, dash: [6, 4] },
    ],
  });
}

function drawTiles() {
  if (view.tab !== "overview" || figures === null) return;
  const { latency } = figures;
  const late = [
    "Latency",
    text.duration(latency.mean),
    latency.max === null ? "from arrival to measurement" : `mean; the longest ${text.duration(latency.max)}`,
  ];
  if (view.source === null) {
    const { silent, stuck, late: behind, bad } = summary(known.sources);
    const troubles = [
      silent && `${text.count(silent)} silent`,
      stuck && `${text.count(stuck)} stuck`,
      behind && `${text.count(behind)} late`,
      bad && `${text.count(bad)} with many rejected`,
    ];
    const sentence = troubles.filter(Boolean).join(", ") || (known.isWhole ? "all of them send as usual" : "");
    showTiles([
      ["Sources", text.count(known.sources.length) + (known.isWhole ? "" : "+"), sentence, silent + stuck > 0],
      ...arrivalTiles(figures),
      late,
    ]);
    return;
  }
  const of = lastSource?.source === view.source ? lastSource : null;
  const tiles = [];
  if (isUnknown) tiles.push(["Last value", "–", "no source of this name has sent anything", true]);
  if (of) {
    const seen = of.last_measured_at === null ? "never measured" : text.ago(Date.now() - Date.parse(of.last_measured_at));
    tiles.push([
      "Last value",
      of.last_mean === null ? "–" : text.withUnit(of.last_mean, of.unit),
      `${stateOf(of)}, ${seen}`,
      ["silent", "stuck"].includes(stateOf(of)),
    ]);
  }
  if (lastMeasured?.source === view.source) {
    tiles.push(...measuredTiles(lastMeasured, silentSince(of, lastMeasured.buckets), nowSeconds()));
  }
  showTiles([...tiles, ...arrivalTiles(figures), late]);
}

function showMeasured(rows, buckets, asked) {
  lastMeasured = { ...measured(rows, buckets, nowSeconds()), source: view.source, buckets, asked };
  drawMean();
  drawTiles();
  drawGaps();
}

function drawGaps() {
  if (lastMeasured?.source !== view.source) return;
  showGaps(lastMeasured, silentSince(lastSource, lastMeasured.buckets), nowSeconds());
}

function drawMean() {
  if (charts === null || lastMeasured === null) return;
  const { times, mean, low, high, source, buckets, asked } = lastMeasured;
  if (source !== view.source || view.tab !== "overview") return;
  charts.mean.draw({
    times,
    range: buckets,
    kind: "band",
    unit: lastSource?.source === source ? (lastSource.unit ?? "") : "",
    data: { name: "measured", path: "kpis", parameters: asked },
    lines: [{ label: "Mean", colour: COLOUR, values: mean, low, high }],
  });
}

// ---- controls ----------------------------------------------------------------------------------------------------

function showControls() {
  const presets = ranges.PRESETS.map(({ id, label }) => [id, label]);
  if (view.chosen) presets.push([ranges.CHOSEN, "Zoomed"]);
  fill(byId("range"), JSON.stringify(presets), () => presets.map(([value, label]) => element("option", { value }, label)));
  byId("range").value = view.chosen ? ranges.CHOSEN : view.preset;
  const zones = [...new Set([text.LOCAL, "UTC", view.zone])];
  fill(byId("zone"), JSON.stringify(zones), () => zones.map((value) => element("option", { value }, value)));
  byId("zone").value = view.zone;
  if (byId("filter") !== document.activeElement) byId("filter").value = view.filter;
}

// Another view: in the address, so that Back leads here again.
function go(change) {
  history.pushState(null, "", hashOf({ ...view, ...change }));
  arrive();
}

function arrive() {
  const before = view;
  view = viewOf(location.hash);
  clearNotes();
  if (view.source === null) listFilter = view.filter;
  if (view.source !== before.source || view.tab !== before.tab) scrollTo(0, 0);
  if (view.source !== before.source) {
    figures = lastSource = lastMeasured = null;
    isUnknown = false;
    byId("tiles").replaceChildren();
  }
  refresh(true);
}

const choose = (chosen) => go({ chosen });

const actions = {
  onZoom: (from, to) => choose(ranges.between(from, to)),
  onReset: () => choose(null),
  onFactor: (factor, at) => choose(ranges.zoomed(range(), factor, at)),
};

// What can be taken along from the places of the page that name it. Charts have their own.
const MENUS = {
  figures: ["What arrived", () => figures && { name: "figures", path: "quality", parameters: figures.asked }],
  sources: ["Sources", () => ({ name: "sources", path: "sources", parameters: { limit: 1000 } })],
  gaps: ["Gaps", () => lastMeasured && { name: "gaps", path: "kpis", parameters: lastMeasured.asked }],
  rules: ["Rejected by rule", () => figures && { name: "rejected-by-rule", path: "quality", parameters: figures.asked }],
  warnings: ["Warnings by rule", () => figures && { name: "warnings-by-rule", path: "quality", parameters: figures.asked }],
};

function start() {
  // What a link to the stage's root without its slash was sent on with has done its work.
  history.replaceState(null, "", location.pathname + hashOf(view));
  byId("unstarted").remove();
  for (const part of ["header", "main"]) show(document.querySelector(part), true);
  text.useZone(view.zone);
  setText(
    byId("welcome-line"),
    `curl -sS '${api.base()}ingest' -H "x-api-key: $KEY" -H 'content-type: application/json' \\\n    -d '{"schema_version": 2, "time_stamp": "${new Date().toISOString().slice(0, 19)}Z", "data": [21.3, 21.7], "source": "my-sensor", "unit": "°C"}'`,
  );

  table = new SourcesTable({
    linkTo: (source) => linkTo({ source }),
    open: (source) => go({ source, tab: "overview", rule: null, filter: "" }),
    learnTrend,
  });
  const sight = new IntersectionObserver((seen) => {
    if (seen.some(({ isIntersecting }) => isIntersecting)) needCharts().catch(() => {});
  });
  for (const id of ["measured", "charts"]) sight.observe(byId(id));

  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    api.key.set(byId("key").value.trim(), byId("remember").checked);
    byId("key").value = "";
    showTrouble(null);
    refresh(true);
  });
  byId("forget").addEventListener("click", () => {
    api.key.forget();
    askForKey();
  });
  startData();
  for (const place of document.querySelectorAll("[data-menu]")) {
    const [of, data] = MENUS[place.dataset.menu];
    place.replaceWith(dataOf(data, of));
  }
  byId("retry").addEventListener("click", () => refresh());
  byId("range").addEventListener("change", () => {
    const preset = ranges.presetOf(byId("range").value);
    if (preset) go({ preset: preset.id, chosen: null });
  });
  byId("zone").addEventListener("change", () => go({ zone: byId("zone").value }));
  byId("filter").addEventListener("input", () => {
    view = { ...view, filter: byId("filter").value };
    listFilter = view.filter;
    history.replaceState(null, "", hashOf(view));
    showSources();
  });
  byId("live").addEventListener("change", () => refresh());
  byId("earlier").addEventListener("click", () => choose(ranges.moved(range(), -0.5)));
  byId("later").addEventListener("click", () => choose(ranges.moved(range(), 0.5)));
  byId("zoom-in").addEventListener("click", () => choose(ranges.zoomed(range(), 0.5)));
  byId("zoom-out").addEventListener("click", () => choose(ranges.zoomed(range(), 2)));
  // Anywhere, since a chart goes when its source has nothing in the time zoomed to.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && view.chosen && document.querySelector("dialog[open]") === null) choose(null);
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && isLive()) refresh();
  });
  addEventListener("hashchange", arrive);
  setInterval(showStatus, 1000);
  refresh(true);
}

start();
