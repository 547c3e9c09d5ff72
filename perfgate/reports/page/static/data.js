"use strict";
// Reads the data inside the page.

async function readData() {
  const element = document.getElementById("data");
  const text = element.textContent;
  if (element.dataset.form !== "gzip") return JSON.parse(text);
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(plain).text());
}
