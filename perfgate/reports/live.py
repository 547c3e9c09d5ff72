"""Shows progress: a line that is rewritten on a terminal, and plain lines in any other output."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from perfgate.gate.wording import can_see, counted_as, in_short, moved, percent, since, together
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import metric

if TYPE_CHECKING:
    from perfgate.cases.result import Result

CLEAR_LINE = "\r\x1b[2K"
SYMBOLS = {"passed": "ok", "warned": "ok?", "skipped": "skipped", "failed": "FAILED"}


class Live:
    """Counts finished cases, and estimates the time left from the mean time of a case.

    Args:
        stream: standard output; lines are rewritten only if it is a terminal.
        cases: number of cases that will run; 0 if that is not known yet.
    """

    def __init__(self, stream: TextIO, cases: int) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._cases = cases
        self._done = 0
        self._begin = time.monotonic()
        self._shown = False

    def show(self, case: str, what: str) -> None:
        """Rewrite the live line. The case comes last, because the terminal may be too narrow for it.

        Does nothing if the output is no terminal.
        """
        if self._terminal:
            width = terminal_width()
            line = f"[{self._done + 1}/{self._cases}] {what}{self.left()}  {case}"
            self._stream.write(f"{CLEAR_LINE}{line[: width - 1]}")
            self._stream.flush()
            self._shown = True

    def note(self, what: str) -> None:
        """Show progress of work that precedes the first case, such as building an environment.

        Args:
            what: a line of text, which is written below the others. If it begins with a space, it is a detail of the
                line before, and is shown as a live line on a terminal only.
        """
        if not what.startswith(" "):
            self.clear()
            self._stream.write(f"{what}\n")
        elif self._terminal:
            self._stream.write(f"{CLEAR_LINE}{what[: terminal_width() - 1]}")
            self._shown = True
        self._stream.flush()

    def clear(self) -> None:
        """Erase the live line, so that something else can be written."""
        if self._shown:
            self._stream.write(CLEAR_LINE)
            self._stream.flush()
            self._shown = False

    def finished(self, line: str, done: int) -> str:
        """Note how many cases are done, and return a case's line between that count and the time left."""
        self._done = done
        count = f"[{self._done}/{self._cases}]" if self._cases else f"[{self._done}]"
        return f"{count} {line}{self.left()}"

    def left(self) -> str:
        """The estimated time left, such as ``", 12 s left"``; empty if there is no estimate."""
        remaining = self._cases - self._done
        if not self._done or remaining <= 0:
            return ""
        seconds = (time.monotonic() - self._begin) / self._done * remaining
        return f", {seconds / 60:.0f} min left" if seconds >= 90 else f", {seconds:.0f} s left"


def terminal_width() -> int:
    """The number of columns of the terminal."""
    import shutil

    return shutil.get_terminal_size().columns


def one_line(result: "Result") -> str:
    """The result of a case on one line, without the symbol of its outcome."""
    verdicts = together(result.verdicts)
    told = [verdict for verdict in verdicts if verdict.verdict != "invalid"]
    invalid = [verdict for verdict in verdicts if verdict.verdict == "invalid"]
    shown = "; ".join([*map(one_verdict, told), *by_reason(invalid), *filter(None, [result.remark])])
    return f"{result.case}: {shown}"


def by_reason(invalid: Sequence[Verdict]) -> list[str]:
    """The metrics that could not be measured, grouped by reason."""
    reasons: dict[str, list[str]] = {}
    for verdict in invalid:
        reasons.setdefault(verdict.why, []).append(verdict.metric)
    return [f"{', '.join(names)} invalid{f' ({why})' if why else ''}" for why, names in reasons.items()]


def one_verdict(verdict: Verdict) -> str:
    """The verdict on one metric in a few words."""
    what = metric(verdict.metric)
    if verdict.expected and verdict.change is not None:
        return f"{in_short(verdict)} {counted_as(verdict)}"
    if verdict.candidate is None:
        why = f"({verdict.why})" if verdict.why else ""
        return " ".join(filter(None, [verdict.metric, counted_as(verdict), since(verdict), why]))
    value = f"{verdict.metric} {what.show(verdict.candidate)}"
    seen = []
    if verdict.low is not None and verdict.high is not None and verdict.low != verdict.high:
        seen.append(f"{percent(verdict.low)} to {percent(verdict.high)}")
    if seen and verdict.smallest_detectable is not None and verdict.verdict not in ("regressed", "improved"):
        seen.append(f"can see {can_see(verdict.smallest_detectable)}")
    why = f" ({verdict.why})" if verdict.why and verdict.verdict == "new" else ""
    shown = f"({'; '.join(seen)})" if seen else ""
    return " ".join(filter(None, [value, moved(verdict), since(verdict), shown, f"{counted_as(verdict)}{why}"]))
