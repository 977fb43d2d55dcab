// Latency and throughput over the whole run, with what the timeline shows marked; or zoomed with
// the timeline.
class Charts {
  constructor(record, view, latency, throughput) {
    Object.assign(this, { record, timeline: view, whole: new View(record.end), latency, throughput });
    this.kind = "all";
    this.linked = false;
    this.kept = new Map();
    latency.style.height = throughput.style.height = "210px";
    view.drawings.push(() => this.drawLatency(), () => this.drawThroughput());
    for (const canvas of [latency, throughput]) this.listen(canvas);
  }

  get view() {
    return this.linked ? this.timeline : this.whole;
  }

  // A press moves the timeline there; the pointer shows where that is.
  listen(canvas) {
    const time = (event) => {
      const area = { left: GUTTER, right: canvas.clientWidth - MARGIN };
      return axis(this.view, area).time(event.clientX - canvas.getBoundingClientRect().left);
    };
    canvas.addEventListener("pointermove", (event) => {
      this.timeline.cursor = time(event);
      if (event.buttons & 1) this.timeline.centre(time(event));
      this.timeline.redraw();
    });
    canvas.addEventListener("pointerdown", (event) => this.timeline.centre(time(event)));
    canvas.addEventListener("pointerleave", () => {
      this.timeline.cursor = null;
      this.timeline.redraw();
    });
  }

  series() {
    return this.record.series.kinds[this.kind];
  }

  area(canvas) {
    const area = { ...prepare(canvas, 210), top: 10, bottom: 182 };
    return Object.assign(area, axis(this.view, area));
  }

  background(area, colours) {
    drawTicks(area.g, this.view, area, area, colours, 197);
    drawBands(area.g, this.view, area, area, this.record.faults);
    area.g.textAlign = "right";
  }

  // What the timeline shows, and where the pointer is.
  foreground(area, colours) {
    const { g } = area;
    drawCursor(g, { ...this.view, cursor: this.timeline.cursor }, area, area, colours);
    if (this.linked || this.timeline.to - this.timeline.from >= this.record.end) return;
    const [x0, x1] = [area.x(this.timeline.from), area.x(this.timeline.to)];
    g.strokeStyle = colours.accent;
    g.strokeRect(x0 - 0.5, area.top + 0.5, Math.max(x1 - x0, 2) + 1, area.bottom - area.top);
  }

  drawLatency() {
    if (!this.series() || !isSeen(this.latency)) return;
    this.drawKept(this.latency, (area, colours) => this.drawLatencies(area, colours));
  }

  drawThroughput() {
    if (!this.series() || !isSeen(this.throughput)) return;
    this.drawKept(this.throughput, (area, colours) => this.drawRates(area, colours));
  }

  // Draws what does not change while the pointer moves or the timeline pans only once.
  drawKept(canvas, draw) {
    const colours = theme(), area = this.area(canvas), { g } = area;
    const now = [this.kind, this.view.from, this.view.to, canvas.width, colours.ink, this.record.filtered].join();
    const kept = this.kept.get(canvas) ?? { image: document.createElement("canvas") };
    if (kept.of !== now) {
      draw(area, colours);
      [kept.image.width, kept.image.height, kept.of] = [canvas.width, canvas.height, now];
      kept.image.getContext("2d").drawImage(canvas, 0, 0);
      this.kept.set(canvas, kept);
    } else {
      g.drawImage(kept.image, 0, 0, area.width, area.height);
    }
    this.foreground(area, colours);
  }

  drawLatencies(area, colours) {
    const { g } = area;
    const [low, high] = this.range();
    const y = (ns) => area.bottom - (Math.log10(Math.max(ns, low)) - Math.log10(low))
      / (Math.log10(high) - Math.log10(low)) * (area.bottom - area.top);
    this.background(area, colours);
    for (let ns = low; ns <= high; ns *= 10) {
      g.strokeStyle = colours.line;
      g.beginPath();
      g.moveTo(area.left, Math.round(y(ns)) + 0.5);
      g.lineTo(area.right, Math.round(y(ns)) + 0.5);
      g.stroke();
      g.fillStyle = colours.muted;
      g.fillText(showDuration(ns).replace(/\.0+ /, " "), area.left - 8, y(ns));
    }
    this.drawDots(area, y, colours);
    [["p50", colours.shade3], ["p95", colours.accent], ["p99", colours.ink]].forEach(([name, colour], n) => {
      this.drawLine(area, y, this.series()[name], colour);
      g.fillStyle = colour;
      g.fillText(name, area.right - 4 - 30 * (2 - n), area.top + 8);
    });
  }

