#!/usr/bin/env node
// An adapter: talks to the server of docs/tutorial. One JSON object a line, in and out.
const http = require("http");
const readline = require("readline");

const METHODS = { read: "GET", write: "PUT", cas: "POST" };
let server = null, agent = null;

function perform(request, answer) {
  if (request.type === "open") {
    server = request;
    agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    return answer({ type: "ok" });
  }
  if (request.type === "close") {
    agent.destroy();
    return answer({ type: "ok" });
  }
  const { f, key, value } = request;
  if (!METHODS[f]) return answer({ type: "fail", error: "not-supported" });
  const body = f === "cas" ? value.join(" ") : f === "write" ? String(value) : "";
  // Whatever goes wrong after this line, the request may have arrived: nobody knows.
  const lost = (error) => answer({ type: "info", error: String(error) });
  const call = http.request({
    host: server.host, port: server.port, agent, path: "/" + key, method: METHODS[f],
    headers: { "Content-Length": Buffer.byteLength(body) },
  }, (reply) => {
    let text = "";
    reply.on("data", (chunk) => { text += chunk; });
    reply.on("error", lost);
    reply.on("end", () => {
      const status = reply.statusCode, ok = status === 200;
      if (f === "read" && (ok || status === 404)) answer({ type: "ok", value: ok ? Number(text) : null });
      else if (ok) answer({ type: "ok" });
      else answer({ type: status === 409 ? "fail" : "info", error: "status " + status });
    });
  });
  call.setTimeout(server.timeout_ms, () => call.destroy(new Error("timeout")));
  call.on("error", lost);
  call.end(body);
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    // A promise settles once: only the first answer counts.
    const answer = await new Promise((resolve) => perform(request, resolve));
    console.log(JSON.stringify({ id: request.id, ...answer }));
  }
  process.exit(0);
}
main();
