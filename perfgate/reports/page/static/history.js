"use strict";
// The page of a history: one series with what happened, what got slower since a date, and all series in small.

const RECENT = 5; // runs whose median stands for a moment
const ROWS = 30;

const middle = (values) => { const sorted = [...values].sort((a, b) => a - b); return sorted[Math.floor(sorted.length / 2)]; };
const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const titleOf = (one) => `${one.case}, ${one.metric}`;

/** The levels of a series: from, to, and the value of each. */
function levelsOf(one) {
  const cuts = [0, ...one.changes.map((change) => change.at), one.values.length];
  return cuts.slice(1).map((end, at) => ({ start: cuts[at], end, value: middle(one.values.slice(cuts[at], end)) }));
}

/** Everything that happened along a series: changes, accepted regressions, and libraries that changed. */
function happenings(one, machine) {
  const found = one.changes.map((change) => ({ at: change.at, kind: "change", change }));
  for (const [at, why] of Object.entries(one.accepted)) found.push({ at: Number(at), kind: "accepted", text: why });
  for (const [place, text] of Object.entries(machine.moved)) {
    const at = one.at.findIndex((run) => run >= Number(place));
    if (at > 0) found.push({ at, kind: "libraries", text });
  }
  return found.sort((a, b) => b.at - a.at);
}

/** Draw levels, intervals and markers over uPlot's dots. */
function drawOver(plot, one, events) {
  const { ctx } = plot, ratio = devicePixelRatio;
  const x = (at) => plot.valToPos(at, "x", true), y = (value) => plot.valToPos(value, "y", true);
  const stroke = (name, width, dash, ...points) => {
    ctx.beginPath();
    ctx.strokeStyle = colour(name); ctx.lineWidth = width * ratio; ctx.setLineDash(dash.map((length) => length * ratio));
    points.forEach(([left, top], at) => (at ? ctx.lineTo(left, top) : ctx.moveTo(left, top)));
    ctx.stroke();
  };
  const { top, height } = plot.bbox;
  ctx.save();
  for (const event of events) {
    const [name, dash] = { change: ["--worse", [5, 4]], accepted: ["--unsure", [12, 4]], libraries: ["--soft", [1, 4]] }[event.kind];
    stroke(name, 1.4, dash, [x(event.at - 0.5), top], [x(event.at - 0.5), top + height]);
  }
  const levels = levelsOf(one);
  levels.forEach(({ start, end, value }, number) => {
    stroke("--ink", 2.5, [], [x(start - 0.4), y(value)], [x(end - 0.6), y(value)]);
    const bounds = number && one.changes[number - 1].bounds;
    if (bounds) stroke("--worse", 4, [], ...bounds.map((bound) => [x(start), y(levels[number - 1].value * (1 + bound))]));
  });
  ctx.restore();
}

function bigPicture(one, machine, about, box) {
  const events = happenings(one, machine);
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  const label = (at) => (Number.isInteger(at) && machine.runs[one.at[at]] ? day(machine.runs[one.at[at]][0]) : "");
  box.replaceChildren();
  new uPlot({
    width: Math.max(box.clientWidth, 280), height: 300, legend: { show: false }, scales: { x: { time: false } },
    series: [{}, { stroke: colour("--now"), width: 0, paths: () => null, points: { show: true, size: 4, fill: colour("--now") } }],
    axes: [{ ...axis, space: 90, values: (_, ticks) => ticks.map(label) }, { ...axis, size: 90, values: (_, ticks) => ticks.map((value) => shown(value, about.unit, about.kind)) }],
    hooks: { draw: [(plot) => drawOver(plot, one, events)] },
  }, [one.values.map((_, at) => at), one.values], box);
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", `${titleOf(one)}: ${one.values.length} runs and ${one.changes.length} changes; the table below has each`);
  return events;
}

/** What the pages and the command of two runs look like in a cell. */
function between(change) {
  if (!change) return "";
  const links = change.pages.map((page) => make("a", { href: page }, `${page.split("/").pop()} `));
  return make("span", {}, links, change.compare ? make("code", {}, change.compare) : "");
}

