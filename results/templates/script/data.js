// The embedded record: inflated, its differences added up, laid out for drawing.
const OUTCOMES = ["ok", "fail", "info"];

async function inflate(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// Calls as typed columns; `start` and `end` are in nanoseconds.
function layOutCalls(columns) {
  const count = columns.index.length;
  const calls = {
    count, columns,
    index: new Float64Array(count), start: new Float64Array(count), end: new Float64Array(count),
    outcome: Uint8Array.from(columns.outcome), lane: Uint8Array.from(columns.lane),
    matches: new Uint8Array(count).fill(1),
  };
  let index = 0, time = 0;
  for (let i = 0; i < count; i++) {
    index += columns.index[i];
    time += columns.time[i];
    calls.index[i] = index;
    calls.start[i] = time;
    calls.end[i] = time + columns.took[i];
  }
  return calls;
}

// For each lane its calls in order of invocation, and up to each the latest end so far: both
// ascend, so that the first call that reaches into a view is found by halving.
function layOutLanes(calls, count) {
  const lanes = Array.from({ length: count }, () => ({ ids: [], reach: [], node: 0 }));
  for (let i = 0; i < calls.count; i++) {
    const lane = lanes[calls.lane[i]];
    if (lane.ids.length === 0) lane.node = calls.columns.node[i];
    const before = lane.reach.length ? lane.reach[lane.reach.length - 1] : 0;
    lane.ids.push(i);
    lane.reach.push(Math.max(before, calls.end[i]));
  }
  return lanes;
}

// The first position in an ascending list whose value is not below `value`.
function firstFrom(list, value) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}

// The states of each node as stretches of time.
function layOutNodes(states, end) {
  const nodes = new Map();
  for (const { node, time, state, detail } of states) {
    if (!nodes.has(node)) nodes.set(node, []);
    const stretches = nodes.get(node);
    if (stretches.length) stretches[stretches.length - 1].to = time;
    stretches.push({ state, detail, from: time, to: end });
  }
  return [...nodes].sort(([a], [b]) => inOrder(a, b))
    .map(([name, stretches]) => ({ name, stretches }));
}

// When each node led, as far as it said.
function layOutLeaders(nodes, leaders, end) {
  for (const node of nodes) node.leads = [];
  for (const { node: name, time, leads } of leaders) {
    const led = nodes.find((node) => node.name === name)?.leads;
    if (!led) continue;
    if (leads) led.push({ from: time, to: end });
    else if (led.length) led[led.length - 1].to = time;
  }
  return nodes;
}

// Faults in rows in which none overlaps another, a few rows at most.
function layOutFaults(faults, end) {
  const ends = [];
  for (const fault of faults) {
    if (fault.to === null) fault.to = end;
    let row = ends.findIndex((until) => until <= fault.from);
    if (row < 0) row = ends.length < 5 ? ends.length : 4;
    ends[row] = Math.max(ends[row] ?? 0, fault.to);
    fault.row = row;
  }
  return ends.length;
}

// What became of the links between nodes: a row for each pair that a fault was aimed at, or, of many
// pairs, for each node.
const LINK_ROWS_MAX = 12;

function layOutLinks(faults) {
  const byPair = new Map(), byNode = new Map();
  const add = (rows, name, fault, way) => {
    if (!rows.has(name)) rows.set(name, new Map());
    const stretches = rows.get(name);
    if (!stretches.has(fault)) stretches.set(fault, { fault, ways: [] });
    stretches.get(fault).ways.push(way);
  };
  for (const fault of faults) {
    for (const [from, to] of fault.links) {
      const way = `${from} → ${to}`;
      add(byPair, [from, to].sort(inOrder).join(" – "), fault, way);
      add(byNode, from, fault, way);
      if (to !== from) add(byNode, to, fault, way);
    }
  }
  const rows = byPair.size <= LINK_ROWS_MAX ? byPair : byNode;
  return [...rows].sort(([a], [b]) => inOrder(a, b)).slice(0, 2 * LINK_ROWS_MAX)
    .map(([name, stretches]) => ({ name, stretches: [...stretches.values()] }));
}

function inOrder(a, b) {
  return a.localeCompare(b, undefined, { numeric: true });
}

// The calls of each contradiction, of those that the record holds.
function layOutAnomalies({ anomalies, calls }) {
  for (const anomaly of anomalies) {
    anomaly.ids = anomaly.calls.map((index) => firstFrom(calls.index, index))
      .filter((id, at) => calls.index[id] === anomaly.calls[at]);
    if (anomaly.to <= anomaly.from && anomaly.ids.length) {
      anomaly.from = Math.min(...anomaly.ids.map((id) => calls.start[id]));
      anomaly.to = Math.max(...anomaly.ids.map((id) => calls.end[id]));
    }
  }
}

function layOut(data) {
  const end = Math.max(data.end, 1);
  const calls = layOutCalls(data.calls);
  const record = {
    end, calls, texts: data.texts, kinds: data.kinds, series: data.series,
    lanes: layOutLanes(calls, data.lanes), nodes: layOutLeaders(layOutNodes(data.states, end), data.leaders, end),
    faults: data.faults, faultRows: layOutFaults(data.faults, end), anomalies: data.anomalies,
    links: layOutLinks(data.faults), logs: new Map(data.logs.map(({ node, lines }) => [node, lines])),
    filtered: 0,
  };
  layOutAnomalies(record);
  return record;
}

// One call's texts.
function describe(record, id) {
  const { columns } = record.calls;
  const text = (column) => record.texts[columns[column][id]];
  return {
    asked: text("asked"), ended: text("ended"), reason: text("reason"), process: text("process"),
    node: text("node"), key: text("key"), kind: record.kinds[columns.kind[id]],
    outcome: OUTCOMES[columns.outcome[id]], open: columns.returned[id] === 0,
    index: record.calls.index[id], returned: record.calls.index[id] + columns.returned[id],
    start: record.calls.start[id], end: record.calls.end[id],
  };
}

// Marks the calls that a filter is about: each word must be the call's key, kind, process, node
// or outcome, or stand in what was asked. Returns how many there are.
function filterCalls(record, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (let i = 0; i < record.calls.count; i++) {
    let matches = 1;
    if (words.length) {
      const call = describe(record, i);
      const fields = [call.key, call.kind, call.process, call.node, call.outcome];
      const known = new Set(fields.map((field) => field.toLowerCase()));
      const asked = ` ${call.asked} ${call.ended} `.toLowerCase();
      matches = words.every((word) => known.has(word) || asked.includes(` ${word} `)) ? 1 : 0;
    }
    record.calls.matches[i] = matches;
    found += matches;
  }
  record.filtered++;
  return found;
}
