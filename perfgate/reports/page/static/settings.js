"use strict";
// Techniques: their settings side by side, and time over memory with limits that one drags.

const TITLES = { step_time_s: "Step", samples_per_s: "Samples/s", tokens_per_s: "Tokens/s", peak_memory_bytes: "Peak memory", predicted_peak_bytes: "Predicted peak", flops: "Work" };

function techniqueTables(techniques, metrics, box) {
  box.append(...techniques.map((technique) => {
    const names = Object.keys(TITLES).filter((name) => technique.rows.some((row) => name in row.values));
    const rows = technique.rows.map((row) => {
      const cells = names.map((name) => {
        const about = metrics[name] || { unit: "", kind: "" };
        const found = row.ratios[name];
        const value = make("span", {}, shown(row.values[name], about.unit, about.kind));
        if (!found) return value;
        const [centre, low, high] = found;
        const bounds = low && low !== high ? make("span", { class: "soft" }, ` ${digits(low, 3)}–${digits(high, 3)}`) : "";
        value.append(make("span", { class: "ratio" }, `${digits(centre, 3)}×`, bounds));
        return value;
      });
      const label = make("span", {}, make("bdi", {}, row.setting || "defaults"), row.vanilla ? make("span", { class: "vanilla" }, "vanilla") : "");
      return [label, row.model || "", ...cells];
    });
    return folded(`${technique.name} (${technique.rows.length})`, table(technique.name, ["Setting", "Model", ...names.map((name) => `#${TITLES[name]}`)], rows));
  }));
}

/** Whether another point is at least as good in both, and better in one. */
function beaten(point, points) {
  return points.some((other) => other.time <= point.time && other.memory <= point.memory && (other.time < point.time || other.memory < point.memory));
}

/** The picture of one model: a dot for each setting, and two limits. */
function paretoPicture(groups, box) {
  if (!groups.length) return;
  const choice = make("select", { id: "group" }, groups.map((group, at) => make("option", { value: String(at) }, group.name)));
  const stage = make("div", {});
  const redraw = () => stage.replaceChildren(onePareto(groups[Number(choice.value)]));
  choice.addEventListener("change", redraw);
  box.append(make("h3", {}, "Time over memory"), make("label", { class: "choice" }, "Model ", choice), stage);
  redraw();
}

function onePareto(group) {
  const points = group.points.map((point) => ({ ...point, front: !beaten(point, group.points) })).sort((a, b) => a.time - b.time);
  const most = { time: Math.max(...points.map((point) => point.time)) * 1.08, memory: Math.max(...points.map((point) => point.memory)) * 1.08 };
  const limit = { time: most.time, memory: most.memory };
  const x = (memory) => 70 + (550 * memory) / most.memory, y = (time) => 290 - (270 * time) / most.time;
  const front = points.filter((point) => point.front).sort((a, b) => a.memory - b.memory);
  const path = front.map((point, at) => `${at ? "L" : "M"}${x(point.memory)} ${y(point.time)}`).join("");
  const dots = points.map((point) => draw("circle", { class: `dot setting${point.front ? " front" : ""}`, cx: x(point.memory), cy: y(point.time), r: point.front ? 6 : 4 },
    draw("title", {}, `${point.setting}: ${shown(point.time, "s")}, ${shown(point.memory, "bytes")}`)));
  const ticks = [0.25, 0.5, 0.75, 1].flatMap((share) => [
    draw("line", { class: "grid", x1: 70, x2: 620, y1: y(share * most.time), y2: y(share * most.time) }),
    draw("text", { x: 64, y: y(share * most.time) + 4, "text-anchor": "end" }, shown(share * most.time, "s")),
    draw("text", { x: x(share * most.memory), y: 308, "text-anchor": "middle" }, shown(share * most.memory, "bytes"))]);
  const beyond = { time: draw("rect", { class: "beyond", x: 70, y: 20, width: 550, height: 0 }), memory: draw("rect", { class: "beyond", x: 620, y: 20, width: 0, height: 270 }) };
  const lines = { time: draw("line", { class: "limit across", x1: 70, x2: 620 }), memory: draw("line", { class: "limit upright", y1: 20, y2: 290 }) };
  const picture = draw("svg", { class: "pareto", viewBox: "0 0 640 330", role: "img", "aria-label": `${group.name}: ${points.length} settings by memory and time, of which ${front.length} are on the Pareto front; the table below has each` },
    ticks, beyond.time, beyond.memory, draw("path", { class: "frontline", d: path }), dots, lines.time, lines.memory,
    draw("text", { class: "axis", x: 345, y: 326, "text-anchor": "middle" }, "peak memory"), draw("text", { class: "axis", x: 70, y: 12 }, "time of a step"));
  const answer = make("p", { class: "answer", role: "status", "aria-live": "polite" });
  const rows = table(`${group.name}: settings by time`, ["Setting", "#Step", "#Peak memory", "Pareto front", "Within the limits"],
    points.map((point) => [point.vanilla ? `${point.setting} (vanilla)` : point.setting, shown(point.time, "s"), shown(point.memory, "bytes"), point.front ? "yes" : "", make("span", { class: "within" })]));
  const within = rows.querySelectorAll(".within");
  const sliders = {};
  const show = () => {
    const top = y(limit.time), right = x(limit.memory);
    filled(beyond.time, { height: top - 20 }, []); filled(beyond.memory, { x: right, width: 620 - right }, []);
    filled(lines.time, { y1: top, y2: top }, []); filled(lines.memory, { x1: right, x2: right }, []);
    const fits = points.map((point) => point.time <= limit.time && point.memory <= limit.memory);
    points.forEach((point, at) => { dots[at].classList.toggle("out", !fits[at]); within[at].textContent = fits[at] ? "yes" : "no"; });
    const best = points.find((_, at) => fits[at]);
    answer.textContent = best ? `Fastest within at most ${shown(limit.memory, "bytes")} and ${shown(limit.time, "s")}: ${best.setting}, with ${shown(best.time, "s")} a step and ${shown(best.memory, "bytes")}.` : `No setting takes at most ${shown(limit.memory, "bytes")} and ${shown(limit.time, "s")}.`;
    for (const name of ["time", "memory"]) {
      sliders[name].value = String(Math.round((1000 * limit[name]) / most[name]));
      sliders[name].setAttribute("aria-valuetext", `at most ${shown(limit[name], name === "time" ? "s" : "bytes")}`);
    }
  };
  for (const name of ["memory", "time"]) {
    sliders[name] = make("input", { type: "range", min: "0", max: "1000", class: `limit-${name}` });
    sliders[name].addEventListener("input", (event) => { limit[name] = (Number(event.target.value) / 1000) * most[name]; show(); });
  }
  const drag = (name, at) => {
    lines[name].addEventListener("pointerdown", (event) => {
      lines[name].setPointerCapture(event.pointerId);
      lines[name].onpointermove = (move) => {
        const frame = picture.getBoundingClientRect();
        limit[name] = Math.min(Math.max(at((640 * (move.clientX - frame.left)) / frame.width, (330 * (move.clientY - frame.top)) / frame.height), 0), most[name]);
        show();
      };
    });
    lines[name].addEventListener("pointerup", () => { lines[name].onpointermove = null; });
  };
  drag("memory", (px) => ((px - 70) / 550) * most.memory);
  drag("time", (_, py) => ((290 - py) / 270) * most.time);
  show();
  const fields = make("div", { class: "limits" }, make("label", {}, "At most this much memory ", sliders.memory), make("label", {}, "At most this time ", sliders.time));
  return make("div", {}, make("figure", {}, picture), fields, answer, folded("Table of the points", rows));
}
