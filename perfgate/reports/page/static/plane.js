"use strict";
// Time over memory, or energy, of settings, with limits that one drags. Places of dots and names, and the front, come with the data.

/** The picture of one group of settings, and a choice where there are several. */
function planePicture(planes, box) {
  if (!planes.length) return;
  const choice = make("select", { id: "group" }, planes.map((plane, at) => make("option", { value: String(at) }, plane.name)));
  const stage = make("div", {});
  const redraw = () => stage.replaceChildren(onePlane(planes[Number(choice.value)]));
  choice.addEventListener("change", redraw);
  box.append(make("h3", {}, planes.some((plane) => plane.across.unit === "J") ? "Time over memory and energy" : "Time over memory"), make("label", { class: "choice" }, "Settings of ", choice), stage);
  redraw();
}

/** A title as the head of a column. */
function capital(title) {
  return title[0].toUpperCase() + title.slice(1);
}

function drawPlane(plane) {
  const { width, height, left, right, top, bottom } = plane.box;
  const ticks = [0.25, 0.5, 0.75, 1].flatMap((share) => {
    const x = left + share * (right - left), y = bottom - share * (bottom - top);
    return [draw("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }),
      draw("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, shown(share * plane.most.time, "s")),
      draw("text", { x, y: bottom + 16, "text-anchor": "middle" }, shown(share * plane.most.across, plane.across.unit))];
  });
  const front = plane.points.filter((point) => point.front).map((point) => point.at).sort((a, b) => a[0] - b[0]);
  const marks = plane.points.map((point) => draw("g", { class: `setting${point.front ? " front" : ""}` },
    point.label.far ? draw("line", { class: "leader", x1: point.at[0], y1: point.at[1], x2: point.label.at[0], y2: point.label.at[1] }) : "",
    draw("circle", { class: `dot setting${point.front ? " front" : ""}`, cx: point.at[0], cy: point.at[1], r: point.front ? 6 : 4 },
      draw("title", {}, `${point.setting}: ${shown(point.time, "s")} a ${plane.unit}, ${shown(point.step, "s")} a step, ${shown(point.across, plane.across.unit)}`)),
    point.label.text ? draw("text", { class: "name", x: point.label.at[0], y: point.label.at[1] + 4 }, point.label.text) : ""));
  const beyond = { time: draw("rect", { class: "beyond", x: left, y: top, width: right - left, height: 0 }), across: draw("rect", { class: "beyond", x: right, y: top, width: 0, height: bottom - top }) };
  const lines = { time: draw("line", { class: "limit across", x1: left, x2: right }), across: draw("line", { class: "limit upright", y1: top, y2: bottom }) };
  const picture = draw("svg", { class: "pareto", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${plane.name}: ${plane.points.length} settings by ${plane.across.title} and time, of which ${front.length} are better than each other in one of the two; the table below has each` },
    ticks, beyond.time, beyond.across, draw("path", { class: "frontline", d: front.map((at, number) => `${number ? "L" : "M"}${at[0]} ${at[1]}`).join("") }), marks, lines.time, lines.across,
    draw("text", { class: "axis", x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }, plane.across.title), draw("text", { class: "axis", x: left, y: 14 }, `time a ${plane.unit}`));
  return { picture, marks, lines, beyond };
}

/** The settings as a table; the last column is filled by whoever knows the limits. */
function pointTable(plane) {
  return table(`${plane.name}: settings by time`, ["Setting", `#A ${plane.unit}`, "#A step", `#${capital(plane.across.title)}`, "On the front", "Within the limits"],
    plane.points.map((point) => [point.vanilla ? `${point.setting} (vanilla)` : point.setting, shown(point.time, "s"), shown(point.step, "s"), shown(point.across, plane.across.unit), point.front ? "yes" : "", make("span", { class: "within" })]));
}

function onePlane(plane) {
  const { left, right, top, bottom, width, height } = plane.box;
  const { points, most } = plane, limit = { ...most };
  const { picture, marks, lines, beyond } = drawPlane(plane);
  const said = (name) => shown(limit[name], name === "across" ? plane.across.unit : "s");
  const answer = make("p", { class: "answer", role: "status", "aria-live": "polite" });
  let fits = [], within = [];
  const tell = () => within.forEach((cell, at) => { cell.textContent = fits[at] ? "yes" : "no"; });
  const rows = () => {
    const made = pointTable(plane);
    within = [...made.querySelectorAll(".within")];
    tell();
    return made;
  };
  const sliders = {};
  const show = () => {
    const y = bottom - ((bottom - top) * limit.time) / most.time, x = left + ((right - left) * limit.across) / most.across;
    filled(beyond.time, { height: y - top }, []); filled(beyond.across, { x, width: right - x }, []);
    filled(lines.time, { y1: y, y2: y }, []); filled(lines.across, { x1: x, x2: x }, []);
    fits = points.map((point) => ["time", "across", "step"].every((name) => point[name] <= limit[name]));
    marks.forEach((mark, at) => mark.classList.toggle("out", !fits[at]));
    tell();
    const best = points.filter((_, at) => fits[at]).reduce((one, other) => (one && one.time <= other.time ? one : other), null);
    const limits = `${said("across")}${plane.across.unit === "J" ? ` a ${plane.unit}` : ""}, ${said("time")} a ${plane.unit} and ${said("step")} a step`;
    answer.textContent = best ? `Fastest within at most ${limits}: ${best.setting}, with ${shown(best.time, "s")} a ${plane.unit}, ${shown(best.step, "s")} a step and ${shown(best.across, plane.across.unit)}.` : `No setting takes at most ${limits}.`;
    for (const [name, slider] of Object.entries(sliders)) {
      slider.value = String(Math.round((1000 * limit[name]) / most[name]));
      slider.setAttribute("aria-valuetext", `at most ${said(name)}`);
    }
  };
  for (const name of ["across", "time", "step"]) {
    sliders[name] = make("input", { type: "range", min: "0", max: "1000", class: `limit-${name}` });
    sliders[name].addEventListener("input", (event) => { limit[name] = (Number(event.target.value) / 1000) * most[name]; show(); });
  }
  const drag = (name, share) => {
    lines[name].addEventListener("pointerdown", (event) => {
      lines[name].setPointerCapture(event.pointerId);
      const frame = picture.getBoundingClientRect();
      lines[name].onpointermove = (move) => {
        const at = share((width * (move.clientX - frame.left)) / frame.width, (height * (move.clientY - frame.top)) / frame.height);
        limit[name] = Math.min(Math.max(at, 0), 1) * most[name];
        show();
      };
    });
    lines[name].addEventListener("pointerup", () => { lines[name].onpointermove = null; });
  };
  drag("across", (px) => (px - left) / (right - left));
  drag("time", (_, py) => (bottom - py) / (bottom - top));
  show();
  const fields = make("div", { class: "limits" }, make("label", {}, plane.across.unit === "J" ? `At most this energy a ${plane.unit} ` : "At most this much memory ", sliders.across), make("label", {}, `At most this time a ${plane.unit} `, sliders.time), make("label", {}, "At most this time a step ", sliders.step));
  return make("div", {}, make("figure", { class: "wide", tabindex: "0", "aria-label": "Picture of the settings" }, picture), fields, answer, foldedLater("Table of the points", points.length <= WHOLE, rows));
}
