"use strict";
// Pictures of steps: each over time, and how they are distributed.

const RECOLOURED = "recoloured"; // the event after which a canvas is drawn again
const BINS = 30;

/** The launches whose steps are known one by one. */
function steppedLaunches(launches) {
  return launches.filter((launch) => launch.steps.step_time_s && launch.steps.step_time_s.length > 1);
}

/** The steps of every launch over time, with uPlot. A canvas knows no styles, so it is drawn again in other colours. */
function stepsPicture(launches, box) {
  const timed = steppedLaunches(launches);
  const again = () => {
    if (box.isConnected) box.replaceChildren(stepsPlot(timed, box)); else document.removeEventListener(RECOLOURED, again);
  };
  document.addEventListener(RECOLOURED, again);
  again();
}

function stepsPlot(timed, box) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const longest = Math.max(...timed.map((launch) => launch.steps.step_time_s.length));
  const data = [Array.from({ length: longest }, (_, at) => at + 1)];
  const series = [{ label: "step" }];
  for (const launch of timed) {
    const steps = launch.steps.step_time_s;
    data.push(data[0].map((_, at) => (at < steps.length ? steps[at] * 1e3 : null)));
    series.push({ label: `${launch.side === "reference" ? "before" : "now"} ${launch.number}`, stroke: colour(launch.side === "reference" ? "--before" : "--now"), width: 1.2, dash: launch.side === "reference" ? [4, 3] : [], points: { show: true, size: 4 } });
  }
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  const options = { width: Math.max(box.clientWidth, 280), height: 200, legend: { show: false }, cursor: { drag: { x: true, y: false } }, scales: { x: { time: false } }, series,
    axes: [{ ...axis, label: "step" }, { ...axis, label: "milliseconds" }] };
  return new uPlot(options, data).root;
}

/** Values at these shares of the way through a sorted list. */
function quantile(sorted, share) {
  const at = share * (sorted.length - 1), low = Math.floor(at);
  return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
}

/** How the steps of all valid launches are distributed: a histogram of each side, at one scale; null without steps. */
function histogramPicture(launches) {
  const sides = [["before", "reference"], ["now", "candidate"]].map(([name, side]) => {
    const steps = steppedLaunches(launches).filter((launch) => launch.side === side && !launch.invalid).flatMap((launch) => launch.steps.step_time_s);
    return { name, side, steps: steps.sort((a, b) => a - b) };
  }).filter(({ steps }) => steps.length);
  if (!sides.length) return null;
  // What lies further out than three quartile distances would press all others into one bar, so the last bar has it.
  const low = Math.min(...sides.map(({ steps }) => steps[0]));
  const reach = Math.max(...sides.map(({ steps }) => quantile(steps, 0.75) + 3 * (quantile(steps, 0.75) - quantile(steps, 0.25))));
  const high = Math.min(Math.max(...sides.map(({ steps }) => steps.at(-1))), reach) || 1;
  const width = (high - low) / BINS || low / BINS;
  for (const side of sides) {
    side.bins = new Array(BINS).fill(0);
    for (const step of side.steps) side.bins[Math.min(Math.floor((step - low) / width), BINS - 1)]++;
    side.share = Math.max(...side.bins) / side.steps.length;
  }
  const most = Math.max(...sides.map(({ share }) => share));
  const x = (value) => 60 + (570 * (Math.min(value, low + BINS * width) - low)) / (BINS * width);
  const band = 54, foot = band * sides.length;
  const bars = sides.flatMap(({ name, side, steps, bins }, at) => {
    const floor = band * (at + 1), middle = x(quantile(steps, 0.5));
    return [draw("text", { x: 52, y: floor - 4, "text-anchor": "end" }, name), draw("line", { class: "grid", x1: 60, x2: 630, y1: floor, y2: floor }),
      ...bins.map((count, bin) => {
        const height = (46 * count) / steps.length / most;
        return count ? draw("rect", { class: `bin ${side}`, x: 60 + bin * (570 / BINS) + 0.5, y: floor - height, width: 570 / BINS - 1, height }) : "";
      }),
      draw("line", { class: "middle", x1: middle, x2: middle, y1: floor - 50, y2: floor })];
  });
  const ticks = [0, 0.5, 1].map((share) => draw("text", { x: 60 + 570 * share, y: foot + 15, "text-anchor": share === 1 ? "end" : share ? "middle" : "start" }, shown(low + share * BINS * width, "s")));
  const beyond = sides.reduce((sum, { steps }) => sum + steps.filter((step) => step > low + BINS * width * (1 + 1e-9)).length, 0);
  const rows = sides.map(({ name, steps }) => [name, String(steps.length), ...[0, 0.1, 0.5, 0.9, 1].map((share) => shown(quantile(steps, share), "s"))]);
  return make("figure", {}, make("figcaption", {}, `Distribution of the steps of all launches${beyond ? `; the last bar holds ${beyond} that took longer` : ""}`),
    draw("svg", { class: "launches", viewBox: `0 0 640 ${foot + 20}`, role: "img", "aria-label": `Histogram of the time of a step, ${sides.map(({ name, steps }) => `${name} with median ${shown(quantile(steps, 0.5), "s")}`).join(", ")}; the table below has quantiles` }, bars, ticks),
    folded("Table of the distribution", table("Steps of all valid launches", ["Side", "#Steps", "#Shortest", "#10%", "#Median", "#90%", "#Longest"], rows)));
}
