"""Run files and pages for the tests of the report, with every kind of content, including hostile text."""

import json
import re
from pathlib import Path
from typing import Any

from perfgate.records.runfile import read
from perfgate.records.traces import Trace
from perfgate.reports.page.assemble import page
from perfgate.reports.page.content import content_of
from tests.support.runs import CASE, OTHER_CASE, STEP_S, header, launch_line, noisy_duets, workload_line

TRACE_FILE = "run.traces/case.candidate.json.gz"
HOSTILE = {
    "a tag": "<script>document.title='broken'</script>",
    "an end of the script": "</script><img src=x onerror=\"document.title='broken'\">",
    "quotes": "\"'`&quot;&lt;{{ 7 * 7 }}{% endfor %}${7 * 7}",
    "right to left": "\u202eesrever\u2066\u2069 \u200f",
    "ten thousand characters": "x" * 10_000,
}


def dry(case: str, side: str = "candidate", copies: int = 0) -> dict[str, Any]:
    """A dry run's launch whose ledger has one module more work and activations for each copy."""
    work = {"h.0.mlp": {"contractions": [4 + copies, 1000, 4096 * (1 + copies)]}, "head": {"other": [1, 0, 64]}}
    memory = {"h.0.mlp": {"weights": 4096, "activations": 1024 * (1 + copies)}}
    parts = {"weights": 4096, "activations": 1024 * (1 + copies)}
    converted = {"h.0.mlp": {"bfloat16 to float32": copies}} if copies else {}
    types = {"typed_operators": {"mul of bfloat16": 4 - copies, "mul of float32": copies}, "conversions": converted}
    phases = {"forward": {"weights": 4096, "temporaries": 64}, "backward": parts}
    held = {"memory": memory, "memory_by_part_bytes": parts, "memory_by_phase_bytes": phases}
    ledger = {"parameters": 1024, "work": work, **held, **types}
    metrics = {"operator_calls": 5 + copies, "flops": 1000, "predicted_peak_bytes": 5120 + 1024 * copies}
    return launch_line(case, side=side, metrics=metrics, **{"pass": "dry", "details": {"ledger": ledger}})


def verdict(case: str, name: str, word: str, **changes: Any) -> dict[str, Any]:
    """A verdict's line."""
    return {"kind": "verdict", "case": case, "metric": name, "verdict": word, "against": "reference", **changes}


def end(case: str, outcome: str = "passed", message: str = "") -> dict[str, Any]:
    """The last line of a case."""
    return {"kind": "case", "case": case, "outcome": outcome, "message": message, "took_s": 2.5}


def full_run(case: str = CASE, text: str = "grown: h.0.mlp (other) +1", **changes: Any) -> list[dict[str, Any]]:
    """A run with a regression against a reference, a case that passed, an effect, and one that was skipped.

    Args:
        case: id of the case that got worse.
        text: used wherever a run file contains foreign text: reasons, messages, settings, models.
        changes: changes to the header.
    """
    slower = {"change": 0.3, "low": 0.25, "high": 0.36, "tolerance": 0.03, "smallest_detectable": 0.02}
    counted = {"change": 0.2, "low": 0.2, "high": 0.2, "tolerance": 0.0, "smallest_detectable": 0.0}
    skipped, effect = "inference/test_x.py::test_skipped", "training/test_effect.py::test_less"
    return [
        header(**changes),
        workload_line(case, model=text, setting={"batch_size": 8, "note": text}, vanilla="b" * 64),
        *noisy_duets(3, case, change=0.3),
        dry(case, "reference"),
        dry(case, copies=1),
        verdict(case, "step_time_s", "regressed", reference=STEP_S, candidate=1.3 * STEP_S, **slower),
        verdict(case, "operator_calls", "regressed", reference=5, candidate=6, why=text, **counted),
        Trace(case, "candidate", file=TRACE_FILE).to_json(),
        Trace(case, "reference", why=text).to_json(),
        end(case, "failed", text),
        workload_line(OTHER_CASE, workload="b" * 64, vanilla="b" * 64, setting={"batch_size": 4}),
        *noisy_duets(4, OTHER_CASE),
        verdict(OTHER_CASE, "step_time_s", "pass", change=0.001, low=-0.01, high=0.012, tolerance=0.03),
        end(OTHER_CASE),
        verdict(effect, "peak_memory_bytes", "pass", change=-0.5, expected="< 0.7x", against="vanilla"),
        end(effect),
        end(skipped, "skipped", text),
        {"kind": "timesheet", "programs_s": 4.0, "servers_s": 1.0},
    ]


def write_page(folder: Path, lines: list[dict[str, Any]]) -> Path:
    """The page of a run with these lines, made through a run file."""
    path = folder / "run.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    made = folder / "run.html"
    made.write_text(page(content_of(read(path))), encoding="utf-8")
    return made


def data_of(text: str) -> dict[str, Any]:
    """The data inside a page."""
    found = re.search(r'<script type="application/json" id="data" data-form="json">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded
