"""Synthetic run files and baselines, with seeded noise, for tests that need no program to run."""

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from perfgate.records.baseline_files import case_file, dump
from perfgate.records.baselines import Baseline, StoredLaunch
from perfgate.records.launch import Launch
from perfgate.records.moved_baseline import moved_baseline
from perfgate.records.store import Store
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import ways_now
from tests import ROOT
from tests.support import warm

MACHINE = {"name": "cpu-test-2x-8gib", "device": "cpu", "cpu": "test", "cpus": 2, "memory_gib": 8}
SOFTWARE = {"python": "3.11.7", "torch": "2.13.0"}
CASE = "training/test_batch_size.py::test_batch_size[gpt2-quick-8]"
OTHER_CASE = "training/test_batch_size.py::test_batch_size[gpt2-quick-16]"
WORKLOAD = "a" * 64
LIMIT_S = 300  # seconds of a command
STEP_S = 0.02
MEMORY_BYTES = 100_000_000


def header(**changes: Any) -> dict[str, Any]:
    """First line of a run file."""
    line = {
        "schema": "perfgate.run/1",
        "run_id": "20260102-030405-abcd",
        "created": "2026-01-02T03:04:05+00:00",
        "commit": "0123456789abcdef",
        "dirty": False,
        "machine": dict(MACHINE),
        "software": dict(SOFTWARE),
        "options": {},
    }
    return line | changes


def workload_line(case: str | None = CASE, **changes: Any) -> dict[str, Any]:
    """A ``workload`` line; without a case it has exactly the keys of the contract."""
    line = {
        "kind": "workload",
        "workload": WORKLOAD,
        "spec": {"program": "package.module:Class", "params": {}},
        "technique": "batch_size",
        "setting": {"batch_size": 8},
        "model": "gpt2-quick",
        "vanilla": WORKLOAD,
    }
    return line | ({} if case is None else {"case": case}) | changes


def launch_line(case: str = CASE, launch: int = 0, **changes: Any) -> dict[str, Any]:
    """A ``launch`` line with exactly the keys of the contract."""
    line = {
        "case": case,
        "workload": WORKLOAD,
        "launch": launch,
        "side": "candidate",
        "pair": None,
        "metrics": {"step_time_s": [STEP_S, STEP_S, STEP_S], "peak_memory_bytes": MEMORY_BYTES},
        "yardstick_s": None,
        "invalid": None,
    }
    return line | changes


def noisy_steps(generator: random.Random, typical_s: float, step_sd: float = 0.01, steps: int = 20) -> list[float]:
    """Step times of one launch."""
    return [typical_s * math.exp(generator.gauss(0, step_sd)) for _ in range(steps)]


def noisy_launches(
    seed: int,
    case: str = CASE,
    *,
    count: int = 5,
    typical_s: float = STEP_S,
    memory_bytes: int = MEMORY_BYTES,
    launch_sd: float = 0.006,
    **changes: Any,
) -> list[dict[str, Any]]:
    """Solo launches that vary from one to the next, but not in memory."""
    generator = random.Random(seed)
    lines = []
    for launch in range(count):
        steps = noisy_steps(generator, typical_s * math.exp(generator.gauss(0, launch_sd)))
        metrics = {"step_time_s": steps, "peak_memory_bytes": memory_bytes}
        lines.append(launch_line(case, launch, **{"metrics": metrics, **changes}))
    return lines


def noisy_duets(
    seed: int,
    case: str = CASE,
    *,
    pairs: int = 5,
    change: float = 0.0,
    shared_sd: float = 0.1,
    launch_sd: float = 0.006,
    memory_change: float = 0.0,
) -> list[dict[str, Any]]:
    """Duets: two launches a pair, whose steps share most of their noise; the candidate is slower by ``change``."""
    generator = random.Random(seed)
    lines = []
    for pair in range(pairs):
        shared = noisy_steps(generator, STEP_S, shared_sd)
        for side, factor in (("reference", 1.0), ("candidate", 1 + change)):
            own = factor * math.exp(generator.gauss(0, launch_sd))
            memory = round(MEMORY_BYTES * (1 + memory_change * (side == "candidate")))
            metrics = {"step_time_s": [own * step for step in shared], "peak_memory_bytes": memory}
            lines.append(launch_line(case, pair, side=side, pair=pair, metrics=metrics))
    return lines


