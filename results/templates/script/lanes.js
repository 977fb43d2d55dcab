// The timeline's picture: faults, states of nodes, and a lane of operations for each client.
// States whose colours are light: what is written on them is dark.
const LIGHT_STATES = new Set(["starting", "paused"]);
const FAULT_ROW = 18, LINK_ROW = 11, NODE_ROW = 15, AXIS_ROW = 24, GAP = 8;

// Where everything is from top to bottom, for a record.
function layOutRows(record) {
  const lane = Math.min(26, Math.max(6, Math.floor(460 / record.lanes.length)));
  const faults = AXIS_ROW + (record.anomalies.length ? 16 : 0);
  const links = faults + record.faultRows * FAULT_ROW + (record.faultRows ? GAP : 0);
  const nodes = links + record.links.length * LINK_ROW + (record.links.length ? GAP : 0);
  const lanes = nodes + record.nodes.length * NODE_ROW + (record.nodes.length ? GAP : 0);
  return { flags: AXIS_ROW, faults, links, nodes, lanes, lane, bottom: lanes + record.lanes.length * lane + 6 };
}

// Draws one operation. Its outcome shows in colour and in shape: ok is a full bar, fail a hatched
// half, info a frame.
function drawCall(g, outcome, x, y, width, height, colours) {
  if (outcome === 0) {
    g.fillRect(x, y, width, height);
  } else if (outcome === 1) {
    const top = y + height * 0.4;
    g.fillRect(x, top, width, height * 0.6);
    if (width < 7) return;
    g.save();
    g.beginPath();
    g.rect(x, top, width, height * 0.6);
    g.clip();
    g.strokeStyle = colours.panel;
    g.lineWidth = 1.5;
    g.beginPath();
    for (let at = x - height; at < x + width; at += 5) {
      g.moveTo(at, y + height);
      g.lineTo(at + height, y);
    }
    g.stroke();
    g.restore();
  } else if (width < 5) {
    g.fillRect(x, y, width, height);
  } else {
    g.globalAlpha = 0.18;
    g.fillRect(x, y, width, height);
    g.globalAlpha = 1;
    g.lineWidth = 1.5;
    g.strokeRect(x + 0.75, y + 0.75, width - 1.5, height - 1.5);
  }
}

// Draws the operations of one lane. A narrow one is left out where an equal or worse outcome has
// been drawn on the same pixel already, so that the cost is bounded by the screen.
function drawLane(g, record, lane, view, area, axis, y, height, colours) {
  const { start, end, outcome, matches } = record.calls;
  const paints = [colours.ok, colours.fail, colours.info];
  let pixel = -1, worst = -1;
  for (let at = firstFrom(lane.reach, view.from); at < lane.ids.length; at++) {
    const id = lane.ids[at];
    if (start[id] > view.to) break;
    if (end[id] < view.from || !matches[id]) continue;
    const kind = outcome[id];
    let x0 = axis.x(start[id]), width = axis.x(end[id]) - x0;
    if (width < 2) {
      const column = Math.floor(x0);
      if (column === pixel && kind <= worst) continue;
      worst = column === pixel ? Math.max(worst, kind) : kind;
      pixel = column;
      x0 = column;
      width = Math.max(width, 1);
    }
    const right = Math.min(x0 + width, area.right);
    x0 = Math.max(x0, area.left);
    if (right <= x0) continue;
    g.fillStyle = g.strokeStyle = paints[kind];
    const gap = right - x0 > 4 ? 0.5 : 0;
    drawCall(g, kind, x0 + gap, y, right - x0 - 2 * gap, height, colours);
    if (right - x0 > 64 && height >= 13) labelCall(g, record, id, x0, y, right - x0, height, colours);
  }
}

function labelCall(g, record, id, x, y, width, height, colours) {
  const call = describe(record, id);
  g.save();
  g.beginPath();
  g.rect(x, y, width - 4, height);
  g.clip();
  g.textAlign = "left";
  g.fillStyle = call.outcome === "info" ? colours.ink : colours.panel;
  if (call.outcome === "fail") {
    g.fillStyle = colours.panel;
    g.fillRect(x + 3, y + 1, Math.min(g.measureText(call.asked).width + 6, width), height - 2);
    g.fillStyle = colours.ink;
  }
  g.fillText(`${call.asked} ${call.outcome === "fail" ? "" : call.ended}`, x + 6, y + height / 2 + 0.5);
  g.restore();
}

