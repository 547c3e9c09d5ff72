"""Progress: a live line on a terminal, plain lines elsewhere."""

import time
from typing import TYPE_CHECKING, TextIO

from perfgate.gate.wording import moved, percent, since, together
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import metric

if TYPE_CHECKING:
    from perfgate.cases.runner import Result

CLEAR_LINE = "\r\x1b[2K"
SYMBOLS = {"passed": "ok", "warned": "ok?", "skipped": "skipped", "failed": "FAILED"}


class Live:
    """Counts cases and guesses the time left from the mean of those that are done.

    Args:
        stream: standard output; lines are rewritten only on a terminal.
        cases: how many will run; 0 where that is not known yet.
    """

    def __init__(self, stream: TextIO, cases: int) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._cases = cases
        self._done = 0
        self._begin = time.monotonic()
        self._shown = False

    def show(self, case: str, what: str) -> None:
        """Rewrite the live line, with the case last, as it may not fit; does nothing where there is no terminal."""
        if self._terminal:
            width = terminal_width()
            line = f"[{self._done + 1}/{self._cases}] {what}{self.left()}  {case}"
            self._stream.write(f"{CLEAR_LINE}{line[: width - 1]}")
            self._stream.flush()
            self._shown = True

    def note(self, what: str) -> None:
        """Tell a step of something long before the first case: a line of its own, or where it is indented, as a detail
        of the step, a live line."""
        if not what.startswith(" "):
            self.clear()
            self._stream.write(f"{what}\n")
        elif self._terminal:
            self._stream.write(f"{CLEAR_LINE}{what[: terminal_width() - 1]}")
            self._shown = True
        self._stream.flush()

    def clear(self) -> None:
        """Take the live line away, so that others can write."""
        if self._shown:
            self._stream.write(CLEAR_LINE)
            self._stream.flush()
            self._shown = False

    def finished(self, line: str, done: int) -> str:
        """Learn how many cases are done; returns the line of the last one with the count and the time left."""
        self._done = done
        count = f"[{self._done}/{self._cases}]" if self._cases else f"[{self._done}]"
        return f"{count} {line}{self.left()}"

    def left(self) -> str:
        """How long it will go on, as a clause; empty where nothing is known."""
        remaining = self._cases - self._done
        if not self._done or remaining <= 0:
            return ""
        seconds = (time.monotonic() - self._begin) / self._done * remaining
        return f", {seconds / 60:.0f} min left" if seconds >= 90 else f", {seconds:.0f} s left"


def terminal_width() -> int:
    """Columns of the terminal."""
    import shutil

    return shutil.get_terminal_size().columns


def one_line(result: "Result") -> str:
    """A case's result on one line, behind the symbol of how it ended."""
    shown = "; ".join([*map(one_verdict, together(result.verdicts)), *filter(None, [result.remark])])
    return f"{result.case}: {shown}"


def one_verdict(verdict: Verdict) -> str:
    """A metric's result in a few words."""
    what = metric(verdict.metric)
    if verdict.candidate is None:
        why = f"({verdict.why})" if verdict.why else ""
        return " ".join(filter(None, [verdict.metric, verdict.verdict, since(verdict), why]))
    value = f"{verdict.metric} {what.show(verdict.candidate)}"
    seen = []
    if verdict.low is not None and verdict.high is not None and verdict.low != verdict.high:
        seen.append(f"{percent(verdict.low)} to {percent(verdict.high)}")
    if seen and verdict.smallest_detectable is not None:
        seen.append(f"can see {percent(verdict.smallest_detectable, '')}")
    why = f" ({verdict.why})" if verdict.why and verdict.verdict == "new" else ""
    shown = f"({'; '.join(seen)})" if seen else ""
    return " ".join(filter(None, [value, moved(verdict), since(verdict), shown, f"{verdict.verdict}{why}"]))