def write_run(path: Path, lines: Iterable[Mapping[str, Any] | str], **changes: Any) -> Path:
    """Write a run file; lines that are already text are written unchanged."""
    rows = [header(**changes), *lines]
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text(f"{text}\n", encoding="utf-8")
    return path


def launches(values: Sequence[float], name: str = "step_time_s", case: str = CASE, **fields: Any) -> list[Launch]:
    """Launches with one value each of one metric."""
    return [Launch(case, WORKLOAD, number, {name: value}, **fields) for number, value in enumerate(values)]


def baseline(
    sessions: Mapping[str, Sequence[Mapping[str, tuple[float, float | None]]]],
    case: str = CASE,
    *,
    workload: str = WORKLOAD,
    reason: str = "first measured",
) -> Baseline:
    """A baseline from each session's launches, which map a metric to its value and its value in yardsticks."""
    about = ("server", "cpu", "0123abcd", "2026-01-02T03:04:05+00:00")
    stored = tuple(
        StoredLaunch(session, *about, metrics, ways={name: way for name, way in ways_now().items() if name in metrics})
        for session, group in sessions.items()
        for metrics in group
    )
    return Baseline(case, workload, "0123abcd", "2026-01-02T03:04:05+00:00", reason, stored)


def timed_baseline(sessions: Sequence[Sequence[float]], name: str = "step_time_s", case: str = CASE) -> Baseline:
    """A baseline of one metric without yardsticks, from each session's values."""
    return baseline({f"s{n}": [{name: (value, None)} for value in group] for n, group in enumerate(sessions)}, case)


def write_baselines(root: Path, *stored: Baseline, machine: str = str(MACHINE["name"])) -> Path:
    """Write baselines of one test file as the store would, and return the file."""
    path = root / machine / case_file(stored[0].case)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump({found.case: found for found in stored}, MACHINE, SOFTWARE), encoding="utf-8")
    return path


def about(session: str, reason: str = "") -> dict[str, str]:
    """The facts that an update needs about its run."""
    return {"session": session, "commit": "4567cdef", "date": "2026-02-03T04:05:06+00:00", "reason": reason}


def add_sessions(barrier: Any, root: str, worker: str, count: int) -> None:
    """Add sessions to one shared case, and cases of this worker's own, as fast as possible; runs in its own process."""
    store_name = str(MACHINE["name"])
    barrier.wait()
    for number in range(count):
        session = f"{worker}{number}"
        store = Store(Path(root), store_name)
        moved = {}
        for case, verdict in ((CASE, "pass"), (f"{CASE[:-1]}-{session}]", "new")):
            values = launches([1 + number, 2 + number], case=case, server=worker)
            found = moved_baseline(
                "more", case, values, [Verdict(case, "step_time_s", verdict)], store.get(case), about(session)
            )
            assert found is not None
            moved[case] = found
        store.put(moved, MACHINE, SOFTWARE)


def perfgate(
    *arguments: str | Path, cwd: Path = ROOT, variables: Mapping[str, str] = MappingProxyType({}), **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a separate process, which is ended if it hangs; a loaded machine takes minutes for some.

    Args:
        arguments: the arguments of the command line.
        cwd: the folder in which it runs.
        variables: the environment variables that it has beside those of this process.
        options: options of ``subprocess.run``, which then starts an interpreter for it.
    """
    command = [sys.executable, "-m", "perfgate", *map(str, arguments)]
    environment = {**os.environ, **variables}
    if not options and warm.may(environment):
        return warm.command_line(command[3:], cwd, environment, LIMIT_S)
    settings = {"capture_output": True, "cwd": cwd, "check": False, "timeout": LIMIT_S, "env": environment, **options}
    return subprocess.run(command, text=True, encoding="utf-8", **settings)
