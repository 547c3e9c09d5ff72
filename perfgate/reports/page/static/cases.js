"use strict";
// The table of all cases: sorted, searched, filtered, with its state in the address's fragment.

const CHUNK = 200; // rows of a large table at first
const SLICE = 16; // rows built at once, about as many as a screen shows, so that the page answers in between
const COLLATOR = new Intl.Collator("en", { numeric: true });
const COLUMNS = [
  { key: "verdict", title: "Verdict", of: (row) => ORDER.indexOf(row.verdict) },
  { key: "id", title: "Case", of: (row) => row.id },
  { key: "model", title: "Model", of: (row) => row.model || "" },
  { key: "step_time_s", title: "Step", number: true, of: (row) => (row.values || {}).step_time_s },
  { key: "peak_memory_bytes", title: "Peak memory", number: true, of: (row) => peak(row) },
  { key: "change", title: "Largest change", number: true, of: (row) => worstOf(row) && worstOf(row).change },
];

function peak(row) {
  const values = row.values || {};
  return values.peak_memory_bytes ?? values.predicted_peak_bytes;
}

/** The verdict that moved most, of the worst kind that the case has. */
function worstOf(row) {
  if (row.worst === undefined) {
    const moved = (row.verdicts || []).filter((verdict) => verdict.change !== undefined && verdict.before !== 0);
    const same = moved.filter((verdict) => verdict.verdict === row.verdict);
    row.worst = (same.length ? same : moved).reduce((most, verdict) => (!most || Math.abs(verdict.change) > Math.abs(most.change) ? verdict : most), null);
  }
  return row.worst;
}

/** The table and its filters. */
class Cases {
  constructor(data) {
    this.data = data;
    this.rows = data.cases;
    this.byId = new Map(this.rows.map((row) => [row.id, row]));
    for (const row of this.rows) row.text = `${row.id} ${row.model || ""} ${row.technique || ""} ${row.setting || ""}`.toLowerCase();
    this.fields = ["q", "verdict", "technique", "model", "metric"];
    this.state = { q: "", verdict: "", technique: "", model: "", metric: "", sort: "", open: "" };
    this.first = this.rows.length > WHOLE ? CHUNK : WHOLE;
    this.limit = this.first;
    this.head = document.querySelector("#cases thead");
    this.body = document.querySelector("#cases tbody");
    this.fillChoices();
    this.listen();
    this.read();
  }

  fillChoices() {
    const known = { verdict: Object.keys(this.data.counts), technique: this.values((row) => row.technique), model: this.values((row) => row.model),
      metric: [...new Set(this.rows.flatMap((row) => (row.verdicts || []).map((verdict) => verdict.metric)))].sort() };
    for (const [name, values] of Object.entries(known)) {
      document.getElementById(name).append(...values.map((value) => make("option", { value }, value.length > 80 ? `${value.slice(0, 80)}…` : value)));
    }
  }

  values(of) {
    return [...new Set(this.rows.map(of).filter(Boolean))].sort();
  }

  listen() {
    for (const name of this.fields) {
      document.getElementById(name).addEventListener(name === "q" ? "input" : "change", (event) => this.change({ [name]: event.target.value }));
    }
    document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("filters").addEventListener("reset", (event) => { event.preventDefault(); this.change({ q: "", verdict: "", technique: "", model: "", metric: "", open: "" }); });
    document.getElementById("more").addEventListener("click", () => { this.limit += 5 * CHUNK; this.grow(); });
    window.addEventListener("hashchange", () => this.read());
    window.addEventListener("beforeprint", () => { while (this.added < this.end()) this.add(); });
  }

  /** Take the state from the address. */
  read() {
    const text = location.hash.slice(1);
    if (text && !text.includes("=")) { if (!this.drawn) this.draw(); return; }
    const found = new URLSearchParams(text);
    for (const name of Object.keys(this.state)) this.state[name] = found.get(name) || "";
    this.limit = this.first;
    this.draw();
    if (text) (document.querySelector("tr.open") || document.getElementById("all-cases")).scrollIntoView({ block: "start" });
  }

  /** Change the state, and with it the address. */
  change(parts) {
    Object.assign(this.state, parts);
    this.limit = this.first;
    const kept = Object.entries(this.state).filter(([, value]) => value);
    history.replaceState(null, "", kept.length ? `#${new URLSearchParams(kept)}` : location.pathname + location.search);
    this.draw();
  }

  matching() {
    const { verdict, technique, model, metric, open } = this.state;
    const words = this.state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.rows.filter((row) =>
      (!technique || row.technique === technique) && (!model || row.model === model) &&
      (!metric || (row.verdicts || []).some((one) => one.metric === metric && (!verdict || one.verdict === verdict))) &&
      (!verdict || metric || row.verdict === verdict) && words.every((word) => row.text.includes(word)));
    const column = COLUMNS.find((one) => one.key === this.state.sort.replace(/^-/, ""));
    if (column) {
      const sign = this.state.sort.startsWith("-") ? -1 : 1;
      const empty = (value) => value === undefined || value === null || value === "";
      const keys = new Map(found.map((row) => [row, column.of(row)]));
      found.sort((a, b) => {
        const one = keys.get(a), other = keys.get(b);
        if (empty(one) || empty(other)) return empty(one) - empty(other);
        return sign * (typeof one === "string" ? COLLATOR.compare(one, other) : one - other);
      });
    }
    if (open && this.byId.has(open)) {
      const at = found.findIndex((row) => row.id === open);
      if (at < 0 || at >= this.limit) return [this.byId.get(open), ...found.filter((row) => row.id !== open)];
    }
    return found;
  }

