// What stretch of time is seen, shared by all drawings, and how they are drawn on.
const GUTTER = 92, MARGIN = 14;

class View {
  constructor(end) {
    this.end = end;
    this.from = 0;
    this.to = end;
    this.cursor = null;
    this.drawings = [];
    this.waiting = false;
  }

  // Draws everything anew with the next frame.
  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      for (const draw of this.drawings) draw();
    });
  }

  show(from, to) {
    const least = Math.min(2000, this.end);
    const width = Math.min(Math.max(to - from, least), this.end);
    const middle = (from + to) / 2;
    this.from = Math.min(Math.max(middle - width / 2, 0), this.end - width);
    this.to = this.from + width;
    this.redraw();
  }

  zoom(factor, at = (this.from + this.to) / 2) {
    const width = Math.min((this.to - this.from) * factor, this.end);
    const share = (at - this.from) / (this.to - this.from);
    this.show(at - width * share, at + width * (1 - share));
  }

  centre(time) {
    const half = (this.to - this.from) / 2;
    this.show(time - half, time + half);
  }

  pan(share) {
    const by = (this.to - this.from) * share;
    this.show(this.from + by, this.to + by);
  }
}

// Whether a canvas is on the screen; what is not need not be drawn until it is.
function isSeen(canvas) {
  const { top, bottom } = canvas.getBoundingClientRect();
  return bottom > -50 && top < innerHeight + 50;
}

// The colours of the page, which follow the system's light or dark.
let colours = null;
function theme() {
  return colours ??= readTheme();
}

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ground", "panel", "sunk", "ink", "muted", "line", "accent", "ok", "fail", "info", "bad",
    "good", "starting", "paused", "killed", "died", "unresponsive", "shade0", "shade1", "shade3"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

// A canvas of that height, scaled to the screen's pixels and cleared.
function prepare(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  if (canvas.style.height !== `${height}px`) canvas.style.height = `${height}px`;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const g = canvas.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  g.font = `11px ${FONT}`;
  g.textBaseline = "middle";
  return { g, width, height, left: GUTTER, right: width - MARGIN };
}

// From nanoseconds to pixels and back, for one drawing.
function axis(view, { left, right }) {
  const scale = (right - left) / (view.to - view.from);
  return {
    x: (time) => left + (time - view.from) * scale,
    time: (x) => view.from + (x - left) / scale,
    scale,
  };
}

// Round instants, about one in 110 pixels.
function timeTicks(view, width) {
  const rough = (view.to - view.from) / Math.max(width / 110, 2);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const ticks = [];
  for (let n = Math.ceil(view.from / step); n * step <= view.to; n++) ticks.push(n * step);
  return { ticks, step };
}

function showTime(ns, step = 1e6) {
  const decimals = Math.min(Math.max(Math.ceil(9 - Math.log10(step)), 0), 9);
  return `${(ns / 1e9).toFixed(decimals)} s`;
}

function showDuration(ns) {
  const [unit, name] = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]].find(([u]) => ns >= u) ?? [1, "ns"];
  const value = ns / unit;
  const digits = unit === 1 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${name}`;
}

// Lines at round instants, and their names along the top or bottom.
function drawTicks(g, view, area, axis, colours, labelY) {
  const { ticks, step } = timeTicks(view, area.right - area.left);
  g.textAlign = "center";
  for (const tick of ticks) {
    const x = Math.round(axis.x(tick)) + 0.5;
    g.strokeStyle = colours.line;
    g.beginPath();
    g.moveTo(x, area.top);
    g.lineTo(x, area.bottom);
    g.stroke();
    g.fillStyle = colours.muted;
    if (x > area.left + 18 && x < area.right - 18) g.fillText(showTime(tick, step), x, labelY);
  }
}

// The faults as bands behind a drawing.
function drawBands(g, view, area, axis, faults) {
  for (const fault of faults) {
    if (fault.to < view.from || fault.from > view.to) continue;
    const x0 = Math.max(axis.x(fault.from), area.left);
    const x1 = Math.min(axis.x(fault.to), area.right);
    g.globalAlpha = 0.11;
    g.fillStyle = fault.colour;
    g.fillRect(x0, area.top, Math.max(x1 - x0, 1), area.bottom - area.top);
  }
  g.globalAlpha = 1;
}

// Where the pointer is, in all drawings.
function drawCursor(g, view, area, axis, colours) {
  if (view.cursor === null) return;
  const x = Math.round(axis.x(view.cursor)) + 0.5;
  if (x < area.left || x > area.right) return;
  g.strokeStyle = colours.muted;
  g.setLineDash([2, 3]);
  g.beginPath();
  g.moveTo(x, area.top);
  g.lineTo(x, area.bottom);
  g.stroke();
  g.setLineDash([]);
}
