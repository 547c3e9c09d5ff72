"use strict";
// Starts the page: draws what scripts draw, and makes buttons work.

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
    planePicture(data.planes, document.getElementById("pareto"));
  }
  document.documentElement.dataset.ready = "yes";
});
