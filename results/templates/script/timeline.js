// The timeline: its drawings, and how one moves in it.
class Timeline {
  constructor(record, view, canvas, overview) {
    Object.assign(this, { record, view, canvas, overview });
    this.rows = layOutRows(record);
    // Their heights are known before anything is drawn, so that what is on the screen is, too.
    canvas.style.height = `${this.rows.bottom}px`;
    overview.style.height = "30px";
    this.current = -1;
    this.selected = null;
    this.picked = () => {};
    this.pointed = () => {};
    this.told = () => {};
    view.drawings.push(() => this.draw(), () => this.drawOverview());
    this.listen();
    this.listenOverview();
  }

  // From time to pixels and back; asked for anew, since pointers move before anything is drawn.
  get axis() {
    return axis(this.view, { left: GUTTER, right: this.canvas.clientWidth - MARGIN });
  }

  get whole() {
    return axis({ from: 0, to: this.record.end }, { left: GUTTER, right: this.overview.clientWidth - MARGIN });
  }

  draw() {
    const { record, view, rows } = this;
    this.told(view);
    if (!isSeen(this.canvas)) return;
    const colours = theme();
    const area = { ...prepare(this.canvas, rows.bottom), top: AXIS_ROW, bottom: rows.bottom };
    const { g } = area;
    const scale = this.axis;
    drawTicks(g, view, area, scale, colours, 12);
    drawBands(g, view, area, scale, record.faults);
    drawFaults(g, record, view, area, scale, rows, colours);
    drawLinks(g, record, view, area, scale, rows, colours);
    drawNodes(g, record, view, area, scale, rows, colours);
    drawLeads(g, record, view, area, scale, rows, colours);
    drawLanes(g, record, view, area, scale, rows, colours);
    drawAnomalies(g, record, view, area, scale, rows, colours, this.current);
    if (this.selected !== null) {
      g.strokeStyle = colours.ink;
      g.lineWidth = 2;
      frameCall(g, record, this.selected, area, scale, rows);
      g.lineWidth = 1;
    }
    drawCursor(g, view, area, scale, colours);
    if (this.range) {
      const [x0, x1] = this.range;
      g.globalAlpha = 0.15;
      g.fillStyle = colours.accent;
      g.fillRect(Math.min(x0, x1), area.top, Math.abs(x1 - x0), area.bottom - area.top);
      g.globalAlpha = 1;
    }
  }

  // The whole run in a strip: faults, contradictions, and what is seen below.
  drawOverview() {
    const { record, view } = this;
    if (!isSeen(this.overview)) return;
    const colours = theme();
    const area = { ...prepare(this.overview, 30), top: 0, bottom: 30 };
    const { g } = area;
    const whole = this.whole;
    g.fillStyle = colours.sunk;
    g.fillRect(0, 0, area.width, 30);
    this.drawDensity(area, whole, colours);
    for (const fault of record.faults) {
      g.fillStyle = fault.colour;
      g.globalAlpha = 0.7;
      g.fillRect(whole.x(fault.from), 5 + fault.row * 4, Math.max(whole.x(fault.to) - whole.x(fault.from), 1), 3);
    }
    g.globalAlpha = 1;
    g.fillStyle = colours.bad;
    for (const { from, to } of record.anomalies) {
      g.fillRect(whole.x(from) - 1, 3, Math.max(whole.x(to) - whole.x(from), 2.5), 24);
    }
    const [x0, x1] = [whole.x(view.from), whole.x(view.to)];
    g.fillStyle = colours.accent;
    g.globalAlpha = 0.12;
    g.fillRect(x0, 0, x1 - x0, 30);
    g.globalAlpha = 1;
    g.strokeStyle = colours.accent;
    g.strokeRect(x0 + 0.5, 0.5, Math.max(x1 - x0 - 1, 2), 29);
    g.strokeStyle = colours.line;
    g.beginPath();
    g.moveTo(0, 29.5);
    g.lineTo(area.width, 29.5);
    g.stroke();
    g.textAlign = "right";
    g.fillStyle = colours.muted;
    g.fillText("whole run", GUTTER - 8, 15);
  }

