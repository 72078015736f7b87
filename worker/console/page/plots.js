// Line plots of the last three minutes, and bar lists. Both are redrawn each second from the samples.

import { byId, el, plural, short, svg } from "./dom.js";

const SPAN_MS = 180_000;
/** A line has a gap between samples that are further apart than this. */
const GAP_MS = 2500;
const FOOT = 16;
const HEAD = 14;
const SHOWN_BARS = 8;

const total = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);

class Plot {
  /** `lines` are functions from a sample to a value or null; `least` is the lowest maximum of the y axis; `now` computes the figures above the plot. */
  constructor(id, { what, lines, least, format = short, now }) {
    this.card = byId(id);
    this.host = this.card.querySelector(".plot");
    this.title = this.card.querySelector("h3").textContent;
    Object.assign(this, { what, lines, least, format });
    this.now = now ?? ((samples) => lines.map((valueOf) => (samples.length ? valueOf(samples.at(-1)) : null)));
    this.samples = [];
    this.pointed = null;
    this.host.addEventListener("pointermove", (event) => {
      const box = this.host.getBoundingClientRect();
      this.pointed = (event.clientX - box.left) / box.width;
      this.draw(this.samples);
    });
    this.host.addEventListener("pointerleave", () => {
      this.pointed = null;
      this.draw(this.samples);
    });
    new ResizeObserver(() => this.draw(this.samples)).observe(this.host);
  }

  draw(samples) {
    this.samples = samples;
    const width = this.host.clientWidth;
    if (!width) return;
    const end = samples.at(-1)?.at ?? 0;
    const height = this.host.clientHeight;
    const values = samples.flatMap((sample) => this.lines.map((valueOf) => valueOf(sample) ?? 0));
    const most = Math.max(0, ...values);
    const top = roundUp(Math.max(most, this.least));
    const x = (at) => width * (1 - (end - at) / SPAN_MS);
    const y = (value) => height - FOOT - (value / top) * (height - FOOT - HEAD);

    const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    for (const value of [0, top / 2, top]) {
      drawing.append(svg("line", { class: "grid", x1: 0, x2: width, y1: y(value), y2: y(value) }));
    }
    drawing.append(svg("text", { x: 0, y: HEAD - 4 }, this.format(top)));
    for (const [index, valueOf] of [...this.lines.entries()].reverse()) {
      const parts = segments(samples, valueOf).map((part) => part.map(([at, value]) => [x(at), y(value)]));
      if (index === 0) drawing.append(svg("path", { class: "area", d: parts.map((part) => areaPath(part, y(0))).join("") }));
      drawing.append(svg("path", { class: index ? "second" : "first", d: parts.map(linePath).join("") }));
    }
    if (!values.length) {
      drawing.append(svg("text", { class: "empty", x: width / 2, y: height / 2 }, "no data yet"));
    }
    const foot = (at, text, anchor) => svg("text", { x: at, y: height - 3, "text-anchor": anchor }, text);
    const pointed = this.samplePointedAt(end);
    if (pointed) {
      const at = x(pointed.at);
      drawing.append(
        svg("line", { class: "cursor", x1: at, x2: at, y1: HEAD, y2: height - FOOT }),
        foot(Math.min(Math.max(at, 30), width - 30), `${Math.round((end - pointed.at) / 1000)} s ago`, "middle"),
      );
    } else drawing.append(foot(0, "3 min ago", "start"), foot(width, "now", "end"));
    const figures = pointed ? this.lines.map((valueOf) => valueOf(pointed)) : this.now(samples);
    const texts = figures.map((value) => this.format(value));
    const [first, ...others] = texts;
    drawing.setAttribute(
      "aria-label",
      `${this.title}: ${first} ${this.what}${others.map((other) => `, ${other}`).join("")}; ` +
        `at most ${this.format(most)} in the last three minutes`,
    );
    this.host.replaceChildren(drawing);
    for (const [index, element] of this.card.querySelectorAll("[data-value]").entries()) element.textContent = texts[index];
  }

