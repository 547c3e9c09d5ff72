"use strict";
// Pictures of memory: what it consists of at the peak and over the phases of a step, before and after.

const PARTS = ["weights", "buffers", "gradients", "optimizer_state", "activations", "temporaries"];

function totalOf(parts) {
  return PARTS.reduce((sum, part) => sum + (parts[part] || 0), 0);
}

/** A stacked bar with its name and its sum; `most` is what the whole width stands for. */
function stackedBar(name, parts, most) {
  let x = 0;
  const pieces = PARTS.filter((part) => parts[part]).map((part) => {
    const width = (100 * parts[part]) / most;
    const piece = draw("rect", { class: `part ${part}`, x, y: 0, width, height: 10 }, draw("title", {}, `${wordsOf(part)}: ${shown(parts[part], "bytes")}`));
    x += width;
    return piece;
  });
  const picture = draw("svg", { class: "stack", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, pieces);
  return make("div", { class: "stacked" }, make("span", {}, name), picture, make("span", { class: "number" }, shown(totalOf(parts), "bytes")));
}

function wordsOf(part) {
  return part.replace("_", " ");
}

function keyOf(part) {
  return make("span", {}, make("span", { class: `key ${part}`, "aria-hidden": "true" }), wordsOf(part));
}

/** Memory at the peak and over the phases, each side a stacked bar, all at one scale. */
function memoryPicture(memory) {
  const sides = [["before", memory.before], ["now", memory.now]].filter(([, parts]) => Object.keys(parts).length);
  const most = Math.max(...sides.map(([, parts]) => totalOf(parts)));
  const both = sides.length > 1;
  const rows = PARTS.filter((part) => sides.some(([, parts]) => parts[part])).map((part) => {
    const [now, before] = [memory.now[part] || 0, memory.before[part] || 0];
    const each = memory.parameters ? (now / memory.parameters).toFixed(2) : "";
    return both ? [keyOf(part), shown(before, "bytes"), shown(now, "bytes"), now === before ? "=" : plus(now - before, "bytes"), each] : [keyOf(part), shown(now, "bytes"), each];
  });
  const titles = both ? ["Part", "#Before", "#Now", "#Change", "#Bytes a parameter"] : ["Part", "#Now", "#Bytes a parameter"];
  return make("div", {}, barsOf("at the peak", memory, most), memory.phases ? phasesPicture(memory.phases, most) : null,
    table("Memory at the peak, as the dry run predicts it", titles, rows), memory.phases ? phasesTable(memory.phases) : null);
}

/** The bars of both sides with the name of a moment. */
function barsOf(name, found, most) {
  const sides = ["before", "now"].filter((side) => Object.keys(found[side] || {}).length);
  return make("div", { class: "phase" }, make("span", { class: "name" }, name), sides.map((side) => stackedBar(sides.length > 1 ? side : "", found[side], most)));
}

/** The highest moment of each phase of a step. */
function phasesPicture(phases, most) {
  const bars = Object.keys(phases.now).map((phase) => barsOf(phase, { before: phases.before[phase], now: phases.now[phase] }, most));
  return make("figure", {}, make("figcaption", {}, "At the highest moment of each phase of a step"), bars);
}

function phasesTable(phases) {
  const sides = [["before", phases.before], ["now", phases.now]].filter(([, found]) => Object.keys(found).length);
  const names = Object.keys(phases.now);
  const parts = PARTS.filter((part) => sides.some(([, found]) => Object.values(found).some((row) => row[part])));
  const rows = parts.map((part) => [keyOf(part), ...names.flatMap((phase) => sides.map(([, found]) => shown((found[phase] || {})[part] || 0, "bytes")))]);
  const titles = names.flatMap((phase) => sides.map(([side]) => `#${phase}${sides.length > 1 ? ` ${side}` : ""}`));
  return folded("Table of the phases", table("Memory at the highest moment of each phase", ["Part", ...titles], rows));
}

/** A signed amount. */
function plus(value, unit) {
  return value > 0 ? `+${shown(value, unit)}` : shown(value, unit).replace("-", "−");
}