  // How much was going on, of all operations, also of those that are not embedded.
  drawDensity({ g }, whole, colours) {
    const { series } = this.record, all = series.kinds.all;
    if (!all) return;
    const totals = all.ok.map((n, i) => n + all.fail[i] + all.info[i]);
    const tallest = Math.max(...totals, 1);
    g.fillStyle = colours.muted;
    g.globalAlpha = 0.22;
    totals.forEach((total, n) => {
      const x0 = whole.x(n * series.width), x1 = whole.x(Math.min((n + 1) * series.width, this.record.end));
      const height = total / tallest * 24;
      if (x1 > x0) g.fillRect(x0, 29 - height, x1 - x0, height);
    });
    g.globalAlpha = 1;
  }

  // The call under a point, the narrowest if there are several; null if there is none.
  callAt(x, y) {
    const { record, rows, axis } = this;
    const lane = record.lanes[Math.floor((y - rows.lanes) / rows.lane)];
    if (!lane || y < rows.lanes || x < GUTTER) return null;
    const { start, end, matches } = record.calls;
    const near = 4 / axis.scale, time = axis.time(x);
    let best = null, least = Infinity;
    for (let at = firstFrom(lane.reach, time - near); at < lane.ids.length; at++) {
      const id = lane.ids[at];
      if (start[id] > time + near) break;
      if (!matches[id] || end[id] < time - near) continue;
      const outside = Math.max(start[id] - time, time - end[id], 0);
      const cost = outside * 1000 + (end[id] - start[id]);
      if (cost < least) [best, least] = [id, cost];
    }
    return best;
  }

  // What is written of a point that is no call: a state or a fault.
  noteAt(x, y) {
    const { record, rows, axis } = this;
    const time = axis.time(x);
    if (x < GUTTER) return null;
    if (y >= rows.nodes && y < rows.lanes) {
      const node = record.nodes[Math.floor((y - rows.nodes) / NODE_ROW)];
      const stretch = node?.stretches.find((s) => s.from <= time && time < s.to);
      const leads = node?.leads.some((led) => led.from <= time && time < led.to) ? ", leads" : "";
      return stretch ? [`${node.name} ${stretch.state}${leads}`, `${stretch.detail} from ${showTime(stretch.from)}`] : null;
    }
    if (y >= rows.links && y < rows.nodes) {
      const link = record.links[Math.floor((y - rows.links) / LINK_ROW)];
      const found = link?.stretches.find(({ fault }) => fault.from <= time && time <= fault.to);
      if (!found) return link ? [link.name, "nothing is broken here"] : null;
      const ways = found.ways.slice(0, 6).join(", ") + (found.ways.length > 6 ? ", …" : "");
      return [`${ways}: ${found.fault.cuts ? "cut" : found.fault.name}`, found.fault.what];
    }
    if (y < rows.faults || y >= rows.links) return null;
    const row = Math.floor((y - rows.faults) / FAULT_ROW);
    const fault = record.faults.find((f) => f.row === row && f.from <= time && time <= f.to);
    if (!fault) return null;
    const effect = { true: "bit", false: "had no effect" }[String(fault.bit)] ?? "effect unknown";
    return [fault.what || fault.name, `${showTime(fault.from)} to ${showTime(fault.to)}, ${effect}`];
  }

  select(id) {
    this.selected = id;
    this.picked(id);
    this.view.redraw();
  }

  // Shows the call whose invocation is the event of that index; whether there is one.
  open(index) {
    const { calls } = this.record;
    const id = firstFrom(calls.index, index);
    if (calls.index[id] !== index) return false;
    const room = Math.max((calls.end[id] - calls.start[id]) * 1.5, 1e6);
    this.view.show(calls.start[id] - room, Math.min(calls.end[id], calls.start[id] + 1e9) + room);
    this.select(id);
    return true;
  }

