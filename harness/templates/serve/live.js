"use strict";
// Draws what the server tells of a run that is going on. Texts of the record only become text.
const byId = (id) => document.getElementById(id);
const number = (n) => n.toLocaleString("en");

function made(name, text) {
  const element = document.createElement("li");
  element.className = name;
  element.textContent = text;
  return element;
}

function drawRates(rates) {
  const svg = byId("rates"), tallest = Math.max(...rates.map(([ok, fail, info]) => ok + fail + info), 1);
  const bars = [];
  rates.forEach((rate, n) => {
    let y = 136;
    ["ok", "fail", "info"].forEach((outcome, at) => {
      const height = rate[at] / tallest * 130;
      if (!height) return;
      const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      y -= height;
      const shape = { x: n * 10 + 1, y, width: 8, height, class: outcome };
      for (const [name, value] of Object.entries(shape)) bar.setAttribute(name, value);
      bars.push(bar);
    });
  });
  svg.replaceChildren(...bars);
}

function seconds(ns) {
  return `${(ns / 1e9).toFixed(1)} s`;
}

function show(news) {
  const { total, rates } = news;
  for (const outcome of ["ok", "fail", "info"]) byId(outcome).textContent = number(total[outcome]);
  byId("outstanding").textContent = number(news.outstanding);
  // The last second is not over yet.
  const whole = rates.length > 1 ? rates[rates.length - 2] : rates[0];
  byId("rate").textContent = whole ? number(whole[0] + whole[1] + whole[2]) : "–";
  byId("elapsed").textContent = `${seconds(news.time)} recorded`;
  const left = news.of === null ? null : Math.max(news.of - news.time, 0);
  byId("left").textContent = news.over ? "over" : left === null ? "unknown" : left > 0 ? seconds(left) : "settling";
  drawRates(rates);
  const nodes = Object.entries(news.nodes).map(([name, state]) => made(`state ${state}`, `${name} ${state}`));
  byId("nodes").replaceChildren(...nodes);
  const faults = Object.values(news.faults).map((what) => made("state fault", what));
  byId("faults").replaceChildren(...(faults.length ? faults : [made("muted", "none")]));
  byId("injected").textContent = `${number(news.injected)} injected so far`;
  const sign = document.createElement("b");
  sign.textContent = news.sign;
  byId("class").className = `badge ${news.class}`;
  byId("class").replaceChildren(sign, ` ${news.class}`);
  byId("reason").textContent = news.reason;
  if (news.claim) byId("claim").textContent = news.claim;
  byId("outcome").hidden = !news.over;
}

const source = new EventSource(`${byId("live").dataset.run}/events`);
source.addEventListener("news", (event) => {
  const news = JSON.parse(event.data);
  show(news);
  if (news.over) source.close();
});