function eventTable(one, machine, events) {
  const rows = events.map(({ at, kind, change, text }) => {
    const [last, first] = [machine.runs[one.at[at - 1]] || machine.runs[one.at[at]], machine.runs[one.at[at]]];
    const bounds = change && change.bounds ? `${percent(change.bounds[0])} to ${percent(change.bounds[1])}` : "";
    return [day(first[0]), `${last[1] || last[2]}..${first[1] || first[2]}`, kind, change ? `${change.before} to ${change.after}, ${change.says}` : text, bounds, between(change)];
  });
  return rows.length ? table("What happened, the newest first", ["Date", "Commits", "Kind", "What", "Interval", "The two runs"], rows) : make("p", {}, "Nothing happened.");
}

/** The series that are worse now than before a moment, the worst first. */
function slowestSince(all, moment) {
  const found = [];
  for (const { one, machine, show } of all) {
    const at = one.at.findIndex((run) => machine.runs[run][0] >= moment);
    if (at < 1) continue;
    const then = middle(one.values.slice(Math.max(at - RECENT, 0), at)), now = middle(one.values.slice(Math.max(at, one.values.length - RECENT)));
    if (then > 0 && now > then && one.changes.some((change) => change.at >= at)) found.push({ one, machine, show, then, now, change: now / then - 1 });
  }
  return found.sort((a, b) => b.change - a.change).slice(0, ROWS);
}

function small(one, show) {
  const low = Math.min(...one.values), high = Math.max(...one.values), last = one.values.length - 1;
  const dots = one.values.map((value, at) => `${((100 * at) / Math.max(last, 1)).toFixed(1)},${(28 - (26 * (value - low)) / (high - low || 1)).toFixed(1)}`);
  const newest = one.changes[one.changes.length - 1];
  const button = make("button", { type: "button", class: "small" },
    draw("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" }, draw("polyline", { points: dots.join(" ") })),
    make("bdi", {}, one.case.split("::").pop()), make("span", { class: "soft" }, `${one.metric} ${newest ? newest.says : "did not move"}`));
  button.addEventListener("click", show);
  return button;
}

readData().then((data) => {
  const all = data.machines.flatMap((machine) => machine.series.map((one) => ({ one, machine })));
  const choice = document.getElementById("series"), box = document.getElementById("picture"), events = document.getElementById("events");
  const draw = () => {
    const { one, machine } = all[Number(choice.value)];
    events.replaceChildren(eventTable(one, machine, bigPicture(one, machine, data.metrics[one.metric], box)));
  };
  const several = data.machines.length > 1;
  all.forEach((found, at) => {
    choice.append(make("option", { value: String(at) }, `${titleOf(found.one)}${several ? `, ${found.machine.name}` : ""}`));
    found.show = () => { choice.value = String(at); draw(); document.getElementById("one").scrollIntoView(); };
  });
  choice.addEventListener("change", draw);
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    if (all.length) draw();
  });
  const since = document.getElementById("since"), slowest = document.getElementById("slowest");
  const list = () => {
    const rows = slowestSince(all, new Date(since.value || 0).getTime() / 1000).map(({ one, machine, then, now, change, show }) => {
      const about = data.metrics[one.metric], button = make("button", { type: "button", class: "toggle" }, make("span", { class: "id" }, one.case));
      button.addEventListener("click", show);
      return [button, one.metric, machine.name, shown(then, about.unit, about.kind), shown(now, about.unit, about.kind), percent(change)];
    });
    slowest.replaceChildren(rows.length ? table("The worst first", ["Case", "Metric", "Machine", "#Then", "#Now", "#Change"], rows) : make("p", {}, "Nothing got slower or larger."));
  };
  const times = data.machines.flatMap((machine) => machine.runs.slice(0, RECENT + 1).slice(-1).map((run) => run[0]));
  if (times.length) since.value = day(Math.min(...times));
  since.addEventListener("change", list);
  list();
  const groups = Map.groupBy ? Map.groupBy(all, ({ one }) => one.technique) : all.reduce((map, found) => map.set(found.one.technique, [...(map.get(found.one.technique) || []), found]), new Map());
  for (const [name, members] of [...groups].sort()) {
    document.getElementById("multiples").append(make("h3", {}, name), make("div", { class: "smalls" }, members.map(({ one, show }) => small(one, show))));
  }
  if (all.length) draw();
  document.documentElement.dataset.ready = "yes";
});
