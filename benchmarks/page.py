"""Measures the page of a run: its size, the time to build it, and how fast Chromium opens, filters and sorts it.

    python -m benchmarks.page [--cases 200 10000]

The page of the quick tier, about 200 cases, should be under 1 MB and built in at most 2 s. The page of 10,000 cases
should be under 8 MB and built in at most 10 s; Chromium should open it within 2 s and filter it within 100 ms. The
runs are generated: a case in a hundred got worse, each has five pairs of launches, a dry run of both sides with 60
modules, and three verdicts. A page is open when its scripts have drawn what they draw at first, and filtered or sorted
when the frame that shows it is handed to the screen. Beside each time is the processor time, of this process or of the
browser's main thread, which is more reliable on a loaded machine. ``ci/browser-setup`` installs Chromium; without it
the browser's times are left out.
"""

import argparse
import gc
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

from perfgate.cli.main import KEPT_OBJECTS
from perfgate.records.runfile import read
from perfgate.reports.page.assemble import page
from perfgate.reports.page.content import content_of
from tests.support.browser import CHROMIUM, LACKING
from tests.support.pages import end, verdict
from tests.support.runs import header, launch_line, noisy_duets, workload_line

LAYERS = 20
REPEATS = 5
TEXTS = ("technique_3", "model-2-17", "no such case", "")


def main():
    """Measure and print a block for each size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, nargs="+", default=[200, 10_000])
    options = parser.parse_args()
    gc.set_threshold(KEPT_OBJECTS)  # as in the command
    with tempfile.TemporaryDirectory() as folder:
        for count in options.cases:
            path = Path(folder) / f"{count}.jsonl"
            with path.open("w", encoding="utf-8") as file:
                for line in lines(count):
                    file.write(json.dumps(line) + "\n")
            print(f"{count:,} cases, at a load average of {os.getloadavg()[0]:.1f}")
            run = timed("read", lambda path=path: read(path))
            text = timed("built", lambda run=run: page(content_of(run)))
            made = path.with_suffix(".html")
            made.write_text(text, encoding="utf-8")
            print(f"  run file {path.stat().st_size / 1e6:.1f} MB, page {made.stat().st_size / 1e6:.2f} MB")
            for what, spans in in_browser(made).items():
                print(f"  {what:9} {spread([wall for wall, _ in spans])}, {middle([own for _, own in spans])}")
            print(f"  load average at the end {os.getloadavg()[0]:.1f}", flush=True)


def timed(what, work):
    """Run a function, and print its time."""
    begin, own = time.perf_counter(), time.process_time()
    found = work()
    print(f"  {what:9} {time.perf_counter() - begin:.2f} s, {middle([time.process_time() - own])}")
    return found


def spread(spans_s):
    """The median of several times and their range."""
    return f"{statistics.median(spans_s):.3f} s ({min(spans_s):.3f} to {max(spans_s):.3f}, {len(spans_s)} repeats)"


def middle(spans_s):
    """The median of several processor times."""
    return f"{statistics.median(spans_s):.3f} s of the processor"


def lines(count):
    """The lines of a run with this many cases of ten techniques and five models."""
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
    """A dry run's launch with three modules in each layer."""
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
    """By action, the seconds of each repeat with the processor seconds; empty without a browser."""
    if LACKING:
        print(f"  no {' and no '.join(LACKING)} here")
        return {}
    from playwright.sync_api import sync_playwright

    found = {"opened": [], "filtered": [], "sorted": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for _ in range(REPEATS):
            tab = browser.new_page()
            main_thread = MainThread(tab)
            begin = time.perf_counter()
            tab.goto(made.as_uri())
            tab.wait_for_selector("html[data-ready=yes]")
            found["opened"].append((time.perf_counter() - begin, main_thread.spent_s()))
            filters = [(tab.evaluate(FILTER, text), main_thread.spent_s()) for text in TEXTS]
            found["filtered"].append(max(filters))
            sorts = [(tab.evaluate(SORT, column), main_thread.spent_s()) for column in ("id", "step_time_s")]
            found["sorted"].append(max(sorts))
            tab.close()
        browser.close()
    return found


class MainThread:
    """The processor time of a tab's main thread."""

    def __init__(self, tab):
        self.session = tab.context.new_cdp_session(tab)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.told_s = 0.0

    def spent_s(self):
        """Seconds since the last call."""
        metrics = {row["name"]: row["value"] for row in self.session.send("Performance.getMetrics")["metrics"]}
        before, self.told_s = self.told_s, metrics["TaskDuration"]
        return self.told_s - before


# Each ends when the browser has shown the result: in the task after the next frame.
SHOWN = """
  return new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => done((performance.now() - begin) / 1000);
    channel.port2.postMessage("");
  }));
}"""
FILTER = f"""text => {{
  const field = document.getElementById("q"), begin = performance.now();
  field.value = text;
  field.dispatchEvent(new Event("input", {{ bubbles: true }}));
  {SHOWN}"""
SORT = f"""column => {{
  const begin = performance.now();
  document.querySelector(`#cases [data-key="${{column}}"]`).click();
  {SHOWN}"""


if __name__ == "__main__":
    main()
