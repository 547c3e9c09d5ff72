"use strict";
// Reads the data inside the page.

async function readData() {
  const element = document.getElementById("data");
  const text = element.textContent;
  if (element.dataset.form !== "gzip") return JSON.parse(text);
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(plain).text());
}