  /** The sample nearest to the pointer, or null. */
  samplePointedAt(end) {
    if (this.pointed === null) return null;
    const at = end - (1 - this.pointed) * SPAN_MS;
    const near = (sample) => Math.abs(sample.at - at);
    const nearest = this.samples.reduce((best, sample) => (best && near(best) <= near(sample) ? best : sample), null);
    return nearest && near(nearest) < GAP_MS ? nearest : null;
  }
}

/** Splits the samples at gaps and at null values. Each segment is [[time, value], …]. */
function segments(samples, valueOf) {
  const parts = [];
  let before = null;
  for (const sample of samples) {
    const value = valueOf(sample);
    if (value === null) before = null;
    else {
      if (before === null || sample.at - before > GAP_MS) parts.push([]);
      parts.at(-1).push([sample.at, value]);
      before = sample.at;
    }
  }
  return parts;
}

// A single point becomes a line of length 0, which round line caps draw as a dot.
const linePath = (part) => `M${part.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}${part.length === 1 ? "h0" : ""}`;
const areaPath = (part, base) => `${linePath(part)}V${base}H${part[0][0].toFixed(1)}Z`;

/** The smallest round number that is not below `value` and has a round half. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

const byName = (a, b) => a[0].localeCompare(b[0], "en", { numeric: true });
const byCount = (a, b) => b[1] - a[1] || byName(a, b);

/** Draws the largest counts as bars, sorted by `order`; `none` is the text without any. */
function bars(id, counts, order, name, none) {
  const ordered = Object.entries(counts).sort(byCount);
  const shown = ordered.slice(0, SHOWN_BARS).sort(order);
  const rest = ordered.slice(SHOWN_BARS);
  if (rest.length) shown.push([null, rest.reduce((sum, [, count]) => sum + count, 0)]);
  const most = Math.max(1, ...shown.map(([, count]) => count));
  const rows = shown.map(([key, count]) => {
    const bar = el("i");
    bar.style.width = `${(100 * count) / most}%`;
    return el(
      "tr",
      {},
      el("th", { scope: "row", textContent: key === null ? `${rest.length} others` : name(key) }),
      el("td", {}, el("div", { className: "track" }, bar)),
      el("td", { textContent: count.toLocaleString("en") }),
    );
  });
  if (!rows.length) rows.push(el("tr", {}, el("td", { className: "none", colSpan: 3, textContent: none })));
  byId(id).tBodies[0].replaceChildren(...rows);
}

const rate = (number) => (number === null ? "–" : number.toLocaleString("en", { maximumFractionDigits: number < 100 ? 1 : 0 }));
const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(share < 1 ? 1 : 0)} %`);
const rejected = (samples) => samples.reduce((sum, sample) => sum + total(sample.rejected), 0);

const plots = [
  new Plot("plot-events", { what: "finished per second", lines: [(s) => s.finished / s.seconds, (s) => s.received / s.seconds], least: 5, format: rate }),
  new Plot("plot-latency", { what: "ms at p50, and at p99", lines: [(s) => s.p50, (s) => s.p99], least: 10 }),
  new Plot("plot-fill", { what: "of the tokens are not padding", lines: [(s) => s.fill], least: 1, format: percent }),
  new Plot("plot-lag", { what: "records", lines: [(s) => total(s.lag)], least: 5 }),
  new Plot("plot-rejections", {
    what: "in three minutes",
    lines: [(s) => total(s.rejected)],
    least: 5,
    now: (samples) => [rejected(samples)],
  }),
];

export function drawAll(samples) {
  for (const plot of plots) plot.draw(samples);
  const last = samples.at(-1);
  byId("windows").textContent = short(last?.windows ?? null);
  bars("lag", last?.lag ?? {}, byName, (key) => (/^\d+$/.test(key) ? `partition ${key}` : key), "not measured yet");
  const reasons = {};
  for (const sample of samples) {
    for (const [reason, count] of Object.entries(sample.rejected)) reasons[reason] = (reasons[reason] ?? 0) + count;
  }
  const finished = samples.reduce((sum, sample) => sum + sample.finished, 0);
  bars("reasons", reasons, byCount, (key) => key, `none in ${plural(finished, "record")}`);
}