  // Whole powers of ten around all latencies.
  range() {
    if (this.scale) return this.scale;
    const { start, end, count } = this.record.calls;
    let low = 1e9, high = 1e3;
    for (let i = 0; i < count; i++) {
      const took = Math.max(end[i] - start[i], 1000);
      if (took < low) low = took;
      if (took > high) high = took;
    }
    this.scale = [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(high + 1))];
    return this.scale;
  }

  // A dot for each call, the same pixel once: ok is a dot, fail a cross, info a ring.
  drawDots(area, y, colours) {
    const { calls, kinds } = this.record, { g } = area;
    const paints = [colours.ok, colours.fail, colours.info];
    const kind = kinds.indexOf(this.kind);
    const taken = new Set();
    for (let outcome = 0; outcome < 3; outcome++) {
      g.fillStyle = g.strokeStyle = paints[outcome];
      g.globalAlpha = outcome === 0 ? 0.5 : 0.9;
      taken.clear();
      for (let i = 0; i < calls.count; i++) {
        if (calls.outcome[i] !== outcome || !calls.matches[i]) continue;
        if (kind >= 0 && calls.columns.kind[i] !== kind) continue;
        if (calls.start[i] < this.view.from || calls.start[i] > this.view.to) continue;
        const px = Math.round(area.x(calls.start[i])), py = Math.round(y(calls.end[i] - calls.start[i]));
        const pixel = px * 1024 + py;
        if (taken.has(pixel)) continue;
        taken.add(pixel);
        this.drawDot(g, outcome, px, py);
      }
    }
    g.globalAlpha = 1;
  }

  drawDot(g, outcome, x, y) {
    if (outcome === 0) {
      g.fillRect(x - 1, y - 1, 2.5, 2.5);
      return;
    }
    g.beginPath();
    if (outcome === 1) {
      g.moveTo(x - 2.5, y - 2.5);
      g.lineTo(x + 2.5, y + 2.5);
      g.moveTo(x - 2.5, y + 2.5);
      g.lineTo(x + 2.5, y - 2.5);
    } else {
      g.arc(x, y, 2.8, 0, 2 * Math.PI);
    }
    g.stroke();
  }

  // A line through the middles of stretches; it breaks where nothing was ok.
  drawLine(area, y, values, colour) {
    const { g } = area, { width } = this.record.series;
    g.save();
    g.beginPath();
    g.rect(area.left, area.top, area.right - area.left, area.bottom - area.top);
    g.clip();
    g.strokeStyle = colour;
    g.lineWidth = 1.5;
    g.beginPath();
    let pen = false;
    values.forEach((value, n) => {
      if (value === 0) { pen = false; return; }
      const x = area.x((n + 0.5) * width);
      if (pen) g.lineTo(x, y(value)); else g.moveTo(x, y(value));
      pen = true;
    });
    g.stroke();
    g.restore();
  }

  drawRates(area, colours) {
    const series = this.series(), { g } = area;
    const { width } = this.record.series;
    const rate = 1e9 / width;
    const tallest = Math.max(...series.ok.map((n, i) => n + series.fail[i] + series.info[i]), 1) * rate;
    const power = 10 ** Math.floor(Math.log10(tallest));
    const top = Math.ceil(tallest / power * 2) * power / 2;
    const y = (perSecond) => area.bottom - perSecond / top * (area.bottom - area.top);
    this.background(area, colours);
    g.fillStyle = colours.muted;
    for (const share of [0, 0.5, 1]) {
      g.fillText(`${Number((top * share).toPrecision(3))}/s`, area.left - 8, y(top * share));
    }
    series.ok.forEach((_, n) => {
      const x0 = Math.max(area.x(n * width), area.left), x1 = Math.min(area.x((n + 1) * width), area.right);
      if (x1 <= x0) return;
      let below = 0;
      for (const outcome of OUTCOMES) {
        const here = series[outcome][n] * rate;
        if (here === 0) continue;
        g.fillStyle = g.strokeStyle = colours[outcome];
        const bar = [x0 + 0.5, y(below + here), Math.max(x1 - x0 - 1, 0.5), y(below) - y(below + here)];
        if (outcome === "info") g.strokeRect(bar[0] + 0.5, bar[1] + 0.5, bar[2] - 1, Math.max(bar[3] - 1, 0));
        else g.fillRect(...bar);
        below += here;
      }
    });
  }
}
