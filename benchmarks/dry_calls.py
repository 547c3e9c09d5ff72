"""Compares the count of Python's calls in a dry run with that in real steps, for each case of a tier.

    python -m benchmarks.dry_calls [--tier quick] [-k EXPRESSION]

In the dry run, calls made inside of dispatch are left out: functions entered below ``__torch_dispatch__`` or
``__torch_function__``. It prints one line for each case, then the number of equal cases for each program.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from perfgate.actor.programs.base import Program
from perfgate.cases.runner import CaseRunner
from perfgate.measure.passes.counters import counters_launch
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.stage import Stage
from perfgate.shared.metrics import PYTHON_CALLS
from perfgate.shared.workload import Workload

ROOT = Path(__file__).parent.parent
PRELOAD = ("perfgate.actor.programs.trainer", "perfgate.actor.dry_run.run")
TARGET = "PERFGATE_COLLECTED_WORKLOADS"
DISPATCH = ("__torch_dispatch__", "__torch_function__")


def main() -> None:
    """Count each case twice, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", default="quick")
    parser.add_argument("-k", default="", metavar="EXPRESSION")
    options = parser.parse_args()
    equal, every = Counter(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(
            ["perfgate.actor.programs.trainer", "perfgate.actor.dry_run.run"], Path(folder), MeasurementPlan()
        )
        stage.start()
        try:
            for case, order in collected(options.tier, options.k):
                workload = Workload(order["program"], order["params"])
                real = counted(stage, workload, PYTHON_CALLS)
                dry = counted(stage, Workload(f"{__spec__.name}:Dried", {"order": order}), "dry_calls")
                kind = order["program"].rpartition(":")[2]
                every[kind] += 1
                equal[kind] += real == dry
                print(f"{case}: real {real}, dry {dry}", flush=True)
        finally:
            stage.close()
    for kind, count in sorted(every.items()):
        print(f"{kind}: {equal[kind]} of {count} equal")
    print(f"all: {equal.total()} of {every.total()} equal")


def collected(tier: str, expression: str, *options: str) -> list[tuple[str, dict]]:
    """The cases of a tier, each with its workload, as pytest collects them with further options; nothing is run."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "workloads.jsonl"
        command = [sys.executable, "-m", "pytest", "perf_tests", "-p", "benchmarks.dry_calls", "-p", "no:benchmark"]
        command += [
            "--perf-device",
            "none",
            "--perf-tier",
            tier,
            "--perf-output",
            folder,
            "-q",
            "-k",
            expression,
            *options,
        ]
        subprocess.run(
            command, cwd=ROOT, env={**os.environ, TARGET: str(target)}, stdout=subprocess.DEVNULL, check=False
        )
        return [tuple(json.loads(line)) for line in target.read_text().splitlines()]


def pytest_configure() -> None:
    """As a plugin: record the workload of each case in place of measuring it."""

    def told(self, case, workload, progress):
        with Path(os.environ[TARGET]).open("a") as file:
            file.write(json.dumps([case.id, workload.order]) + "\n")
        pytest.skip("it is only looked at")

    CaseRunner.run_case = told
    CaseRunner.run_effect = lambda *_: pytest.skip("two workloads in one")


def counted(stage: Stage, workload: Workload, name: str) -> str:
    """A metric of a counters launch; or the reason why there is none."""
    launch = counters_launch(stage, "", workload, stage.pool.next(), 0)
    if name in launch.metrics:
        return f"{launch.value(name):.0f}"
    return f"none ({launch.invalid or launch.details.findings.uncounted})"


class Dried(Program):
    """Runs another program dry, and reports the calls of its last step."""

    def __init__(self, device, order):
        from perfgate.actor.dry_run import itself, run
        from perfgate.actor.dry_run.apart import apart
        from perfgate.actor.programs.check import find_program

        program = find_program(order["program"])
        self.watch = watch = OutsideOfDispatch()
        where, _, name = (program.dry_run or "").partition(":")
        if name:
            counterpart = getattr(importlib.import_module(where), name)
            counterpart.step = watch.around(counterpart.step)
        else:
            itself.DryPace.begin = watch.before_end_of(itself.DryPace.begin)
            itself.DryPace.end = watch.after_begin_of(itself.DryPace.end)
        with apart():
            run.dry_run(program, order["params"])

    def drive(self, pace):
        while True:
            pace.begin()
            pace.end(None, {"dry_calls": self.watch.found})


class OutsideOfDispatch:
    """Counts like ``perfgate.actor.python_calls``, without functions entered inside of dispatch."""

    def __init__(self):
        from perfgate.actor.python_calls import Calls, Profiled

        self.calls = Calls()
        self.source = self.calls._source
        if not isinstance(self.source, Profiled):
            raise SystemExit("this comparison needs Python 3.11, where dispatch can be followed to its end")
        self.inside = 0
        self.found = 0
        called = self.source._called

        def outside(frame, event, argument):
            if frame.f_code.co_name in DISPATCH and event in ("call", "return"):
                self.inside += 1 if event == "call" else -1
            elif not self.inside:
                called(frame, event, argument)

        self.source._called = outside

    def begin(self):
        self.inside = 0
        self.calls.begin()

    def end(self):
        self.found = sum(sum(found.values()) for found in self.calls.end().values())

    def around(self, step):
        def counted(program):
            self.begin()
            try:
                return step(program)
            finally:
                self.end()

        return counted

    def before_end_of(self, begin):
        def beginning(pace):
            begin(pace)
            self.begin()

        return beginning

    def after_begin_of(self, end):
        def ending(pace, *arguments, **keywords):
            self.end()
            return end(pace, *arguments, **keywords)

        return ending


if __name__ == "__main__":
    main()
