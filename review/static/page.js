// Draws the charts (uPlot) from the page's own JSON, makes them usable by keyboard, and draws them again while a session runs.
"use strict";

const NEAR = 30; // pixels within which the pointer finds a point
const HEIGHT = 300, SMALL = 190;
const COLOURS = ["--run", "--parent", "--incumbent", "--other3", "--other4", "--other5"];
const BY_ROLE = { run: "--run", parent: "--parent", incumbent: "--incumbent", best: "--other4" }; // a leader is in one colour here and in reports

// A custom property with light-dark() is only resolved where it is used as a colour.
const probe = document.createElement("span");
function colour(name) {
  document.body.append(probe);
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
function faded(rgb) { return rgb.replace(/^rgb\(/, "rgba(").replace(/\)$/, rgb.startsWith("rgba") ? ")" : ", 0.3)"); }
function short(value) {
  if (value == null) return "–";
  const size = Math.abs(value);
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(4)}M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(4)}K`;
  return String(+value.toPrecision(4));
}

// As a number beside an axis, where there is little room.
function brief(value) {
  const size = Math.abs(value);
  return size && size < 1e-3 ? value.toExponential(1).replace(".0e", "e") : short(value);
}
// Powers of ten between two numbers above 0, at most so many: with 2 and 5 times these where there is room, else every
// second, third … one.
function decades(low, high, most) {
  const every = (step, factors) => {
    const ticks = [];
    for (let power = step * Math.floor(Math.log10(low) / step); power <= Math.ceil(Math.log10(high)); power += step) {
      for (const by of factors) { const tick = +`${by}e${power}`; if (tick >= low && tick <= high) ticks.push(tick); }
    }
    return ticks;
  };
  const fine = every(1, [1, 2, 5]), ticks = fine.length <= most ? fine : every(Math.max(1, Math.ceil(Math.log10(high / low) / most)), [1]);
  return ticks.length ? ticks : [low, high];
}
// Exponentially weighted means, each point counting less the farther it lies back on x, without the pull towards the first.
function smoothed(series, strength, span) {
  if (!strength || series.x.length < 3 || !["line", "thin"].includes(series.kind)) return series.y;
  let sum = 0, weight = 0;
  return series.y.map((y, i) => {
    const decay = i ? strength ** ((100 * (series.x[i] - series.x[i - 1])) / span) : 0;
    sum = sum * decay + y * (1 - decay || 1);
    weight = weight * decay + (1 - decay || 1);
    return sum / weight;
  });
}

class Chart {
  constructor(figure) {
    this.figure = figure;
    this.plot = figure.querySelector(".plot");
    this.legend = figure.querySelector(".legend");
    this.reading = figure.querySelector(".reading");
    this.off = new Set();
    this.u = null;
    this.small = "small" in figure.dataset;
    this.shared = figure.dataset.shared; // charts of one name share a cursor, controls, and what is switched off
    this.controls = this.shared && document.querySelector(`form[data-controls="${this.shared}"]`);
    this.cursor = null; // where on x the shared cursor stands
    this.plot.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.u && this.u.setSize({ width: this.width(), height: this.height() })).observe(this.plot);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  // How many numbers fit beside an axis.
  room(u, side) { return Math.max(2, Math.floor(side === "y" ? u.height / 44 : u.width / 64)); }
  width() { return Math.max(this.small ? 180 : 240, this.plot.clientWidth); }
  height() { return this.small ? SMALL : HEIGHT; }
  // The charts that share this one's cursor, itself among them.
  together() { return this.shared ? [...charts.values()].filter((one) => one.shared === this.shared && one.chart) : [this]; }

  async load() {
    const answer = await fetch(this.figure.dataset.src, { headers: { Accept: "application/json" } });
    if (!answer.ok) { this.reading.textContent = "nothing to draw"; return; }
    this.logged = await answer.json();
    if (!this.small) this.figure.querySelector("figcaption").textContent = this.logged.title;
    this.figure.hidden = !this.logged.series.some((series) => series.x.length); // no empty card
    this.draw();
  }

  colour_of(series) {
    const many = this.chart.series.some((one) => one.role === "other" && one.group > 0);
    const name = many ? COLOURS[series.group % COLOURS.length] : BY_ROLE[series.role] || "--run";
    return colour(name);
  }

  // All points of all series on one ascending x, each series with gaps where the others are.
  columns() {
    const all = [];
    this.chart.series.forEach((series, s) => series.x.forEach((x, i) => all.push([x, s, i])));
    all.sort((a, b) => a[0] - b[0]);
    this.places = all;
    // uPlot wants each x once: equal ones are moved apart by what nobody can see.
    const span = all.length ? all[all.length - 1][0] - all[0][0] : 0;
    const step = (span || Math.abs(all[0]?.[0] ?? 0) || 1) * 1e-8;
    const xs = [];
    for (const [x] of all) xs.push(xs.length && x <= xs[xs.length - 1] ? xs[xs.length - 1] + step : x);
    const ys = this.chart.series.map((series, s) => all.map(([, of, i]) => (of === s && !(this.log && series.y[i] <= 0) ? series.y[i] : null)));
    return [xs, ...ys];
  }

  draw() {
    if (!this.logged) return;
    const strength = Number(this.controls?.elements.smoothing.value || 0), every = this.logged.series.flatMap((one) => one.x);
    const span = every.reduce((most, at) => Math.max(most, at), -Infinity) - every.reduce((least, at) => Math.min(least, at), Infinity) || 1;
    this.chart = { ...this.logged, series: this.logged.series.map((one) => ({ ...one, y: smoothed(one, strength, span) })) };
    // On a logarithmic scale only what is above 0 can be drawn; where nothing is, the scale stays as it was.
    this.log = Boolean(this.controls?.elements.log.checked) && this.chart.series.some((one) => one.y.some((y) => y > 0));
    const kept = this.u && this.zoomed ? { min: this.u.scales.x.min, max: this.u.scales.x.max } : null;
    if (this.u) this.u.destroy();
    this.u = null;
    this.at = null;
    if (!this.chart.series.some((series) => series.x.length)) {
      return;
    }
    const { x, y } = this.chart;
    const text = colour("--quiet"), grid = colour("--grid");
    const axis = (side, of) => ({
      stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 },
      ...(this.small && side === "y" ? {} : { label: of.unit ? `${of.label} (${of.unit})` : of.label, labelSize: this.small ? 20 : 26 }),
      size: side === "y" ? (this.small ? 50 : 62) : this.small ? 34 : 40, space: side === "y" ? (this.small ? 34 : 30) : 64,
      values: (_, ticks) => ticks.map((tick) => (tick == null ? "" : of.names.length ? of.names[tick] ?? "" : brief(tick))),
      ...(of.names.length ? { splits: () => of.names.map((_, i) => i) } : {}),
      ...((side === "y" ? this.log : of.scale === "log")
        ? { splits: (u, __, low, high) => decades(low, high, this.room(u, side)), filter: (_, ticks) => ticks } : {}),
    });
    const log = x.scale === "log";
    const series = this.chart.series.map((one) => {
      const ink = this.colour_of(one), thin = one.kind === "thin", points = one.kind === "points";
      return {
        label: one.label, show: !this.off.has(one.group), stroke: thin ? faded(ink) : ink, spanGaps: true,
        width: points ? 0 : thin ? 1 : 2.5,
        ...(points ? { paths: () => null } : one.kind === "steps" ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
        points: { show: points || one.x.length < 3, size: one.role === "incumbent" && points ? 12 : 7, fill: ink, stroke: ink },
      };
    });
    this.u = new uPlot({
      width: this.width(), height: this.height(), legend: { show: false }, series: [{}, ...series],
      scales: {
        x: { time: false, ...(log ? { distr: 3 } : {}), ...(x.names.length ? { range: [-0.5, x.names.length - 0.5] } : {}) },
        y: { ...(this.log ? { distr: 3 } : {}), range: (_, low, high) => this.range(low, high) },
      },
      axes: [axis("x", x), axis("y", y)],
      cursor: { drag: { x: true, y: false }, points: { show: false }, dataIdx: (u, s, i) => i },
      hooks: {
        setCursor: [(u) => this.pointed(u)], draw: [(u) => this.intervals(u), (u) => this.ring(u), (u) => this.mark(u)],
        setSelect: [() => { this.zoomed = true; }],
      },
    }, this.columns(), this.plot);
    if (kept && kept.min != null) this.u.setScale("x", kept);
    this.u.over.addEventListener("dblclick", () => { this.zoomed = false; });
    this.u.over.addEventListener("click", (event) => { if (event.detail === 1 && !this.zoomed) this.open(); });
    this.name_series();
  }

  // Intervals count for the y range too.
  range(low, high) {
    if (this.log) {
      const above = this.chart.series.flatMap((one) => (this.off.has(one.group) ? [] : one.y.filter((y) => y > 0)));
      low = above.reduce((least, y) => Math.min(least, y), Infinity);
      high = above.reduce((most, y) => Math.max(most, y), 0);
      return above.length ? [low / 1.15, high * 1.15] : [1, 10];
    }
    for (const one of this.chart.series) {
      if (this.off.has(one.group)) continue;
      for (const value of [...one.low, ...one.high]) if (value != null) { low = Math.min(low, value); high = Math.max(high, value); }
    }
    const pad = (high - low || Math.abs(high) || 1) * 0.06;
    return [low - pad, high + pad];
  }

  intervals(u) {
    const paint = u.ctx;
    this.chart.series.forEach((one) => {
      if (this.off.has(one.group) || !one.low.length || one.x.length > 1000) return;
      if (one.kind === "steps") { this.band(u, one); return; }
      paint.save();
      paint.strokeStyle = faded(this.colour_of(one));
      paint.lineWidth = 1.5 * devicePixelRatio;
      one.x.forEach((x, i) => {
        if (one.low[i] == null || one.high[i] == null) return;
        const at = u.valToPos(x, "x", true);
        if (at < u.bbox.left || at > u.bbox.left + u.bbox.width) return;
        paint.beginPath();
        paint.moveTo(at, u.valToPos(one.low[i], "y", true));
        paint.lineTo(at, u.valToPos(one.high[i], "y", true));
        paint.stroke();
      });
      paint.restore();
    });
  }

  // What lies between the ends of the intervals of a stepped line.
  band(u, one) {
    const paint = u.ctx, at = (i) => u.valToPos(one.x[i], "x", true), ends = [];
    one.x.forEach((_, i) => {
      for (const x of i + 1 < one.x.length ? [at(i), at(i + 1)] : [at(i)]) ends.push([x, u.valToPos(one.low[i], "y", true), u.valToPos(one.high[i], "y", true)]);
    });
    paint.save();
    paint.beginPath();
    paint.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    paint.clip();
    paint.beginPath();
    for (const [x, low] of ends) paint.lineTo(x, low);
    for (const [x, , high] of ends.reverse()) paint.lineTo(x, high);
    paint.globalAlpha = 0.12;
    paint.fillStyle = this.colour_of(one);
    paint.fill();
    paint.restore();
  }

  ring(u) {
    if (!this.at) return;
    const one = this.chart.series[this.at.series], paint = u.ctx;
    paint.save();
    paint.strokeStyle = colour("--text");
    paint.lineWidth = 2 * devicePixelRatio;
    paint.beginPath();
    paint.arc(u.valToPos(one.x[this.at.index], "x", true), u.valToPos(one.y[this.at.index], "y", true), 6 * devicePixelRatio, 0, 7);
    paint.stroke();
    paint.restore();
  }

  // The line of the shared cursor.
  mark(u) {
    if (this.cursor == null) return;
    const paint = u.ctx, at = u.valToPos(this.cursor, "x", true);
    if (at < u.bbox.left || at > u.bbox.left + u.bbox.width) return;
    paint.save();
    paint.strokeStyle = colour("--quiet");
    paint.lineWidth = devicePixelRatio;
    paint.beginPath();
    paint.moveTo(at, u.bbox.top);
    paint.lineTo(at, u.bbox.top + u.bbox.height);
    paint.stroke();
    paint.restore();
  }

  // Put the cursor of all charts that share it somewhere; each says the value of every line there.
  share(x) {
    for (const other of this.together()) {
      if (other.cursor === x || !other.u) continue;
      other.cursor = x;
      other.values();
      other.u.redraw(false, false);
    }
  }

  // The value of each line where the cursor stands, beside its name.
  values() {
    for (const [group, place] of this.places_of || []) {
      const mine = this.chart.series.filter((one) => one.group === group && one.x.length);
      const one = mine.find((each) => each.kind !== "thin") || mine[0];
      let nearest = 0;
      if (one && this.cursor != null) one.x.forEach((x, i) => { if (Math.abs(x - this.cursor) < Math.abs(one.x[nearest] - this.cursor)) nearest = i; });
      place.textContent = one && this.cursor != null ? ` ${short(one.y[nearest])}` : "";
    }
  }

  // The point nearest to the pointer, in pixels.
  pointed(u) {
    const { left, top } = u.cursor;
    if (left == null || left < 0) { if (this.hovered) { this.hovered = false; this.share(null); } return; }
    this.hovered = true;
    this.share(u.posToVal(left, "x"));
    let best = null, least = NEAR * NEAR;
    this.chart.series.forEach((one, s) => {
      if (this.off.has(one.group)) return;
      const mean = one.kind === "thin" ? 40 : 0; // the mean before its replicates
      one.x.forEach((x, i) => {
        const dx = u.valToPos(x, "x") - left;
        if (dx * dx > least) return;
        const dy = u.valToPos(one.y[i], "y") - top;
        const apart = dx * dx + dy * dy + mean;
        if (apart < least) { least = apart; best = { series: s, index: i }; }
      });
    });
    this.show(best);
  }

  show(at) {
    if (at === this.at || (at && this.at && at.series === this.at.series && at.index === this.at.index)) return;
    this.at = at;
    this.plot.classList.toggle("found", Boolean(at));
    if (this.u) this.u.redraw(false, false);
    if (!at) { this.reading.textContent = ""; return; }
    if (!this.hovered) this.share(this.chart.series[at.series].x[at.index]);
    const one = this.chart.series[at.series], { x, y } = this.chart, i = at.index;
    const name = !one.names[i] ? one.label : one.kind === "steps" ? `${one.label}, ${one.names[i]}` : one.names[i];
    const here = x.names.length ? x.names[one.x[i]] : `${short(one.x[i])}${x.unit ? ` ${x.unit}` : ""}`;
    const span = one.low[i] != null && one.high[i] != null ? ` [${short(one.low[i])}, ${short(one.high[i])}]` : "";
    this.reading.textContent = `${name}: ${y.label} ${short(one.y[i])}${span} at ${x.follows ? `${here} ${x.label}` : `${x.label} ${here}`}`;
  }

  open() {
    if (!this.at) return;
    const one = this.chart.series[this.at.series], name = one.names[this.at.index] || one.run;
    if (name) location.href = `/runs/${encodeURIComponent(name)}`;
  }

  key(event) {
    if (!this.u || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], line = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const shown = this.chart.series.map((one, s) => [one, s]).filter(([one]) => !this.off.has(one.group) && one.x.length);
    if (!shown.length) return;
    if (step || line || event.key === "Home" || event.key === "End") {
      let at = this.at ? { ...this.at } : null;
      if (!at || this.off.has(this.chart.series[at.series].group)) at = { series: (shown.find(([one]) => one.kind !== "thin") || shown[0])[1], index: -1 };
      const xs = () => this.chart.series[at.series].x;
      // Points are walked in the order of x, whatever the order in which they came.
      const order = () => xs().map((_, i) => i).sort((a, b) => xs()[a] - xs()[b] || a - b);
      if (line) {
        const now = shown.findIndex(([, s]) => s === at.series), x = xs()[Math.max(0, at.index)];
        at.series = shown[(now + line + shown.length) % shown.length][1];
        at.index = order().reduce((best, i) => (Math.abs(xs()[i] - x) < Math.abs(xs()[best] - x) ? i : best), order()[0]);
      } else {
        const walk = order(), now = walk.indexOf(at.index);
        const to = event.key === "Home" ? 0 : event.key === "End" ? walk.length - 1 : now < 0 ? 0 : now + step;
        at.index = walk[Math.min(walk.length - 1, Math.max(0, to))];
      }
      this.show(at);
    } else if (event.key === "+" || event.key === "=" || event.key === "-") {
      const { min, max } = this.u.scales.x, one = this.at && this.chart.series[this.at.series];
      const middle = one ? one.x[this.at.index] : (min + max) / 2, half = ((max - min) / 2) * (event.key === "-" ? 2 : 0.5);
      this.zoomed = true;
      this.u.setScale("x", this.chart.x.scale === "log" ? { min: Math.max(min / 2, middle - half) || min, max: middle + half } : { min: middle - half, max: middle + half });
    } else if (event.key === "0" || event.key === "Escape") {
      this.zoomed = false;
      this.u.setData(this.u.data, true);
    } else if (event.key === "Enter") {
      this.open();
    } else return;
    event.preventDefault();
  }

  // One button for each group of series, which switches them on and off.
  name_series() {
    this.legend.replaceChildren();
    this.places_of = new Map();
    const groups = new Map();
    for (const one of this.chart.series) if (!groups.has(one.group) || one.kind !== "thin") groups.set(one.group, one);
    for (const [group, one] of groups) {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!this.off.has(group)));
      const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg"), bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      mark.setAttribute("viewBox", "0 0 14 10");
      for (const [key, value] of [["y", 3], ["width", 14], ["height", 4], ["fill", this.colour_of(one)]]) bar.setAttribute(key, value);
      mark.append(bar);
      const value = document.createElement("b");
      button.append(mark, this.small ? one.label.split(/[:,]/)[0] : one.label, value);
      this.places_of.set(group, value);
      button.addEventListener("click", () => { const off = !this.off.has(group); for (const other of this.together()) other.turn(group, off); });
      item.append(button);
      this.legend.append(item);
    }
    this.values();
  }

  // Switch a group of series off or on.
  turn(group, off) {
    if (off) this.off.add(group); else this.off.delete(group);
    this.at = null;
    this.places_of?.get(group)?.parentElement.setAttribute("aria-pressed", String(!off));
    this.chart.series.forEach((each, s) => { if (each.group === group) this.u?.setSeries(s + 1, { show: !off }); });
  }
}

const charts = new Map();
function begin(within) {
  within.querySelectorAll(".scroll table, .report table").forEach(stackable);
  for (const figure of within.querySelectorAll("figure.chart")) {
    if (charts.has(figure)) continue;
    const chart = new Chart(figure);
    charts.set(figure, chart);
    // Those further down are drawn when they come into view.
    new IntersectionObserver((seen, observer) => {
      if (seen.some((one) => one.isIntersecting)) { observer.disconnect(); chart.load(); }
    }, { rootMargin: "300px" }).observe(figure);
  }
}

// On a phone a row of a table is a card: each cell says which column's it is. It stays a table to whoever hears it.
function stackable(table) {
  const heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
  table.classList.add("stacks");
  table.setAttribute("role", "table");
  for (const group of [table.tHead, ...table.tBodies]) group?.setAttribute("role", "rowgroup");
  for (const row of table.rows) {
    row.setAttribute("role", "row");
    [...row.cells].forEach((cell, at) => {
      const head = heads[at], lead = !at || (at === 1 && row.cells[0].querySelector("input"));
      cell.setAttribute("role", cell.tagName === "TH" ? "columnheader" : "cell");
      if (cell.tagName === "TH") return;
      cell.classList.toggle("lead", Boolean(lead));
      cell.classList.toggle("void", !cell.textContent.trim() && !cell.querySelector("svg, input"));
      const label = head ? head.dataset.column ?? head.textContent.trim() : "";
      // Of a run its number is enough; what leads a card says itself what it is, but for a number such as a seed.
      if (label && (!lead || /^[\d.]+$/.test(cell.textContent.trim()))) cell.dataset.label = label.match(/^#\d+(?= )/)?.[0] ?? label;
    });
  }
}

// Decisions by keyboard: j and k move, a goes to Approve, r to the reason, Enter does it.
function decide(event) {
  const typing = event.target.closest("input, textarea, select, [role=group]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const cards = [...document.querySelectorAll(".decision")], next = document.querySelector("a[rel=next]"); // on a page of its own
  if (!cards.length) return;
  const at = cards.findIndex((card) => card.contains(document.activeElement));
  const card = cards[Math.max(at, 0)];
  const to = {
    a: () => card.querySelector("button.yes"), r: () => card.querySelector("[name=why]"),
    j: () => next || cards[Math.min(at + 1, cards.length - 1)], k: () => cards[Math.max(at - 1, 0)],
  }[event.key];
  const found = to && to();
  if (!found) return;
  event.preventDefault();
  if (found === next) { next.click(); return; }
  found.focus();
  card.scrollIntoView({ block: "nearest" });
}

// Which columns of a table a person wants to see, kept in this browser.
function columns() {
  for (const box of document.querySelectorAll("[data-columns]")) {
    const name = `columns of ${box.dataset.columns}`, off = new Set(kept(name));
    const table = document.querySelector(`[data-columns-of="${box.dataset.columns}"]`);
    for (const tick of box.querySelectorAll("input")) tick.checked = !off.has(tick.value);
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      for (const row of table.rows) row.cells[at].hidden = off.has(head.dataset.column);
    });
    if (!box.hidden) continue;
    box.hidden = false;
    box.addEventListener("input", (event) => {
      event.stopPropagation(); // it is no filter
      const now = [...box.querySelectorAll("input")].filter((tick) => !tick.checked).map((tick) => tick.value);
      keep(name, now);
      columns();
    });
  }
}
function kept(name) {
  try {
    const found = JSON.parse(localStorage.getItem(name));
    return Array.isArray(found) ? found : [];
  } catch { return []; }
}
function keep(name, value) { try { localStorage.setItem(name, JSON.stringify(value)); } catch { /* a browser that keeps nothing */ } }

document.addEventListener("DOMContentLoaded", () => {
  begin(document);
  columns();
  // Not by scrollIntoView: that is where the next Tab would start from, past the way to the content.
  const here = document.querySelector("nav [aria-current]"), nav = here?.closest("nav");
  if (nav) nav.scrollLeft += Math.max(0, here.getBoundingClientRect().right - nav.getBoundingClientRect().right);
  document.addEventListener("keydown", decide);
  for (const form of document.querySelectorAll("form[data-controls]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      form.elements.strength.value = form.elements.smoothing.value;
      for (const chart of charts.values()) if (chart.controls === form) chart.draw();
    });
  }
  // While a session runs: what changed among its runs changes the charts too.
  let known = document.querySelector("[data-changes]")?.dataset.changes;
  let waits = document.querySelector("[data-waits]")?.dataset.waits;
  document.body.addEventListener("htmx:afterSwap", (event) => {
    columns();
    begin(event.target);
    const now = document.querySelector("[data-changes]")?.dataset.changes, wait = document.querySelector("[data-waits]")?.dataset.waits;
    if (wait !== waits) { waits = wait; htmx.ajax("GET", "/decide", { target: "#decide", swap: "innerHTML" }); }
    if (now !== known) { known = now; for (const [figure, chart] of charts) if ("live" in figure.dataset) chart.load(); }
  });
});
