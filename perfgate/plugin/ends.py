"""How each case ended in pytest, over all its phases, the last time that it ran."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST = 200  # characters of a reason
SKIPPED = "it was skipped"
PHASES = {"setup": "in its set-up", "call": "in its test", "teardown": "in its teardown"}


@dataclass
class End:
    """One case, as far as its reports have come; it passed only if every phase did.

    Attributes:
        result: what was measured, as ``attach`` keeps it with the item; ``None`` where nothing was.
        finished: whether the report of its teardown has come.
        why: why it did not pass, as a clause; empty while nothing is known against it.
        failed: whether any phase failed; one that was expected to is none.
    """

    result: Mapping[str, Any] | None = None
    finished: bool = False
    why: str = ""
    failed: bool = False

    @property
    def passed(self) -> bool:
        """Whether what it measured may be stored."""
        return self.finished and not self.why and self.result is not None

    @property
    def told(self) -> bool:
        """Whether its verdicts say why it did not pass."""
        kind = self.result["kind"] if self.result else ""
        return kind == "failed" or (kind == "skipped" and self.why.startswith(SKIPPED))


@dataclass
class Ends:
    """All cases of a run, by node id. A case that another plugin runs again counts once: its last run stands.

    Attributes:
        of: how each case ended.
        ran: node ids of those that were not skipped.
        asked: whether any of them asked for a measurement.
        unasked: node ids of those that passed without asking for one.
        collected: node ids of all cases in the files that were collected, before any was deselected.
    """

    of: dict[str, End] = field(default_factory=dict)
    ran: set[str] = field(default_factory=set)
    asked: bool = False
    unasked: set[str] = field(default_factory=set)
    collected: set[str] = field(default_factory=set)

    @property
    def results(self) -> list[Mapping[str, Any]]:
        """What was measured, a case each."""
        return [end.result for end in self.of.values() if end.result is not None]

    def add(self, report: Any) -> None:
        """Take one report of a case: of its set-up, its test or its teardown."""
        if report.when == "setup":
            self.of[report.nodeid] = End()
            self.unasked.discard(report.nodeid)
        end = self.of.setdefault(report.nodeid, End())
        if not report.passed and not end.why:
            end.why = reason(report)
        end.failed = end.failed or report.failed
        end.finished = end.finished or report.when == "teardown"
        found = getattr(report, "perfgate", None)
        if found is None:
            return
        self.asked |= found.get("asked", True)
        if report.passed and not found.get("asked", True):
            self.unasked.add(report.nodeid)
        if not report.skipped:
            self.ran.add(report.nodeid)
        if "line" in found:
            end.result = found

    def lost(self, whole: Collection[str]) -> str:
        """Which cases were measured and are not among those of which every line was there; empty if none is."""
        found = sorted({result["case"] for result in self.results}.difference(whole))
        if not found:
            return ""
        told = f"{found[0]} and {len(found) - 1} more were" if len(found) > 1 else f"{found[0]} was"
        return (
            f"{told} measured, and what was written of it is gone, as something removed or changed the run's files "
            "meanwhile; run again"
        )

    def unfit(self) -> dict[str, str]:
        """The cases that measured something and did not pass, each with the reason."""
        return {
            end.result["case"]: end.why or "it did not come to its end"
            for end in self.of.values()
            if end.result is not None and not end.passed
        }

    def failed_besides(self, root: str) -> dict[str, str]:
        """The cases that failed and whose verdicts do not say so, or that have none.

        A case that was skipped as it could not be measured did not fail.

        Args:
            root: the folder that ids of cases are relative to.
        """
        told = {end.result["case"] for end in self.of.values() if end.result and end.told}
        early = {node: end.why for node, end in self.of.items() if end.result is None and end.failed}
        beside = {case: why for case, why in self.unfit().items() if case not in told}
        return {node.removeprefix(f"{root}/"): why for node, why in early.items()} | beside


def reason(report: Any) -> str:
    """Why a phase did not pass, as a clause on one line."""
    word = SKIPPED if report.skipped and not hasattr(report, "wasxfail") else "it failed"
    where = PHASES.get(report.when, "")
    return f"{' '.join(filter(None, [word, where]))}: {first_line(report)}"


def first_line(report: Any) -> str:
    """The first line of what a report says of its failure."""
    longrepr = report.longrepr
    crash = getattr(longrepr, "reprcrash", None)
    text = crash.message if crash else longrepr[2] if isinstance(longrepr, tuple) else str(longrepr or report.outcome)
    line = next(iter(text.strip().splitlines()), report.outcome)
    line = line.removeprefix("Failed: ").removeprefix("Skipped: ")  # pytest's words for what was said by the test
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
