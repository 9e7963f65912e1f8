// All runs through all keys that were changed: one standing axis a key, one line a run, the stronger the better its score.
"use strict";

const TOP = 100, TALL = 240, FOOT = 30, APART = 54, EDGE = 46;
const SVG = "http://www.w3.org/2000/svg";
function made(name, attributes, text) {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  if (text != null) one.textContent = text;
  return one;
}

class Ways {
  constructor(place) {
    this.place = place;
    this.reading = place.parentElement.querySelector(".reading");
    this.between = new Map(); // axis to the stretch of it that runs have to pass, 0 to 1
    this.at = -1;
    place.addEventListener("keydown", (event) => this.key(event));
    place.addEventListener("pointerdown", (event) => this.press(event));
    place.addEventListener("pointermove", (event) => this.move(event));
    place.addEventListener("pointerup", () => this.release());
    place.addEventListener("click", (event) => { if (!this.dragged) this.open(this.number(event)); });
  }

  async load() {
    const answer = await fetch(this.place.dataset.src, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    this.data = await answer.json();
    this.draw();
  }

  x(axis) { return EDGE + axis * this.apart; }
  y(part) { return TOP + (1 - part) * TALL; }

  draw() {
    const { axes, runs } = this.data;
    this.apart = Math.max(APART, (this.place.clientWidth - 2 * EDGE) / Math.max(1, axes.length - 1));
    const width = 2 * EDGE + this.apart * (axes.length - 1), height = TOP + TALL + FOOT;
    this.svg = made("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    this.lines = runs.map((run, number) => {
      const points = run.at.map((part, axis) => (part == null ? null : `${this.x(axis).toFixed(1)},${this.y(part).toFixed(1)}`));
      const by_rank = runs.length > 1 ? number / (runs.length - 1) : 1;
      const line = made("polyline", { points: points.filter(Boolean).join(" "), class: `way way${Math.min(4, Math.floor(by_rank * 5))}`, "data-run": number });
      this.svg.append(line);
      return line;
    });
    this.bars = axes.map((axis, number) => {
      const x = this.x(number), short = axis.key.includes(".") ? axis.key.slice(axis.key.indexOf(".") + 1) : axis.key;
      this.svg.append(
        made("line", { class: "axis", x1: x, x2: x, y1: TOP, y2: TOP + TALL }),
        made("text", { class: "key", x, y: TOP - 24, transform: `rotate(-32 ${x} ${TOP - 24})` }, short),
        made("text", { x, y: TOP - 8, "text-anchor": "middle" }, axis.high),
        made("text", { x, y: TOP + TALL + 16, "text-anchor": "middle" }, axis.low),
      );
      const bar = made("rect", { class: "stretch", x: x - 6, width: 12, y: TOP, height: 0 });
      this.svg.append(bar);
      return bar;
    });
    this.place.replaceChildren(this.svg);
    this.shade();
  }

  passes(run) {
    return [...this.between].every(([axis, [low, high]]) => run.at[axis] != null && run.at[axis] >= low && run.at[axis] <= high);
  }

  // Which lines stand out: those that pass all stretches, and the one that is read.
  shade() {
    this.passing = [];
    this.data.runs.forEach((run, number) => {
      const here = this.passes(run);
      if (here) this.passing.push(number);
      this.lines[number].classList.toggle("off", !here);
      this.lines[number].classList.toggle("read", number === this.at);
    });
    this.bars.forEach((bar, axis) => {
      const [low, high] = this.between.get(axis) || [0, 0];
      bar.setAttribute("y", this.y(high));
      bar.setAttribute("height", (high - low) * TALL);
    });
    if (this.at >= 0) this.svg.insertBefore(this.lines[this.at], this.svg.querySelector(".axis"));
  }

  read(number) {
    this.at = number;
    this.shade();
    const run = this.data.runs[number];
    if (!run) { this.reading.textContent = this.between.size ? `${this.passing.length} of ${this.data.runs.length} runs pass` : ""; return; }
    const last = this.data.axes.length - 1;
    const values = this.data.axes.slice(0, last).map((axis, at) => `${axis.key.split(".").pop()} ${run.values[at]}`);
    this.reading.textContent = `${run.name}: ${this.data.metric} ${run.values[last]} with ${values.join(", ")}`;
  }

  number(event) { return Number(event.target.closest?.(".way")?.dataset.run ?? -1); }
  open(number) { if (number >= 0) location.href = `/runs/${encodeURIComponent(this.data.runs[number].run)}`; }

  part(event) { return Math.min(1, Math.max(0, 1 - (event.clientY - this.svg.getBoundingClientRect().top - TOP) / TALL)); }
  press(event) {
    this.dragged = false;
    if (!this.svg) return;
    const x = event.clientX - this.svg.getBoundingClientRect().left, axis = Math.round((x - EDGE) / this.apart);
    if (Math.abs(x - this.x(axis)) > 14 || !this.bars[axis]) return;
    this.drag = { axis, from: this.part(event) };
    event.preventDefault();
    this.place.focus();
  }
  move(event) {
    if (!this.svg) return;
    if (!this.drag) { const number = this.number(event); if (number >= 0 && number !== this.at) this.read(number); return; }
    const to = this.part(event), { axis, from } = this.drag;
    if (Math.abs(to - from) > 0.02) { this.dragged = true; this.between.set(axis, [Math.min(from, to), Math.max(from, to)]); this.read(-1); }
  }
  release() {
    if (this.drag && !this.dragged && this.between.delete(this.drag.axis)) { this.dragged = true; this.read(-1); }
    this.drag = null;
  }

  key(event) {
    if (!this.svg || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowRight: -1, ArrowDown: -1, ArrowLeft: 1, ArrowUp: 1 }[event.key]; // the best is the last
    if (step) {
      if (!this.passing.length) return;
      const now = this.passing.indexOf(this.at);
      this.read(this.passing[now < 0 ? this.passing.length - 1 : Math.min(this.passing.length - 1, Math.max(0, now + step))]);
    } else if (event.key === "Escape") {
      this.between.clear();
      this.read(-1);
    } else if (event.key === "Enter") {
      this.open(this.at);
    } else return;
    event.preventDefault();
  }
}

document.addEventListener("DOMContentLoaded", () => {
  for (const place of document.querySelectorAll(".ways")) {
    const ways = new Ways(place);
    ways.load();
    new ResizeObserver(() => { if (ways.data) ways.draw(); }).observe(place);
  }
});
