"use strict";
// What stands behind a row.

/** The panel of one case. */
function behindPanel(row, details, metrics) {
  const unit = (name) => (metrics[name] || { unit: "" }).unit;
  const kind = (name) => (metrics[name] || { kind: "" }).kind;
  const parts = [];
  if (row.message && !row.verdicts) parts.push(make("p", { class: "said", tabindex: "0" }, make("bdi", {}, row.message)));
  if (row.verdicts) parts.push(block("Verdicts", "Each metric that was judged. The bar is the interval of the change, the hatched part what the tolerance allows; an exact metric has no interval.", verdictTable(row.verdicts, unit, kind)));
  if (!details) {
    parts.push(make("p", { class: "soft" }, "In a run of more than 1,000 cases, details stand behind those that failed, moved or were not decided. The run file holds the others: perfgate report RUN --work CASE."));
    return make("div", { class: "panel" }, parts);
  }
  const names = ["step_time_s", "peak_memory_bytes"];
  const pictures = names.map((name) => launchPicture(name, details.launches, details.stored, unit(name))).filter(Boolean);
  const box = make("div", { class: "steps", role: "img", "aria-label": "Time of each step of every launch; the table below has their medians" });
  const timed = steppedLaunches(details.launches).length > 0;
  if (pictures.length || timed) {
    parts.push(block("Launches", "A point is the median of one process. Hollow points are the side before, or what earlier sessions stored; a line joins the two sides of a duet, which ran in turn.",
      pictures, launchTable(details.launches, metrics)));
    if (timed) {
      parts.push(block("Steps", "Above, how the times of all steps are distributed, each side by itself; the upright line is the median. Below, each step of each launch, of at most the first 200; drag to zoom in, click twice to zoom out.",
        histogramPicture(details.launches), make("figure", {}, make("figcaption", {}, "Each step of each launch"), box)));
    }
  }
  if (Object.keys(details.memory.now).length) {
    parts.push(block("Memory", "What the memory at the peak of a step consists of, and, where a step has several phases, the same at the highest moment of each. All bars have one scale. An optimizer's phase is its own update; clipping belongs to the phase before.", memoryPicture(details.memory)));
  }
  if (Object.keys(details.groups.now).length) parts.push(block("Operators", "The work of a step by group of operators, from the dry run.", groupTable(details.groups)));
  const places = details.places.map((found, at) => filled(folded(placesTitle(found), placesTable(found, unit(found.metric), kind(found.metric))), { open: at === 0 }, []));
  if (places.length) parts.push(block("Modules", "Where a metric grew or shrank, largest first; where there is one side alone, where it is. A path such as h.{0-11} stands for equal layers, and the amount is that of all of them.", places));
  if (details.types) parts.push(block("Data types", "Operators by the type of their result, and conversions from one type into another by module, where they became more or fewer. A conversion into a wider type is an upcast: it moves more bytes.", typesTables(details.types)));
  if (details.settings.length) parts.push(block("Settings", "What was asked for, and what the program read back while it ran. A setting that is asked for and not in force had no effect.", folded(`${details.settings.length} settings`, settingsTable(details.settings))));
  if (details.traces) parts.push(block("Traces", OPEN_TRACE, make("ul", {}, details.traces.map(traceLine))));
  parts.push(block("Raw numbers", "The median of every metric of each side over its valid launches, in its plain unit.", rawTable(details.launches, metrics)));
  const panel = make("div", { class: "panel" }, parts);
  requestAnimationFrame(() => { if (timed && box.isConnected) stepsPicture(details.launches, box); });
  return panel;
}

const OPEN_TRACE = "Two steps as torch's profiler saw them, apart from all that was measured. Save the file, and open it at https://ui.perfetto.dev or in chrome://tracing. The link leads to the folder of the run file, which must lie beside this page.";

function traceLine(trace) {
  return make("li", {}, `${trace.side}: `, trace.file ? make("a", { href: trace.file, download: "" }, trace.file.split("/").pop()) : make("bdi", {}, `none, ${trace.why}`));
}

function block(title, reading, ...content) {
  return make("section", { class: "block" }, make("h3", {}, title), how(reading), content.flat());
}

function verdictTable(verdicts, unit, kind) {
  const sees = verdicts.some((verdict) => verdict.sees), bounded = verdicts.some((verdict) => verdict.low !== undefined);
  const rows = verdicts.map((verdict) => {
    const value = (number) => shown(number, unit(verdict.metric), kind(verdict.metric));
    const drawn = !verdict.change || verdict.before === 0 ? "" : intervalPicture(verdict);
    const bounds = verdict.low === undefined ? "" : `${percent(verdict.low)} to ${percent(verdict.high)}`;
    const moved = verdict.before === 0 ? "" : verdict.change === 0 ? make("span", { class: "soft" }, "none") : percent(verdict.change);
    return [make("span", { class: "metric" }, verdict.metric), tag(verdict.verdict), value(verdict.before), value(verdict.now), moved, ...(bounded ? [bounds] : []), ...(sees ? [verdict.sees || ""] : []), drawn];
  });
  const why = verdicts.map((verdict) => [verdict.metric, [verdict.why, verdict.accepted && `accepted ${verdict.accepted}`, verdict.since && `since ${verdict.since}`, verdict.promised && `promised ${verdict.promised}`].filter(Boolean).join("; ")]).filter(([, text]) => text);
  const causes = make("ul", { class: "causes" }, why.map(([name, text]) => make("li", {}, make("span", { class: "metric" }, name), make("bdi", {}, text))));
  return [table("Verdicts", ["Metric", "Verdict", "#Before", "#Now", "#Change", ...(bounded ? ["#Interval"] : []), ...(sees ? ["#Could see"] : []), "Drawn"], rows), why.length ? causes : null];
}

