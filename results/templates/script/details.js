// What is told of one call: a few words beside the pointer, everything when it is picked. Texts
// of the record only ever become text, never markup.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function stateAt(record, name, time) {
  const node = record.nodes.find((n) => n.name === name);
  return node?.stretches.findLast((s) => s.from <= time)?.state ?? "";
}

// The faults that were active at some time of a call.
function activeDuring(record, call) {
  return record.faults.filter((fault) => fault.from <= call.end && fault.to >= call.start);
}

class Tip {
  constructor() {
    this.box = element("div", { class: "tip", hidden: "" });
    document.body.append(this.box);
  }

  show(lines, event) {
    this.box.hidden = !lines;
    if (!lines) return;
    const [first, ...rest] = lines;
    this.box.replaceChildren(first, ...rest.map((line) => element("small", {}, line)));
    const { width, height } = this.box.getBoundingClientRect();
    const x = Math.min(event.clientX + 14, innerWidth - width - 8);
    const below = event.clientY + 18;
    const y = below + height > innerHeight ? event.clientY - height - 12 : below;
    this.box.style.left = `${x}px`;
    this.box.style.top = `${y}px`;
  }

  showCall(record, id, event) {
    const call = describe(record, id);
    this.show([
      `${call.asked} ${call.ended}`,
      `${call.process} on ${call.node || "no node"}, ${call.outcome}, ${showDuration(call.end - call.start)}`,
      `at ${showTime(call.start)}`,
    ], event);
  }
}

// What a node wrote within so many nanoseconds of a call, by the times that its lines tell.
const AROUND = 2e8, LINES_SHOWN = 60;

function logAround(record, call) {
  const lines = record.logs.get(call.node);
  if (!lines?.length) return [`${call.node || "The node"} left no log.`];
  if (!lines.some(([time]) => time !== null)) {
    return [`The log of ${call.node} tells no times; it is shown whole under Nodes and logs.`];
  }
  const near = [];
  let last = null;
  for (const [time, text] of lines) {
    // A line without a time belongs to the one before.
    last = time ?? last;
    if (last === null || last < call.start - AROUND || last > Math.min(call.end, call.start + 1e9) + AROUND) continue;
    near.push(element("span", { class: "line" }, element("b", {}, time === null ? "" : showTime(time)), text));
    if (near.length === LINES_SHOWN) break;
  }
  return near.length ? near : [`${call.node} wrote nothing then.`];
}

function showMissing(box, index) {
  box.hidden = false;
  box.replaceChildren(element("p", { class: "muted" }, `Operation ${index} is not among those that this page holds.`));
}

function showDetails(record, box, id, close) {
  box.hidden = id === null;
  if (id === null) return;
  const call = describe(record, id);
  const row = (name, value, wide) => element("div", wide ? { class: "all" } : {},
    element("dt", {}, name), element("dd", {}, value));
  const done = call.open ? "never, the record ends first" : `${showTime(call.end, 1e3)}, event ${call.returned}`;
  const state = stateAt(record, call.node, call.start);
  const faults = activeDuring(record, call).map((fault) => fault.what || fault.name);
  const button = element("button", { type: "button", class: "close", "aria-label": "Close" }, "×");
  button.addEventListener("click", close);
  const rows = [
    row("Outcome", element("span", { class: `outcome ${call.outcome}` }, call.outcome)),
    row("Process", call.process),
    row("Node", [call.node || "none", state].filter(Boolean).join(", ")),
    row("Invoked", `${showTime(call.start, 1e3)}, event ${call.index}`),
    row("Completed", done),
    row("Took", showDuration(call.end - call.start)),
  ];
  if (call.reason) rows.push(row("Reason", call.reason, true));
  rows.push(row("Faults", faults.length ? faults.join(" · ") : "none active", true));
  const link = element("a", { href: `#op=${call.index}`, class: "op" }, `#op=${call.index}`);
  box.replaceChildren(
    element("h3", {}, `${call.asked} ${call.ended}`, " ", link), element("dl", {}, ...rows),
    element("h4", {}, `Log of ${call.node || "its node"}, 200 ms before to 200 ms after`),
    element("div", { class: "log" }, ...logAround(record, call)), button,
  );
}
