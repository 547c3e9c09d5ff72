"""Trials: run one case of the suite with the code of one step, compared with another step."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perfgate.records.runfile import RunFile, read
from perfgate.shared.credentials import concealed
from perfgate.shared.errors import UserError
from perfgate.shared.private import no_link

ENDING_S = 60
LOG_TAIL = 3


class OutOfTimeError(Exception):
    """The budget ended before a trial did."""


@dataclass(frozen=True)
class Trials:
    """Runs a case with pytest.

    Attributes:
        node: the case's pytest node id.
        arguments: more arguments for pytest.
        output: the folder for run files.
        log: the file for pytest's output.
        end_s: when the budget ends, on the monotonic clock; ``None`` without one.
    """

    node: str
    arguments: Sequence[str]
    output: Path
    log: Path
    end_s: float | None = None

    def run(self, before: str, now: str, dry: bool) -> RunFile:
        """Compare two sides.

        Args:
            before: the value of ``--perf-ref``.
            now: the value of ``--perf-candidate``.
            dry: whether to only run dry.

        Raises:
            UserError: pytest ended without a run file; the message has the last lines of its output.
            OutOfTimeError: the budget ended.
        """
        left_s = None if self.end_s is None else self.end_s - time.monotonic()
        if left_s is not None and left_s <= 0:
            raise OutOfTimeError
        self.output.mkdir(parents=True, exist_ok=True)
        there = set(self.output.glob("*.jsonl"))
        command = [sys.executable, "-m", "pytest", self.node, "--perf-ref", before, "--perf-candidate", now]
        command += [
            "--perf-tier",
            "full",
            "--perf-output",
            str(self.output),
            "-p",
            "no:benchmark",
            "-o",
            "perf_html=off",
        ]
        command += ["--perf-device", "none"] if dry else ["--perf-thorough"]
        start = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "a", encoding="utf-8", opener=no_link) as log:
            log.write(concealed(f"\n$ {' '.join([*command, *self.arguments])}\n"))
            log.flush()
            self._wait(subprocess.Popen([*command, *self.arguments], stdout=log, stderr=subprocess.STDOUT), left_s)
        made = sorted(set(self.output.glob("*.jsonl")) - there, key=lambda path: path.stat().st_mtime_ns)
        if not made:
            raise UserError(f"{reason(self.log, start)} (all of it: {self.log})")
        return read(made[-1])

    def _wait(self, process: subprocess.Popen[bytes], left_s: float | None) -> None:
        """Wait for pytest's end. Ctrl-C reaches pytest too, and pytest ends its processes itself."""
        try:
            process.wait(left_s)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait(ENDING_S)
            raise OutOfTimeError from None
        except KeyboardInterrupt:
            try:
                process.wait(ENDING_S)
            except subprocess.TimeoutExpired:
                process.terminate()
            raise


def reason(log: Path, start: int) -> str:
    """The reason why pytest measured nothing: its errors, or else its last lines."""
    lines = log.read_bytes()[start:].decode(errors="replace").splitlines()[2:]
    said = [line.strip() for line in lines if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
    return errors[0] if errors else " ".join(said[-LOG_TAIL:]) or "pytest said nothing"
