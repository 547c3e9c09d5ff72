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
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event(RECOLOURED)));
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.dispatchEvent(new Event(RECOLOURED));
  });
}

/** Paper is light, and nothing unfolds on it: failed cases, and those that are open, are printed with everything. */
function listenToPrint() {
  const root = document.documentElement;
  let theme, unfolded = [];
  const colour = (word) => {
    if (word) root.dataset.theme = word; else delete root.dataset.theme;
    document.dispatchEvent(new Event(RECOLOURED));
  };
  window.addEventListener("beforeprint", () => {
    theme = root.dataset.theme;
    colour("light");
    unfolded = [...document.querySelectorAll(".failure details:not([open]), .panel details:not([open], .how)")];
    for (const one of unfolded) one.open = true;
  });
  window.addEventListener("afterprint", () => {
    colour(theme);
    for (const one of unfolded) one.open = false;
  });
}

listenToCopy();
listenToTheme();
listenToPrint();
readData().then((data) => {
  window.perfgateCases = new Cases(data);
  const tables = document.getElementById("tables");
  if (tables) {
    techniqueTables(data.techniques, data.metrics, tables);
    planePicture(data.planes, document.getElementById("pareto"));
  }
  document.documentElement.dataset.ready = "yes";
});
