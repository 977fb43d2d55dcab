// A timeline whose operations are fetched: those in view and as much again on either side, so that
// panning draws what is there already.
const EMPTY = { index: [], returned: [], time: [], took: [], outcome: [], kind: [], lane: [], process: [],
  node: [], key: [], asked: [], ended: [], reason: [] };

async function fetchJson(address) {
  const answer = await fetch(address);
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${address} was answered with ${answer.status}`);
  const json = await answer.json();
  return answer.status === 202 ? { progress: json } : json;
}

// Asks again until the index is there.
async function fetchFrame(base, tell) {
  for (;;) {
    const frame = await fetchJson(`${base}/frame.json`);
    if (!frame) throw new Error("the run has no history");
    if (!frame.progress) return frame;
    tell(frame.progress);
  }
}

class FetchedTimeline extends Timeline {
  constructor(record, view, canvas, overview, base) {
    super(record, view, canvas, overview);
    Object.assign(this, { base, filter: "", loaded: null, loading: false, failed: null, fetches: 0 });
    this.missing = () => {};
    this.held = () => {};
    view.drawings.push(() => this.need());
  }

  get pixels() {
    return Math.max(this.canvas.clientWidth - GUTTER - MARGIN, 200);
  }

  // Whether what is held shows the view as well as it can be shown, with room to pan.
  get suffices() {
    const { loaded, view } = this;
    if (!loaded || loaded.filter !== this.filter) return false;
    const width = view.to - view.from, room = width * 0.3;
    const covers = loaded.from <= Math.max(view.from - room, 0) && loaded.to >= Math.min(view.to + room, view.end);
    return covers && (!loaded.thinned || loaded.each <= width / this.pixels * 1.05);
  }

  need() {
    if (!this.loading && !this.suffices && !this.failed) this.load().catch((error) => {
      this.failed = error;
      this.held();
    });
  }

  async load() {
    this.loading = true;
    try {
      const { view, filter } = this, width = view.to - view.from;
      const from = Math.max(Math.floor(view.from - width), 0), to = Math.min(Math.ceil(view.to + width), view.end);
      const each = width / this.pixels, pixels = Math.ceil((to - from) / each);
      const asked = new URLSearchParams({ from, to, pixels, filter });
      if (this.selected !== null) asked.set("op", this.record.calls.index[this.selected]);
      const window = await fetchJson(`${this.base}/window.json?${asked}`);
      if (!window?.calls) throw new Error("the index is gone; load the page again");
      this.hold(window);
      this.loaded = { from, to, each, thinned: window.thinned, filter, found: window.found };
      this.fetches++;
      this.held();
    } finally {
      this.loading = false;
    }
    this.view.redraw();
  }

  hold({ texts, calls }) {
    const { record } = this;
    const selected = this.selected === null ? null : record.calls.index[this.selected];
    record.texts = texts;
    record.calls = layOutCalls(calls);
    record.lanes = layOutLanes(record.calls, record.lanes.length);
    layOutAnomalies(record);
    const id = selected === null ? -1 : firstFrom(record.calls.index, selected);
    this.selected = record.calls.index[id] === selected ? id : null;
  }

  // Shows the call whose invocation is the event of that index, once it is fetched.
  open(index) {
    this.fetchCall(index).then(async (one) => {
      if (!one) return this.missing(index);
      const { start, end } = one.calls, room = Math.max((end[0] - start[0]) * 1.5, 1e6);
      this.view.show(start[0] - room, Math.min(end[0], start[0] + 1e9) + room);
      while (this.loading) await new Promise(requestAnimationFrame);
      await this.load();
      const id = firstFrom(this.record.calls.index, index);
      if (this.record.calls.index[id] === index) this.select(id);
    });
    return true;
  }

  // A record that holds one call with all its texts.
  async fetchCall(index) {
    const one = await fetchJson(`${this.base}/call.json?op=${index}`);
    return one?.calls ? { ...this.record, texts: one.texts, calls: layOutCalls(one.calls) } : null;
  }
}

function listenToWords(timeline) {
  const input = byId("filter");
  let waiting;
  const apply = () => {
    timeline.filter = input.value.trim();
    timeline.view.redraw();
  };
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 150);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    input.value = "";
    apply();
    byId("lanes").focus();
  });
}

// What the page says of what it holds.
function tellHeld(timeline, total) {
  const number = (n) => n.toLocaleString("en");
  const { loaded, failed, record } = timeline;
  byId("reading").hidden = !failed;
  if (failed) byId("reading").textContent = `Operations cannot be fetched: ${failed.message}`;
  if (!loaded) return;
  byId("shown").textContent = loaded.thinned ? `${number(total)} operations, as many drawn as the screen can tell apart`
    : `${number(record.calls.count)} of ${number(total)} operations fetched`;
  if (loaded.found !== null) byId("matches").textContent = `${number(loaded.found)} of ${number(total)}`;
  else if (/ of [\d,]+$/.test(byId("matches").textContent)) byId("matches").textContent = "";
}

function listenToPicks(timeline, tip) {
  const { record, view } = timeline;
  timeline.pointed = (id, note, event) => {
    if (id === null) tip.show(event && note, event); else tip.showCall(record, id, event);
  };
  timeline.told = tellWhere;
  let latest = null;
  timeline.picked = async (id) => {
    const box = byId("details"), index = id === null ? null : record.calls.index[id];
    latest = index;
    const address = id === null ? location.pathname + location.search : `#op=${index}`;
    if (id !== null || location.hash.startsWith("#op=")) history.replaceState(null, "", address);
    if (id === null) { box.hidden = true; return; }
    const one = await timeline.fetchCall(index);
    if (latest === index && one) showDetails(one, box, 0, () => timeline.select(null));
    view.redraw();
  };
  timeline.missing = (index) => showMissing(byId("details"), index);
}

