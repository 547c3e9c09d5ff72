"use strict";
// Techniques: their settings side by side.

const TITLES = { step_time_s: "Step", samples_per_s: "Samples/s", tokens_per_s: "Tokens/s", peak_memory_bytes: "Peak memory", predicted_peak_bytes: "Predicted peak", flops: "Work" };

function techniqueTables(techniques, metrics, box) {
  const small = techniques.reduce((sum, technique) => sum + technique.rows.length, 0) <= WHOLE;
  box.append(...techniques.map((technique) => foldedLater(`${technique.name} (${technique.rows.length})`, small, () => {
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
    return table(technique.name, ["Setting", "Model", ...names.map((name) => `#${TITLES[name]}`)], rows);
  })));
}
