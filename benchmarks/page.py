"""Measures the page of a run: its size, the time to build it, and how fast Chromium opens and filters it.

    python -m benchmarks.page [--cases 200 10000]

The page of the quick tier, about 200 cases, should be under 1 MB and built in at most 2 s. The page of 10,000 cases
should be under 8 MB and built in at most 10 s; Chromium should open it within 2 s and filter it within 100 ms. The runs
are generated: a case in a hundred got worse, each has five pairs of launches, a dry run of both sides with 60 modules,
and three verdicts. ``ci/browser-setup`` brings Chromium; without it the browser's times are left out.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

from perfgate.records.runfile import read
from perfgate.reports.page.assemble import page
from perfgate.reports.page.content import content_of
from tests.support.browser import CHROMIUM, LACKING
from tests.support.pages import end, verdict
from tests.support.runs import header, launch_line, noisy_duets, workload_line

LAYERS = 20
REPEATS = 5


def main():
    """Measure and print a row for each size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, nargs="+", default=[200, 10_000])
    options = parser.parse_args()
    print(f"{'cases':>6} {'run file':>10} {'page':>9} {'read':>7} {'built':>7} {'opened':>8} {'filtered, slowest':>18}")
    with tempfile.TemporaryDirectory() as folder:
        for count in options.cases:
            path = Path(folder) / f"{count}.jsonl"
            with path.open("w", encoding="utf-8") as file:
                for line in lines(count):
                    file.write(json.dumps(line) + "\n")
            begin = time.perf_counter()
            run = read(path)
            read_s = time.perf_counter() - begin
            begin = time.perf_counter()
            text = page(content_of(run))
            built_s = time.perf_counter() - begin
            made = path.with_suffix(".html")
            made.write_text(text, encoding="utf-8")
            sizes = f"{path.stat().st_size / 1e6:7.1f} MB {made.stat().st_size / 1e6:6.2f} MB"
            print(f"{count:6} {sizes} {read_s:5.1f} s {built_s:5.1f} s {in_browser(made)}")


def lines(count):
    """The lines of a run with so many cases of ten techniques and five models."""
    yield header()
    for number in range(count):
        model, technique = f"model-{number % 5}", f"technique_{number % 10}"
        case = f"training/test_{technique}.py::test_{technique}[{model}-{number}]"
        workload = f"{number:064x}"
        setting = {"batch_size": number % 64 + 1, "optimizer": f"optimizer_{number // 64}"}
        yield workload_line(
            case, workload=workload, vanilla=f"{number % 5:064x}", model=model, technique=technique, setting=setting
        )
        worse = number % 100 == 1
        for line in noisy_duets(number, case, change=0.3 if worse else 0.0):
            step_s = statistics.median(line["metrics"]["step_time_s"])
            line["metrics"]["samples_per_s"] = [setting["batch_size"] / step_s]
            yield {**line, "workload": workload}
        for side in ("reference", "candidate"):
            yield dry(case, workload, side, worse and side == "candidate")
        word = "regressed" if worse else "pass"
        moved = {"change": 0.3, "low": 0.25, "high": 0.36} if worse else {"change": 0.001, "low": -0.01, "high": 0.012}
        yield verdict(case, "step_time_s", word, **moved, tolerance=0.03, smallest_detectable=0.02)
        yield verdict(case, "peak_memory_bytes", "pass", change=0.0, low=0.0, high=0.0, tolerance=0.005)
        yield verdict(case, "operator_calls", word, change=0.01 * worse, low=0.01 * worse, high=0.01 * worse)
        yield end(case, "failed" if worse else "passed", "it got worse" if worse else "")


def dry(case, workload, side, grown):
    """A dry run's launch with three modules a layer."""
    source = random.Random(0)
    paths = [f"model.layers.{layer}.{name}" for layer in range(LAYERS) for name in ("attention", "mlp", "norm")]
    extra = int(grown)
    work = {path: {"contractions": [4 + extra, source.randrange(10**9), source.randrange(10**7)]} for path in paths}
    memory = {path: {"weights": 4096 * source.randrange(1000), "activations": 4096 * (7 + extra)} for path in paths}
    parts = {part: sum(row[part] for row in memory.values()) for part in ("weights", "activations")}
    ledger = {"parameters": parts["weights"] // 4, "work": work, "memory": memory, "memory_by_part_bytes": parts}
    calls = sum(row["contractions"][0] for row in work.values())
    metrics = {"operator_calls": calls, "flops": 10**9, "predicted_peak_bytes": sum(parts.values())}
    return launch_line(
        case, side=side, workload=workload, metrics=metrics, **{"pass": "dry", "details": {"ledger": ledger}}
    )


def in_browser(made):
    """Seconds until a page is ready, the median of several, and the slowest of several filters, as text."""
    if LACKING:
        return "no browser here"
    from playwright.sync_api import sync_playwright

    opened, filtered = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for _ in range(REPEATS):
            tab = browser.new_page()
            begin = time.perf_counter()
            tab.goto(made.as_uri())
            tab.wait_for_selector("html[data-ready=yes]")
            opened.append(time.perf_counter() - begin)
            filtered += [tab.evaluate(FILTER, text) for text in ("technique_3", "model-2-17", "no such case", "")]
            tab.close()
        browser.close()
    return f"{statistics.median(opened):6.2f} s {1000 * max(filtered):15.0f} ms"


# Until the browser has laid out what the search left.
FILTER = """text => {
  const field = document.getElementById("q");
  const begin = performance.now();
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  document.getElementById("cases").getBoundingClientRect();
  return (performance.now() - begin) / 1000;
}"""


if __name__ == "__main__":
    main()