  // Picks the next call of the same lane, or the first in view.
  stepCall(by) {
    const { record, view } = this, { calls } = record;
    if (this.selected === null) {
      let id = firstFrom(calls.start, view.from);
      while (id < calls.count && !calls.matches[id]) id++;
      if (id < calls.count) this.select(id);
      return;
    }
    const { ids } = record.lanes[calls.lane[this.selected]];
    let at = firstFrom(ids, this.selected) + by;
    while (ids[at] !== undefined && !calls.matches[ids[at]]) at += by;
    if (ids[at] === undefined) return;
    this.select(ids[at]);
    const start = calls.start[ids[at]];
    if (start < view.from || start > view.to) view.centre(start);
  }

  // Shows a contradiction with some of what was before and after.
  goTo(n) {
    const anomaly = this.record.anomalies[n];
    if (!anomaly) return;
    this.current = n;
    const [from, to] = this.extent(anomaly);
    const room = Math.max((to - from) * 0.35, 3e6);
    this.view.show(from - room, to + room);
  }

  // From the first to the last event of a contradiction.
  extent(anomaly) {
    const { start, end } = this.record.calls;
    let { from, to } = anomaly;
    for (const id of anomaly.ids) {
      from = Math.min(from, start[id]);
      to = Math.max(to, Math.min(end[id], start[id] + 1e9));
    }
    return [from, to];
  }

  step(by) {
    const count = this.record.anomalies.length;
    if (count) this.goTo((Math.max(this.current, by < 0 ? 0 : -1) + by + count) % count);
  }

  listen() {
    const { canvas, view } = this;
    let scrolled = 0, from = null;
    const at = (event) => event.clientX - canvas.getBoundingClientRect().left;
    addEventListener("scroll", () => { scrolled = performance.now(); }, { passive: true });
    // A page that is being scrolled goes on scrolling when the timeline comes under the pointer.
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && performance.now() - scrolled < 400) return;
      event.preventDefault();
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        view.pan((event.deltaX || event.deltaY) / 1000);
      } else {
        view.zoom(Math.exp(Math.min(Math.max(event.deltaY, -200), 200) / 400), this.axis.time(at(event)));
      }
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      from = { x: at(event), seen: [view.from, view.to], moved: false, zooms: event.shiftKey };
    });
    canvas.addEventListener("pointermove", (event) => {
      const x = at(event), y = event.clientY - canvas.getBoundingClientRect().top;
      view.cursor = this.axis.time(x);
      if (from && (from.moved || Math.abs(x - from.x) > 3)) {
        from.moved = true;
        this.drag(from, x);
      }
      this.pointed(from?.moved ? null : this.callAt(x, y), this.noteAt(x, y), event);
      view.redraw();
    });
    canvas.addEventListener("pointerup", (event) => {
      const y = event.clientY - canvas.getBoundingClientRect().top;
      if (from && !from.moved) this.select(this.callAt(from.x, y));
      if (this.range) view.show(...this.range.map((x) => this.axis.time(x)).sort((a, b) => a - b));
      this.range = from = null;
    });
    canvas.addEventListener("pointercancel", () => { this.range = from = null; });
    canvas.addEventListener("pointerleave", () => {
      view.cursor = null;
      this.pointed(null, null, null);
      view.redraw();
    });
  }

  drag(from, x) {
    if (from.zooms) {
      this.range = [from.x, x];
      return;
    }
    const by = (from.x - x) / this.axis.scale;
    this.view.show(from.seen[0] + by, from.seen[1] + by);
  }

  listenOverview() {
    const { overview, view } = this;
    const centre = (event) => {
      view.centre(this.whole.time(event.clientX - overview.getBoundingClientRect().left));
    };
    overview.addEventListener("pointerdown", (event) => {
      overview.setPointerCapture(event.pointerId);
      centre(event);
    });
    overview.addEventListener("pointermove", (event) => { if (event.buttons & 1) centre(event); });
  }
}
