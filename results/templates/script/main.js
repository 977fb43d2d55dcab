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
    n: () => timeline.step(1), p: () => timeline.step(-1), 0: () => view.show(0, view.end),
    "/": () => byId("filter").focus(), Escape: () => timeline.select(null),
  };
  addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
}

function listenToButtons(timeline, view) {
  const clicks = {
    previous: () => timeline.step(-1), next: () => timeline.step(1), whole: () => view.show(0, view.end),
    "zoom-in": () => view.zoom(0.6), "zoom-out": () => view.zoom(1 / 0.6),
  };
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

// The contradiction that the address names, or the first.
function openAt(timeline) {
  const named = /^#contradiction-(\d+)$/.exec(location.hash);
  timeline.goTo(named ? Number(named[1]) - 1 : 0);
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
  timeline.picked = (id) => showDetails(record, byId("details"), id, () => timeline.select(null));
  listenToChoices(record, charts, view);
  listenToFilter(record, view);
  listenToKeys(timeline, view);
  listenToButtons(timeline, view);
  listenToCopy();
  openAt(timeline);
  addEventListener("hashchange", () => { if (location.hash.startsWith("#contradiction-")) openAt(timeline); });
  addEventListener("resize", () => view.redraw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view.redraw());
  view.redraw();
}

main().catch((error) => {
  byId("timeline").append(element("p", { class: "note" }, `The timeline cannot be drawn: ${error.message}`));
  throw error;
});
