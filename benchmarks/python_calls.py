"""Counts the functions that a step enters in Python, for several versions of transformers.

    python -m benchmarks.python_calls PYTHON... [--launches 3]

Each interpreter has another transformers, and needs no Perfgate. Every number is counted in several launches, each
from a server with its own hash seed; if they differ, all are shown.
"""

import argparse
import tempfile
from pathlib import Path

from perfgate.measure.passes.counters import counters_launch
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.stage import Stage
from perfgate.reference.interpreter import Interpreter
from perfgate.shared.metrics import PYTHON_CALLS
from perfgate.shared.workload import Workload
from perfgate.system.provenance import installed_in

ROOT = Path(__file__).parent.parent
PROGRAMS = {
    "a training step of a two-layer GPT-2": "benchmarks.plain_steps:Training",
    "16 tokens of a two-layer Llama": "benchmarks.plain_steps:Generation",
}
LIBRARIES = ("python", "torch", "transformers")


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    parser.add_argument("--launches", type=int, default=3)
    options = parser.parse_args()
    print(f"| {' | '.join((*LIBRARIES, *PROGRAMS))} |")
    print("|" + "---|" * (len(LIBRARIES) + len(PROGRAMS)))
    first: list[float] = []
    for python in options.pythons:
        versions = installed_in(python)
        found = [counts(python, program, options.launches) for program in PROGRAMS.values()]
        numbers = [min(seen) for seen in found]
        first = first or numbers
        cells = [
            f"{' or '.join(f'{count:,.0f}' for count in sorted(seen))} ({number / base - 1:+.0%})"
            for seen, number, base in zip(found, numbers, first, strict=True)
        ]
        print(f"| {' | '.join([*(versions.get(name, '') for name in LIBRARIES), *cells])} |", flush=True)


def counts(python: str, program: str, launches: int) -> set[float]:
    """The calls of a step under one interpreter, one number for each launch."""
    with tempfile.TemporaryDirectory() as folder:
        where = Interpreter(python=python, after=(str(ROOT),))
        stage = Stage(["benchmarks.plain_steps"], Path(folder), MeasurementPlan(), launches, candidate=where)
        try:
            stage.start()
            workload = Workload(program, {})
            found = [counters_launch(stage, "", workload, stage.pool.next(), number) for number in range(launches)]
        finally:
            stage.close()
    for launch in found:
        if PYTHON_CALLS not in launch.metrics:
            raise SystemExit(f"{python}: {program}: {launch.invalid or launch.details.findings.uncounted}")
    return {launch.value(PYTHON_CALLS) for launch in found}


if __name__ == "__main__":
    main()