function launchTable(launches, metrics) {
  const rows = launches.map((launch) => {
    const value = (name) => (name in launch.values ? shown(launch.values[name], metrics[name].unit, metrics[name].kind) : "");
    const side = launch.side === "reference" ? "before" : "now";
    return [`${side} ${launch.number}`, launch.pass, launch.pair === null ? "" : String(launch.pair), value("step_time_s"), value("peak_memory_bytes"), launch.invalid || (launch.confirms ? `confirms against ${launch.confirms.slice(0, 10)}` : "")];
  });
  return folded("Table of launches", table("Every launch", ["Launch", "Pass", "#Duet", "#Step", "#Peak memory", "Remark"], rows));
}

function groupTable(groups) {
  const both = Object.keys(groups.before).length > 0;
  const names = [...new Set([...Object.keys(groups.now), ...Object.keys(groups.before)])];
  const units = ["", "FLOP", "bytes"];
  const rows = names.map((name) => {
    const cells = units.flatMap((unit, at) => {
      const now = (groups.now[name] || [0, 0, 0])[at], before = (groups.before[name] || [0, 0, 0])[at];
      return both ? [shown(before, unit, "exact"), now === before ? make("span", { class: "soft" }, shown(now, unit, "exact")) : make("b", {}, shown(now, unit, "exact"))] : [shown(now, unit, "exact")];
    });
    return [name, ...cells];
  });
  const titles = both ? ["Group", "#Calls before", "#now", "#Work before", "#now", "#Bytes moved before", "#now"] : ["Group", "#Calls", "#Work", "#Bytes moved"];
  return table("Work by group of operators", titles, rows);
}

function placesTable(found, unit, kind) {
  const most = Math.max(...found.rows.map(([, , each, layers]) => Math.abs(each) * layers));
  const rows = found.rows.map(([path, what, each, layers]) => {
    const all = each * layers;
    const width = (48 * Math.abs(all)) / most;
    const drawn = draw("svg", { class: "growth", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
      draw("rect", { class: !found.moved ? "spent" : all > 0 ? "grew" : "shrank", x: found.moved ? (all > 0 ? 50 : 50 - width) : 0, y: 0, width: found.moved ? width : 2 * width, height: 8 }),
      found.moved ? draw("line", { class: "zero", x1: 50, x2: 50, y1: 0, y2: 8 }) : null);
    return [path, what, found.moved ? plus(all, unit) : shown(all, unit, kind), layers > 1 ? `${layers} × ${shown(each, unit, kind)}` : "", drawn];
  });
  return table(placesTitle(found), ["Module", "What", found.moved ? "#Change" : "#Amount", "#Each layer", "Drawn"], rows);
}

function typesTables(types) {
  const rows = types.operators.map(([name, before, now]) => [name, shown(before, "", "exact"), shown(now, "", "exact"), plus(now - before, "")]);
  return [
    types.upcasts.map((sentence) => make("p", {}, make("bdi", {}, sentence))),
    types.operators.length ? table("Operators by type, calls in a step", ["Operator", "#Before", "#Now", "#Change"], rows) : null,
    types.conversions.rows.length ? folded(placesTitle(types.conversions), placesTable(types.conversions, "", "exact")) : null,
  ].flat();
}

function placesTitle(found) {
  const cut = found.more ? `, the first ${found.rows.length} of ${found.rows.length + found.more}` : "";
  return `${found.metric}: ${found.moved ? "where it moved" : "where it is"}${cut}`;
}

function settingsTable(settings) {
  const both = settings.some((setting) => setting.before);
  const rows = settings.map((setting) => {
    const odd = both && setting.before !== setting.now;
    const now = odd ? make("b", {}, make("bdi", {}, setting.now)) : setting.now;
    return both ? [setting.name, setting.asked, setting.before, now] : [setting.name, setting.asked, now];
  });
  return table("Settings asked for and in force", both ? ["Setting", "Asked for", "In force before", "In force now"] : ["Setting", "Asked for", "In force"], rows);
}

function rawTable(launches, metrics) {
  const median = (values) => { const sorted = [...values].sort((a, b) => a - b), half = sorted.length >> 1; return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2; };
  const names = [...new Set(launches.flatMap((launch) => Object.keys(launch.values)))].sort();
  const of = (side, name) => launches.filter((launch) => launch.side === side && !launch.invalid && name in launch.values).map((launch) => launch.values[name]);
  const both = launches.some((launch) => launch.side === "reference");
  const cell = (side, name) => { const values = of(side, name); return values.length ? String(Number(median(values).toPrecision(8))) : ""; };
  const rows = names.map((name) => [make("span", { class: "metric" }, name), ...(both ? [cell("reference", name)] : []), cell("candidate", name), (metrics[name] || {}).unit || ""]);
  return folded(`${names.length} metrics`, table("Medians over launches", ["Metric", ...(both ? ["#Before"] : []), "#Now", "Unit"], rows));
}
