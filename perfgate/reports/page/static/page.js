"use strict";
// Starts the page: reads the data, draws what scripts draw, and makes buttons work.

async function readData() {
  const element = document.getElementById("data");
  const text = element.textContent;
  if (element.dataset.form !== "gzip") return JSON.parse(text);
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(plain).text());
}

/** Copy a text, also where the clipboard is closed to pages that come from a file. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = make("textarea", { readonly: true, class: "unseen" });
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}

function listenToCopy() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    await copyText(button.dataset.copy);
    const word = button.firstChild;
    word.textContent = "Copied";
    setTimeout(() => { word.textContent = "Copy"; }, 1500);
  });
}

function listenToTheme() {
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
}

listenToCopy();
listenToTheme();
readData().then((data) => {
  window.perfgateCases = new Cases(data);
  const tables = document.getElementById("tables");
  if (tables) {
    techniqueTables(data.techniques, data.metrics, tables);
    paretoPicture(data.points, document.getElementById("pareto"));
  }
  document.documentElement.dataset.ready = "yes";
});
