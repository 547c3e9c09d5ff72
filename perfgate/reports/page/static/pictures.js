"use strict";
// Pictures of changes: a verdict's interval, and every launch.

/** A verdict's interval against its tolerance. */
function intervalPicture(verdict) {
  const low = verdict.low ?? verdict.change, high = verdict.high ?? verdict.change, tolerance = verdict.tolerance ?? 0;
  const left = Math.min(0, low, verdict.change) - 0.1 * Math.max(Math.abs(high), tolerance, 1e-6);
  const right = Math.max(high, verdict.change, tolerance) * 1.12 || 1e-6;
  const at = (value) => (100 * (value - left)) / Math.max(right - left, 1e-12);
  return draw("svg", { class: "interval", viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" },
    draw("rect", { class: "allowed", x: at(0), y: 1, width: Math.max(at(tolerance) - at(0), 0), height: 10 }),
    draw("line", { class: "zero", x1: at(0), x2: at(0), y1: 0, y2: 12 }),
    draw("rect", { class: "reach", x: at(low), y: 4, width: Math.max(at(high) - at(low), 0.4), height: 4 }),
    draw("rect", { class: "estimate", x: at(verdict.change) - 0.5, y: 2, width: 1, height: 8 }));
}

/** Every launch as a point, the two of a duet joined; what is stored stands on the left. */
function launchPicture(name, launches, stored, unit) {
  const points = [];
  for (const values of Object.values((stored && stored.values && stored.values[name]) || {})) {
    for (const value of values) points.push({ side: "stored", value });
  }
  for (const launch of launches) {
    if (name in launch.values) points.push({ side: launch.side, value: launch.values[name], pair: launch.pair, invalid: launch.invalid });
  }
  if (points.length < 2) return null;
  const values = points.map((point) => point.value);
  const low = Math.min(...values), high = Math.max(...values), room = (high - low) * 0.12 || Math.abs(high) * 0.05 || 1;
  const y = (value) => 130 - (120 * (value - low + room)) / (high - low + 2 * room);
  let column = 0;
  const places = new Map();
  for (const point of points) {
    const key = point.pair === null || point.pair === undefined || point.side === "stored" ? `single ${column}` : `pair ${point.pair}`;
    if (!places.has(key)) places.set(key, column++);
    point.x = 88 + (532 * (places.get(key) + 0.5)) / 1;
  }
  for (const point of points) point.x = 88 + (point.x - 88) / Math.max(column, 1);
  const lines = [...places.keys()].filter((key) => key.startsWith("pair")).map((key) => {
    const two = points.filter((point) => point.side !== "stored" && `pair ${point.pair}` === key);
    return two.length === 2 ? draw("line", { class: "duet", x1: two[0].x, x2: two[1].x, y1: y(two[0].value), y2: y(two[1].value) }) : null;
  });
  const dots = points.map((point) => draw("circle", { class: `dot ${point.side}${point.invalid ? " spoilt" : ""}`, cx: point.x, cy: y(point.value), r: 4.5 },
    draw("title", {}, `${point.side}: ${shown(point.value, unit)}${point.invalid ? `, invalid: ${point.invalid}` : ""}`)));
  const axis = [...new Set([low, high])].map((value) => draw("g", {}, draw("line", { class: "grid", x1: 84, x2: 630, y1: y(value), y2: y(value) }), draw("text", { x: 78, y: y(value) + 4, "text-anchor": "end" }, shown(value, unit))));
  const words = { stored: "stored", reference: "before", candidate: "now" };
  const legend = ["stored", "reference", "candidate"].filter((side) => points.some((point) => point.side === side)).map((side) =>
    make("span", { class: "legend" }, draw("svg", { viewBox: "0 0 12 12", class: "swatch", "aria-hidden": "true" }, draw("circle", { class: `dot ${side}`, cx: 6, cy: 6, r: 4.5 })), words[side]));
  return make("figure", {}, make("figcaption", {}, `${name} of every launch `, legend),
    draw("svg", { class: "launches", viewBox: "0 0 640 140", role: "img", "aria-label": `${name}: ${points.length} launches from ${shown(low, unit)} to ${shown(high, unit)}; the table below has each` }, axis, lines, dots));
}
