"""Runs a topic's rows by pytest, in a folder of their own, and reads their numbers from the run file."""

import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from perfgate.records.launch import Launch
from perfgate.records.runfile import RunFile, read
from perfgate.reports.lecture.topic import Column, Topic
from perfgate.shared.metrics import METRICS
from perfgate.shared.workload import Json
from perfgate.system.temporary import temporary_folder
from perfgate.workloads.programs import DRY_RUN

SUITE = Path(__file__).parent / "test_tour.py"
ENDING_S, OWN_S = 60.0, 5.0
# One launch is enough to look at numbers; the gate takes more.
TIMED = ("--perf-device", "cpu", "--perf-launches", "1")
EXACT = ("--perf-device", "none")


@dataclass(frozen=True)
class Told:
    """The results of a topic's rows.

    Attributes:
        topic: the topic.
        values: the numbers by row and by column heading; ``None`` if a row does not have the number.
        took_s: the seconds that it took, including the start of the libraries.
        problem: why it was left out or lacks numbers; empty if it has all.
    """

    topic: Topic
    values: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    took_s: float = 0.0
    problem: str = ""

    def to_json(self) -> dict[str, Json]:
        """The numbers in base units."""
        values = {row: dict(numbers) for row, numbers in self.values.items()}
        return {"topic": self.topic.name, "took_s": self.took_s, "problem": self.problem, "values": values}


def walk(topic: Topic) -> Told:
    """Run a topic's rows, unless something that they need is not installed."""
    missing = [name for name in ("torch", "transformers", topic.package) if name and find_spec(name) is None]
    if missing:
        return Told(topic, problem=f"left out: {missing[0]} is not installed; pip install {missing[0]}")
    began = time.monotonic()
    with temporary_folder("perfgate-tour-") as folder:
        (folder / "pytest.ini").write_text(f"[pytest]\nperf_preload = {preloaded(topic)}\n", encoding="utf-8")
        code = run_pytest(topic, folder)
        made = list((folder / "out").glob("*.jsonl"))
        run = read(made[0]) if made else None
        said = (folder / "said").read_text(encoding="utf-8", errors="replace")
    values = values_of(topic, run) if run else {}
    return Told(topic, values, time.monotonic() - began, problem_of(topic, values, code, said))


def preloaded(topic: Topic) -> str:
    """The modules that a fork server imports once, so that not every process imports them."""
    return " ".join(dict.fromkeys([*(row.program.partition(":")[0] for row in topic.rows.values()), DRY_RUN]))


def run_pytest(topic: Topic, folder: Path) -> int:
    """Run pytest on a topic's rows; returns its exit code. Its output goes to the file ``said``."""
    suite = Path("perf_tests") / SUITE.name
    (folder / suite).parent.mkdir()
    shutil.copy(SUITE, folder / suite)
    cases = [f"{suite}::test_row[{topic.name}-{number}]" for number in range(len(topic.rows))]
    places = ["-c", str(folder / "pytest.ini"), "--rootdir", str(folder), "--perf-output", str(folder / "out")]
    places += ["--perf-baselines", str(folder / "baselines"), "-p", "no:cacheprovider", "-p", "no:benchmark"]
    command = [sys.executable, "-m", "pytest", *cases, *places, *(EXACT if topic.exact else TIMED)]
    # The user's options for pytest are meant for the user's own suite.
    variables = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    with (
        (folder / "said").open("wb") as said,
        subprocess.Popen(command, cwd=folder, env=variables, stdout=said, stderr=subprocess.STDOUT) as process,
    ):
        try:
            return process.wait()
        except KeyboardInterrupt:
            end(process)
            raise


def end(process: subprocess.Popen[bytes]) -> None:
    """Let pytest end its own processes. Ctrl-C on a terminal has reached it; other signals have not."""
    try:
        process.wait(OWN_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()


def values_of(topic: Topic, run: RunFile) -> dict[str, dict[str, float | None]]:
    """The numbers of each row."""
    launches = {case.partition("[")[2].rstrip("]"): found for case, found in run.by_case().items()}
    return {
        row: {column.head: value(column, launches.get(f"{topic.name}-{number}", [])) for column in topic.columns}
        for number, row in enumerate(topic.rows)
    }


def value(column: Column, launches: list[Launch]) -> float | None:
    """A row's number, the median of its launches; ``None`` if none of them has it."""
    valid = [launch for launch in launches if not launch.invalid]
    found = [launch.value(column.metric) for launch in valid if column.metric in launch.metrics]
    if not found:
        return None
    if not column.per:
        return statistics.median(found)
    counts = [launch.ledger[column.per] for launch in valid if column.per in launch.ledger]
    return statistics.median(found) / counts[0] if counts else None


def problem_of(topic: Topic, values: Mapping[str, Mapping[str, float | None]], code: int, said: str) -> str:
    """The reason why a topic lacks numbers; empty if it has all and pytest succeeded."""
    lacking = [row for row in topic.rows if None in values.get(row, {"": None}).values()]
    if not lacking and not code:
        return ""
    told = [line for line in said.splitlines() if line.startswith(("FAILED", "ERROR", "SKIPPED"))]
    last = (told or said.strip().splitlines() or ["pytest said nothing"])[-1]
    return f"{', '.join(lacking) or 'a row'} could not be measured: {last.strip()}"


def shown(column: Column, number: float | None) -> str | None:
    """A number as text with its unit."""
    if number is None:
        return None
    return f"{number:.2f} bytes" if column.per else METRICS[column.metric].show(number)