  draw() {
    this.drawn = true;
    for (const name of this.fields) {
      const field = document.getElementById(name);
      if (field.value !== this.state[name]) field.value = this.state[name];
    }
    const found = this.matching();
    document.getElementById("shown").textContent = found.length === this.rows.length ? String(found.length.toLocaleString("en-US")) : `${found.length.toLocaleString("en-US")} of ${this.rows.length.toLocaleString("en-US")}`;
    this.drawHead();
    this.found = found;
    this.added = 0;
    this.body.replaceChildren(found.length ? "" : make("tr", {}, make("td", { colspan: COLUMNS.length }, "No case fits these filters.")));
    const opened = found.findIndex((row) => row.id === this.state.open);
    do this.add(); while (this.added <= opened && this.added < this.end());
    this.grow();
  }

  /** How many rows are to be shown. */
  end() {
    return Math.min(this.found.length, this.limit);
  }

  /** Build the next rows. */
  add() {
    const until = Math.min(this.added + SLICE, this.end());
    this.body.append(...this.found.slice(this.added, until).flatMap((row) => this.rowsOf(row)));
    this.added = until;
  }

  /** Build the others one slice after the other, unless the table was drawn again meanwhile. */
  grow() {
    const more = document.getElementById("more"), left = this.found.length - this.end(), drawn = this.found;
    more.hidden = left === 0;
    more.textContent = `Show more of the other ${left.toLocaleString("en-US")}`;
    document.getElementById("unprinted").textContent = left ? `The other ${left.toLocaleString("en-US")} are not on paper.` : "";
    const next = () => {
      if (this.found !== drawn || this.added >= this.end()) return;
      this.add();
      setTimeout(next);
    };
    setTimeout(next);
  }

  drawHead() {
    const cells = COLUMNS.map((column) => {
      const down = this.state.sort === `-${column.key}`, up = this.state.sort === column.key;
      const button = make("button", { type: "button", class: "sort", "data-key": column.key }, column.title, make("span", { "aria-hidden": "true" }, up ? " ↑" : down ? " ↓" : ""));
      button.addEventListener("click", () => {
        this.change({ sort: column.number ? (down ? column.key : `-${column.key}`) : up ? `-${column.key}` : column.key });
        this.head.querySelector(`[data-key="${column.key}"]`).focus();
      });
      return make("th", { scope: "col", class: column.number ? "number" : null, "data-column": column.key, "aria-sort": up ? "ascending" : down ? "descending" : null }, button);
    });
    this.head.replaceChildren(make("tr", {}, cells));
  }

  rowsOf(row) {
    const worst = worstOf(row), metrics = this.data.metrics, values = row.values || {};
    const open = this.state.open === row.id;
    const toggle = make("button", { type: "button", class: "toggle", "aria-expanded": String(open) }, make("bdi", { class: "id" }, row.id));
    const size = peak(row);
    const predicted = size !== undefined && values.peak_memory_bytes === undefined ? make("abbr", { title: "predicted by the dry run" }, "≈ ") : "";
    const line = make("tr", { class: open ? "open" : null }, make("td", {}, tag(row.verdict)),
      make("th", { scope: "row" }, toggle, row.setting ? make("span", { class: "setting" }, make("bdi", {}, row.setting)) : ""),
      make("td", {}, make("bdi", { class: "of" }, row.model || "")), make("td", { class: "number" }, shown(values.step_time_s, "s")),
      make("td", { class: "number" }, predicted, shown(size, "bytes")),
      make("td", { class: "number" }, worst && worst.change !== 0 ? [make("span", { class: "metric" }, `${worst.metric} `), make("b", {}, percent(worst.change))] : worst ? make("span", { class: "soft" }, "none") : ""));
    const rows = [line];
    if (open) rows.push(this.panelOf(row));
    toggle.addEventListener("click", () => {
      const next = line.nextElementSibling;
      const was = line.classList.toggle("open");
      toggle.setAttribute("aria-expanded", String(was));
      if (was) line.after(this.panelOf(row)); else if (next) next.remove();
      this.state.open = was ? row.id : "";
      const kept = Object.entries(this.state).filter(([, value]) => value);
      history.replaceState(null, "", kept.length ? `#${new URLSearchParams(kept)}` : location.pathname + location.search);
    });
    return rows;
  }

  panelOf(row) {
    return make("tr", { class: "behind" }, make("td", { colspan: COLUMNS.length }, behindPanel(row, this.data.details[row.id], this.data.metrics)));
  }
}
