"""Runs commands for a slice in the root of the tree, with variables of their own and a limit of time."""

import importlib.metadata
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.proof.place import Place
from benchmarks.proof.tier import TIERS, Tier
from perfgate.cases.deadline import SPENT

ROOT = Path(__file__).parent.parent.parent
RESERVE_S = 20.0
PATIENCE_S = 30.0
SHOWN = 100_000
PLUGIN = "perfgate.plugin.hooks"


@dataclass(frozen=True)
class Bench:
    """Everything that a slice needs to run commands.

    Attributes:
        place: the folder of results, with those of earlier slices.
        end: the time at which this invocation must end, by ``time.monotonic``.
        paths: folders in which child processes look for modules first.
        interrupted: the commands of the slice at hand that took too long.
    """

    place: Place
    end: float
    paths: tuple[Path, ...] = field(default=())
    interrupted: list[str] = field(default_factory=list)

    @property
    def tier(self) -> Tier:
        """The cases of this proof, and the device that they run on."""
        return TIERS[self.place.mode]

    @property
    def left_s(self) -> float:
        """Seconds left for commands; some time is reserved for packing."""
        return max(self.end - RESERVE_S - time.monotonic(), 1.0)

    def environment(self, *more):
        """The variables of child processes: no network, no pytest-benchmark, and Perfgate's plugin if not installed."""
        installed = any(entry.value == PLUGIN for entry in importlib.metadata.entry_points(group="pytest11"))
        path = [*map(str, (*more, *self.paths)), str(ROOT), os.environ.get("PYTHONPATH", "")]
        plugin = {} if installed else {"PYTEST_PLUGINS": PLUGIN}
        return {
            **os.environ,
            **plugin,
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "PYTEST_ADDOPTS": "-p no:benchmark -p no:cacheprovider",
            "HF_HUB_OFFLINE": "1",
        }

    def run(self, module, *arguments, more=()):
        """Run a module. If it takes too long it is interrupted, so that it can write its results so far.

        Returns:
            The exit code and the standard output.
        """
        command = [sys.executable, "-m", module, *map(str, arguments)]
        output, errors = self.place.work / "stdout.txt", self.place.work / "stderr.txt"
        begin = time.monotonic()
        with output.open("w") as stdout, errors.open("w") as stderr:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment(*more), stdout=stdout, stderr=stderr, process_group=0
            )
            try:
                code, late = waited(process, self.left_s)
                self.interrupted.extend([module] if late else [])
            finally:
                end(process)
        printed = output.read_text(errors="replace")
        text = f"\n$ {shlex.join(command)}\n{printed[-SHOWN:]}{errors.read_text(errors='replace')[-SHOWN:]}"
        self.place.log(f"{text}\n[exit code {code} after {time.monotonic() - begin:.1f} s]\n")
        return code, printed

    def measure(self, name, *arguments, more=()):
        """Run cases, keep the run file under the name of the slice, and return the exit code of pytest."""
        output = self.place.work / "output"
        options = ["--perf-env", "installed", "--perf-device", self.tier.device, "--perf-tier", self.tier.largest]
        options += ["--perf-output", output, "--perf-baselines", self.place.baselines]
        options += ["--perf-budget", f"{self.left_s:.0f}s"]
        code, _ = self.run("pytest", *arguments, *options, more=more)
        for run in sorted(output.glob("*.jsonl")):
            run.replace(self.place.runs / f"{name}.jsonl")
        return code

    def cut(self, name):
        """Whether a slice ended too early: a command was interrupted, or a case did not begin in time."""
        # Imported only now, because its libraries may come from the wheels.
        from perfgate.records.runfile import read

        path = self.place.runs / f"{name}.jsonl"
        return bool(self.interrupted) or (path.exists() and any(SPENT in one.why for one in read(path).verdicts))


def waited(process, timeout_s):
    """Wait for a process and return its exit code, and whether it took too long.

    After the time limit the process and all that it started are interrupted, and later killed.
    """
    late = False
    for number, patience_s in ((signal.SIGINT, timeout_s), (signal.SIGKILL, PATIENCE_S)):
        try:
            return process.wait(patience_s), late
        except subprocess.TimeoutExpired:
            late = True
            os.killpg(process.pid, number)
    return process.wait(), late


def end(process):
    """Kill a process and all that it started, if it still runs because the proof itself is ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
