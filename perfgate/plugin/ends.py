"""The end of each case in pytest, over all its phases, in its last run."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST = 200  # the most characters of a reason
SKIPPED = "it was skipped"
PHASES = {"setup": "in its set-up", "call": "in its test", "teardown": "in its teardown"}


@dataclass
class End:
    """The end of one case, from the reports so far; it passed only if every phase passed.

    Attributes:
        result: the result that ``attach`` gave the item; ``None`` if nothing was measured.
        finished: whether its teardown has been reported.
        why: why it did not pass, as a clause; empty as long as no phase failed.
        failed: whether any phase failed; an expected failure does not count.
    """

    result: Mapping[str, Any] | None = None
    finished: bool = False
    why: str = ""
    failed: bool = False

    @property
    def passed(self) -> bool:
        """Whether its result may be stored."""
        return self.finished and not self.why and self.result is not None

    @property
    def told(self) -> bool:
        """Whether its verdicts say why it did not pass."""
        kind = self.result["kind"] if self.result else ""
        return kind == "failed" or (kind == "skipped" and self.why.startswith(SKIPPED))


@dataclass
class Ends:
    """The ends of all cases of a run, by node id. If another plugin runs a case again, only its last run counts.

    Attributes:
        of: the end of each case.
        ran: node ids of the cases that were not skipped.
        asked: whether any case asked for a measurement.
        unasked: node ids of the cases that passed without asking for a measurement.
        collected: node ids of all cases in the files that were collected, before any was deselected.
    """

    of: dict[str, End] = field(default_factory=dict)
    ran: set[str] = field(default_factory=set)
    asked: bool = False
    unasked: set[str] = field(default_factory=set)
    collected: set[str] = field(default_factory=set)

    @property
    def results(self) -> list[Mapping[str, Any]]:
        """The results of all cases that measured something."""
        return [end.result for end in self.of.values() if end.result is not None]

    def add(self, report: Any) -> None:
        """Add one report of a case: of its setup, its test or its teardown."""
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

    def passed(self, report: Any) -> str:
        """The case that a report ends, if it passed in all its phases; empty for any other report."""
        end = self.of.get(report.nodeid)
        return str(end.result["case"]) if report.when == "teardown" and end and end.result and end.passed else ""

    def lost(self, whole: Collection[str]) -> str:
        """A sentence about measured cases whose lines are missing from the run file; empty if there are none."""
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
        """The cases that failed for another reason than their verdicts, or without any verdict.

        A case that was skipped because it could not be measured did not fail.

        Args:
            root: the folder of the cases; their ids are relative to it.
        """
        told = {end.result["case"] for end in self.of.values() if end.result and end.told}
        early = {node: end.why for node, end in self.of.items() if end.result is None and end.failed}
        beside = {case: why for case, why in self.unfit().items() if case not in told}
        return {node.removeprefix(f"{root}/"): why for node, why in early.items()} | beside


def reason(report: Any) -> str:
    """The reason why a phase did not pass, as a clause on one line."""
    word = SKIPPED if report.skipped and not hasattr(report, "wasxfail") else "it failed"
    where = PHASES.get(report.when, "")
    return f"{' '.join(filter(None, [word, where]))}: {first_line(report)}"


def first_line(report: Any) -> str:
    """The first line of a report's failure message."""
    longrepr = report.longrepr
    crash = getattr(longrepr, "reprcrash", None)
    text = crash.message if crash else longrepr[2] if isinstance(longrepr, tuple) else str(longrepr or report.outcome)
    line = next(iter(text.strip().splitlines()), report.outcome)
    line = line.removeprefix("Failed: ").removeprefix("Skipped: ")  # the prefixes of pytest.fail and pytest.skip
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