function drawLanes(g, record, view, area, axis, rows, colours) {
  const inset = rows.lane >= 12 ? 3 : 1;
  const every = Math.ceil(13 / rows.lane);
  record.lanes.forEach((lane, n) => {
    const y = rows.lanes + n * rows.lane;
    g.strokeStyle = colours.line;
    g.globalAlpha = 0.6;
    g.beginPath();
    g.moveTo(area.left, y + rows.lane - 0.5);
    g.lineTo(area.right, y + rows.lane - 0.5);
    g.stroke();
    g.globalAlpha = 1;
    drawLane(g, record, lane, view, area, axis, y + inset, rows.lane - 2 * inset, colours);
    if (n % every) return;
    g.textAlign = "right";
    g.fillStyle = colours.ink;
    g.fillText(`p${n}`, area.left - 38, y + rows.lane / 2);
    g.fillStyle = colours.muted;
    g.fillText(record.texts[lane.node].slice(0, 6), area.left - 8, y + rows.lane / 2);
  });
}

function drawFaults(g, record, view, area, axis, rows, colours) {
  for (const fault of record.faults) {
    if (fault.to < view.from || fault.from > view.to) continue;
    const x0 = Math.max(axis.x(fault.from), area.left);
    const x1 = Math.max(Math.min(axis.x(fault.to), area.right), x0 + 2);
    const y = rows.faults + fault.row * FAULT_ROW;
    g.fillStyle = fault.colour;
    g.globalAlpha = fault.bit === false ? 0.35 : 0.9;
    g.fillRect(x0, y, x1 - x0, 4);
    g.globalAlpha = 1;
    if (x1 - x0 < 26) continue;
    g.save();
    g.beginPath();
    g.rect(x0, y, x1 - x0 - 2, FAULT_ROW);
    g.clip();
    g.textAlign = "left";
    g.fillStyle = colours.muted;
    g.fillText(fault.what || fault.name, x0 + 2, y + 11);
    g.restore();
  }
  if (!record.faultRows) return;
  g.textAlign = "right";
  g.fillStyle = colours.muted;
  g.fillText("faults", area.left - 8, rows.faults + 8);
}

// Draws the links: a line where all gets through, broken and crossed where nothing does, in beads
// where it is slowed or spoilt.
function drawLinks(g, record, view, area, axis, rows, colours) {
  record.links.forEach((link, n) => {
    const y = rows.links + n * LINK_ROW + LINK_ROW / 2;
    g.font = `9.5px ${FONT}`;
    g.textAlign = "right";
    g.fillStyle = colours.muted;
    g.fillText(link.name.slice(0, 16), area.left - 8, y + 0.5);
    g.font = `11px ${FONT}`;
    g.strokeStyle = colours.line;
    g.beginPath();
    g.moveTo(area.left, y);
    g.lineTo(area.right, y);
    g.stroke();
    for (const { fault } of link.stretches) {
      if (fault.to < view.from || fault.from > view.to) continue;
      const x0 = Math.max(axis.x(fault.from), area.left);
      const x1 = Math.max(Math.min(axis.x(fault.to), area.right), x0 + 2);
      drawStretch(g, fault, x0, x1, y, colours);
    }
  });
}

function drawStretch(g, fault, x0, x1, y, colours) {
  g.fillStyle = colours.panel;
  g.fillRect(x0, y - 4, x1 - x0, 8);
  g.strokeStyle = fault.colour;
  g.globalAlpha = fault.bit === false ? 0.4 : 1;
  g.lineWidth = fault.cuts ? 1.5 : 3;
  g.setLineDash(fault.cuts ? [4, 4] : [2, 2]);
  g.beginPath();
  g.moveTo(x0, y);
  g.lineTo(x1, y);
  g.stroke();
  g.setLineDash([]);
  g.lineWidth = 1.5;
  if (fault.cuts && x1 - x0 > 14) {
    const x = (x0 + x1) / 2;
    g.clearRect(x - 6, y - 4, 12, 8);
    g.beginPath();
    for (const [dx, dy] of [[-3, -3], [-3, 3]]) {
      g.moveTo(x + dx, y + dy);
      g.lineTo(x - dx, y - dy);
    }
    g.stroke();
  }
  g.globalAlpha = 1;
  g.lineWidth = 1;
}