// What the marks of this run mean, besides those of operations.
function tellMarks(frame) {
  byId("leads").hidden = frame.leaders.length === 0;
  const kinds = new Map(frame.faults.map(({ name, colour }) => [name, colour]));
  const [keys, most] = [byId("legend").querySelector(".keys"), 32];
  for (const [name, colour] of [...kinds].slice(0, most)) {
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const square = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const set = (element, attributes) => Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    set(mark, { class: "swatch", viewBox: "0 0 10 10", "aria-hidden": "true" });
    set(square, { width: 10, height: 10, rx: 2, fill: colour });
    mark.append(square);
    const item = document.createElement("li");
    item.append(mark, name);
    keys.before(item);
  }
}

async function startOperations() {
  const base = byId("operations").dataset.run;
  const frame = await fetchFrame(base, ({ read, of }) => {
    byId("reading").textContent = `Reading the history: ${Math.round(read / Math.max(of, 1) * 100)} % of ${(of / 1e6).toFixed(0)} MB …`;
  });
  const record = layOut({ ...frame, calls: EMPTY, texts: [""] });
  byId("reading").hidden = true;
  tellMarks(frame);
  for (const id of ["tools", "timeline-view", "legend"]) byId(id).hidden = false;
  const view = new View(record.end);
  const timeline = new FetchedTimeline(record, view, byId("lanes"), byId("overview"), base);
  timeline.held = () => tellHeld(timeline, frame.total);
  listenToPicks(timeline, new Tip());
  listenToWords(timeline);
  listenToKeys(timeline, view);
  listenToButtons(timeline, view);
  timeline.goTo(0);
  openAt(timeline, byId("details"));
  addEventListener("hashchange", () => openAt(timeline, byId("details")));
  addEventListener("resize", () => view.redraw());
  addEventListener("scroll", () => view.redraw(), { passive: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colours = null;
    view.redraw();
  });
  view.redraw();
  window.operations = timeline;
}

startOperations().catch((error) => {
  byId("reading").hidden = false;
  byId("reading").textContent = `The operations cannot be shown: ${error.message}`;
});
