"use strict";
// Values for people, elements, and the marks of verdicts. Nothing here is ever parsed as HTML: text goes into text nodes.

const SIZES = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]];
const FLOPS = [[1e12, "TFLOP"], [1e9, "GFLOP"], [1e6, "MFLOP"], [1e3, "kFLOP"]];
const WHOLE = 1000; // rows; what has more is built where it is looked at
const ORDER = ["regressed", "stale", "failed", "invalid", "accepted", "inconclusive", "improved", "new", "partly", "pass", "skipped", "none"];

/** A metric's value with its unit, as the terminal shows it. */
function shown(value, unit, kind) {
  if (value === undefined || value === null) return "";
  const sign = value < 0 ? "-" : "";
  const size = Math.abs(value);
  if (unit === "s") {
    const [scale, word] = size >= 1 ? [1, "s"] : size >= 1e-3 ? [1e3, "ms"] : [1e6, "µs"];
    return `${sign}${digits(size * scale, 3)} ${word}`;
  }
  const [amount, per] = unit.split("/");
  const tail = per ? `/${per}` : "";
  if (amount === "bytes") {
    const found = SIZES.find(([least]) => size >= least);
    return found ? `${sign}${(size / found[0]).toFixed(2)} ${found[1]}${tail}` : `${sign}${size.toFixed(0)} B${tail}`;
  }
  if (amount === "FLOP") {
    const found = FLOPS.find(([least]) => size >= least) || [1, "FLOP"];
    return `${sign}${digits(size / found[0], 4)} ${found[1]}${tail}`;
  }
  const named = unit && unit !== "1/s" ? ` ${unit}` : "";
  if (kind === "exact" || Number.isInteger(value)) return value.toLocaleString("en-US", { maximumFractionDigits: 3 }) + named;
  return `${sign}${digits(size, 4)}${named}`;
}

/** A number with so many digits that count, and never with an exponent. */
function digits(value, count) {
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(count)));
}

/** A relative change in percent, or as a factor where it is large. */
function percent(change) {
  if (change === undefined || change === null) return "";
  if (change > 9.995) return `${(change + 1).toFixed(0)}-fold`;
  return `${change < 0 ? "−" : "+"}${(Math.abs(change) * 100).toFixed(Math.abs(change) >= 0.0095 ? 1 : 2)}%`;
}

/** An element with attributes and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for a part of a picture. */
function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** A verdict as a mark and a word: never by colour alone. */
function tag(verdict) {
  return make("span", { class: `tag ${verdict}` }, make("span", { class: `mark ${verdict}`, "aria-hidden": "true" }), verdict === "none" ? "no verdict" : verdict);
}

/** A table that can be read instead of a picture; a column of numbers is one whose title begins with #. */
function table(caption, titles, rows) {
  const numeric = titles.map((title) => title.startsWith("#"));
  const names = titles.map((title) => title.replace(/^#/, ""));
  const head = make("tr", {}, names.map((name, at) => make("th", { scope: "col", class: numeric[at] ? "number" : null }, name)));
  const body = rows.map((row) => make("tr", {}, row.map((cell, at) => {
    const content = typeof cell === "string" ? make("bdi", {}, cell) : cell;
    return at === 0 ? make("th", { scope: "row" }, content) : make("td", { class: numeric[at] ? "number" : null }, content);
  })));
  const made = make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, body));
  return make("div", { class: "wide", tabindex: "0", role: "group", "aria-label": caption }, made);
}

/** A line that tells how something is read. */
function how(text) {
  return make("details", { class: "how" }, make("summary", {}, "How to read this"), make("p", {}, text));
}

function folded(title, content) {
  return make("details", {}, make("summary", {}, title), content);
}

/** The same, built when it is opened; what is small is built at once, so that a search within the page finds it. */
function foldedLater(title, small, build) {
  if (small) return folded(title, build());
  const made = folded(title, "");
  made.addEventListener("toggle", () => made.append(build()), { once: true });
  return made;
}