function drawNodes(g, record, view, area, axis, rows, colours) {
  record.nodes.forEach((node, n) => {
    const y = rows.nodes + n * NODE_ROW, height = NODE_ROW - 3;
    g.textAlign = "right";
    g.fillStyle = colours.ink;
    g.fillText(node.name.slice(0, 12), area.left - 8, y + height / 2);
    for (const stretch of node.stretches) {
      if (stretch.to < view.from || stretch.from > view.to || stretch.state === "stopped") continue;
      const x0 = Math.max(axis.x(stretch.from), area.left);
      const x1 = Math.max(Math.min(axis.x(stretch.to), area.right), x0 + 1.5);
      if (stretch.state === "ready") {
        g.fillStyle = colours.good;
        g.fillRect(x0, y + height / 2 - 1, x1 - x0, 2);
        continue;
      }
      g.fillStyle = colours[stretch.state] ?? colours.muted;
      g.fillRect(x0, y, x1 - x0, height);
      if (g.measureText(stretch.state).width + 8 > x1 - x0) continue;
      g.textAlign = "left";
      g.fillStyle = LIGHT_STATES.has(stretch.state) ? "#1c2024" : colours.panel;
      g.fillText(stretch.state, x0 + 4, y + height / 2 + 0.5);
    }
  });
}

// Brackets around the stretches in which a node led: rails above and below, closed where it began
// and where it ceased to.
function drawLeads(g, record, view, area, axis, rows, colours) {
  record.nodes.forEach((node, n) => {
    const top = rows.nodes + n * NODE_ROW + 0.5, height = NODE_ROW - 4;
    for (const { from, to } of node.leads) {
      if (to < view.from || from > view.to) continue;
      const x0 = Math.max(axis.x(from), area.left), x1 = Math.max(Math.min(axis.x(to), area.right), x0 + 2);
      g.strokeStyle = colours.accent;
      g.lineWidth = 1.5;
      g.strokeRect(x0, top, x1 - x0, height);
      g.lineWidth = 1;
      const width = g.measureText("leader").width;
      const paused = node.stretches.some((s) => s.state !== "ready" && s.from < axis.time(x0 + width + 12) && s.to > axis.time(x0));
      if (paused || x1 - x0 < width + 14) continue;
      g.fillStyle = colours.panel;
      g.fillRect(x0 + 4, top + 1, width + 6, height - 2);
      g.fillStyle = colours.accent;
      g.textAlign = "left";
      g.fillText("leader", x0 + 7, top + height / 2 + 0.5);
    }
  });
}

// Flags where contradictions are, and frames around their calls.
function drawAnomalies(g, record, view, area, axis, rows, colours, current) {
  g.textAlign = "center";
  let free = area.left + 8;
  record.anomalies.forEach((anomaly, n) => {
    if (anomaly.to < view.from || anomaly.from > view.to) return;
    const x0 = Math.max(axis.x(anomaly.from), area.left);
    const x1 = Math.min(axis.x(anomaly.to), area.right);
    g.fillStyle = colours.bad;
    g.fillRect(x0, rows.flags + 12, Math.max(x1 - x0, 2), 2);
    const x = Math.max((x0 + x1) / 2, free);
    if (x < area.right) {
      free = x + 17;
      g.beginPath();
      g.arc(x, rows.flags + 5, 7.5, 0, 2 * Math.PI);
      g.fill();
      g.fillStyle = colours.panel;
      g.fillText(String(n + 1), x, rows.flags + 5.5);
    }
    g.strokeStyle = colours.bad;
    g.lineWidth = n === current ? 2 : 1;
    for (const id of anomaly.ids) frameCall(g, record, id, area, axis, rows);
  });
  g.lineWidth = 1;
}

function frameCall(g, record, id, area, axis, rows) {
  const x0 = Math.max(axis.x(record.calls.start[id]) - 1, area.left - 1);
  const x1 = Math.min(axis.x(record.calls.end[id]) + 1, area.right + 1);
  if (x1 < area.left || x0 > area.right) return;
  const y = rows.lanes + record.calls.lane[id] * rows.lane;
  g.strokeRect(x0, y + 1, Math.max(x1 - x0, 3), rows.lane - 2);
}
