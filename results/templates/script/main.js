// Brings the page to life once the record is inflated.
const byId = (id) => document.getElementById(id);

function listenToChoices(record, charts, view) {
  const select = byId("kind");
  const known = record.kinds.filter((kind) => record.series.kinds[kind]);
  for (const kind of ["all", ...known]) select.append(element("option", {}, kind));
  select.addEventListener("change", () => {
    charts.kind = select.value;
    view.redraw();
  });
  byId("linked").addEventListener("change", (event) => {
    charts.linked = event.target.checked;
    view.redraw();
  });
}

function listenToFilter(record, view) {
  const input = byId("filter");
  let waiting;
  const apply = () => {
    const found = filterCalls(record, input.value);
    const all = record.calls.count;
    byId("matches").textContent = input.value.trim() ? `${found.toLocaleString("en")} of ${all.toLocaleString("en")}` : "";
    view.redraw();
  };
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 120);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    input.value = "";
    apply();
    byId("lanes").focus();
  });
}

function listenToKeys(timeline, view) {
  const keys = {
    "+": () => view.zoom(0.6), "=": () => view.zoom(0.6), "-": () => view.zoom(1 / 0.6),
    ArrowLeft: () => view.pan(-0.2), ArrowRight: () => view.pan(0.2),
    n: () => goToNext(timeline, 1), p: () => goToNext(timeline, -1), 0: () => view.show(0, view.end),
    "/": () => { byId("timeline").scrollIntoView(); byId("filter").focus({ preventScroll: true }); },
    "?": () => byId("help").showModal(), Escape: () => timeline.select(null),
  };
  const withShift = { ArrowLeft: () => timeline.stepCall(-1), ArrowRight: () => timeline.stepCall(1) };
  addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (typing || byId("help").open || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = event.shiftKey ? withShift[event.key] ?? keys[event.key] : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function listenToButtons(timeline, view) {
  const clicks = {
    previous: () => goToNext(timeline, -1), next: () => goToNext(timeline, 1), whole: () => view.show(0, view.end),
    "zoom-in": () => view.zoom(0.6), "zoom-out": () => view.zoom(1 / 0.6),
  };
  byId("help-open").hidden = false;
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  for (const [id, click] of Object.entries(clicks)) byId(id).addEventListener("click", click);
  const some = timeline.record.anomalies.length > 0;
  byId("previous").hidden = byId("next").hidden = !some;
  for (const button of document.querySelectorAll("button.show")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      timeline.goTo(Number(button.dataset.contradiction));
      byId("timeline").scrollIntoView();
      byId("lanes").focus({ preventScroll: true });
    });
  }
}

function listenToCopy() {
  const button = byId("copy");
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(byId("command").textContent);
    button.textContent = "Copied";
  });
}

// Nanoseconds of a time such as `1.2s` or `350ms`; seconds if it names no unit.
function parseTime(text) {
  const found = /^([0-9]*\.?[0-9]+)\s*(ns|us|µs|ms|s|m|)$/.exec(text.trim());
  const unit = { ns: 1, us: 1e3, "µs": 1e3, ms: 1e6, s: 1e9, "": 1e9, m: 6e10 };
  return found ? Number(found[1]) * unit[found[2]] : null;
}

// Goes where the address says: an operation, a stretch of time, a contradiction. Whether it said.
function openAt(timeline, box) {
  let hash = location.hash;
  try { hash = decodeURIComponent(hash); } catch { /* taken as it is */ }
  const op = /^#op=(\d+)$/.exec(hash);
  const time = /^#t=(.+)\.\.(.+)$/.exec(hash);
  const named = /^#contradiction-(\d+)$/.exec(hash);
  if (op) {
    if (!timeline.open(Number(op[1]))) showMissing(box, op[1]);
    byId("timeline").scrollIntoView();
  } else if (time) {
    const [from, to] = [parseTime(time[1]), parseTime(time[2])];
    if (from === null || to === null || to <= from) return false;
    timeline.view.show(from, to);
    byId("timeline").scrollIntoView();
  } else if (named) {
    timeline.goTo(Number(named[1]) - 1);
    uncover(byId(named[0].slice(1)));
  }
  return Boolean(op || time || named);
}

// Opens what an element is folded into, and scrolls there.
function uncover(element) {
  for (let fold = element?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  element?.scrollIntoView({ block: "start" });
}

// The next or previous contradiction: in the timeline if that is seen, else in the list.
function goToNext(timeline, by) {
  timeline.step(by);
  if (!isSeen(timeline.canvas)) uncover(byId(`contradiction-${timeline.current + 1}`));
  const { length } = timeline.record.anomalies;
  if (length) byId("matches").textContent = `contradiction ${timeline.current + 1} of ${length}`;
}

// The stretch that is seen, as an address that others can open.
function tellWhere({ from, to, end }) {
  const digits = Math.min(Math.max(Math.ceil(11 - Math.log10(to - from)), 1), 9);
  const name = `t=${(from / 1e9).toFixed(digits)}s..${(to / 1e9).toFixed(digits)}s`;
  const link = byId("where");
  link.textContent = to - from >= end ? "" : `${showDuration(to - from)} in view`;
  link.href = `#${name}`;
}

async function main() {
  const data = byId("data");
  const record = layOut(await inflate(data.textContent.trim()));
  data.remove();
  for (const id of ["tools", "timeline-view", "legend"]) byId(id).hidden = false;
  byId("charts").hidden = record.calls.count === 0;
  const view = new View(record.end);
  const timeline = new Timeline(record, view, byId("lanes"), byId("overview"));
  const charts = new Charts(record, view, byId("latency"), byId("throughput"));
  const tip = new Tip();
  timeline.pointed = (id, note, event) => {
    if (id === null) tip.show(event && note, event); else tip.showCall(record, id, event);
  };
  timeline.told = tellWhere;
  timeline.picked = (id) => {
    showDetails(record, byId("details"), id, () => timeline.select(null));
    const address = id === null ? location.pathname + location.search : `#op=${record.calls.index[id]}`;
    if (id !== null || location.hash.startsWith("#op=")) history.replaceState(null, "", address);
  };
  listenToChoices(record, charts, view);
  listenToFilter(record, view);
  listenToKeys(timeline, view);
  listenToButtons(timeline, view);
  listenToCopy();
  timeline.goTo(0);
  openAt(timeline, byId("details"));
  addEventListener("hashchange", () => openAt(timeline, byId("details")));
  addEventListener("resize", () => view.redraw());
  addEventListener("toggle", () => view.redraw(), { capture: true });
  addEventListener("scroll", () => view.redraw(), { passive: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colours = null;
    view.redraw();
  });
  view.redraw();
}

// Pages that fetch their record start by themselves.
if (byId("data")) main().catch((error) => {
  byId("timeline").append(element("p", { class: "note" }, `The timeline cannot be drawn: ${error.message}`));
  throw error;
});
