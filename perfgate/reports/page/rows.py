"""A row for each case: its worst verdict, all others, and the commands that measure and accept it again."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfgate.gate.acceptance import OPTION, can_be_accepted, proposed
from perfgate.gate.outcome import not_asked
from perfgate.gate.wording import counted_as, sentence
from perfgate.records.launch import medians
from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.reports.tables import own_program, shown_setting, words, workload_lines

# The worst first. "failed" is a case that failed without a verdict that says so; "partly" one that got no worse in all
# that this kind of run asks, which is not all that it has.
ORDER = (
    "regressed", "stale", "failed", "invalid", "accepted", "inconclusive", "improved", "new", "partly", "pass",
    "skipped", "none",
)  # fmt: skip
DECIDED = ("pass", "improved", "accepted")
FAILED = ("regressed", "stale", "failed")
ACCEPT = "Accept it with: "
IN_TABLE = ("step_time_s", "peak_memory_bytes", "predicted_peak_bytes", "samples_per_s", "tokens_per_s")


@dataclass(frozen=True)
class CaseRow:
    """One case.

    Attributes:
        verdict: the worst of its verdicts, or its end in pytest if it has none.
        setting: its settings as text.
        values: the metrics that the table of cases shows, in their units.
        message: its message in pytest.
        ended: whether it passed, failed or was skipped in pytest; empty in a comparison.
    """

    case: str
    verdict: str
    technique: str
    model: str
    setting: str
    values: Mapping[str, float]
    verdicts: tuple[Verdict, ...]
    message: str = ""
    ended: str = ""
    took_s: float | None = None

    @property
    def rank(self) -> int:
        """The position of its verdict in the order, 0 for the worst."""
        return ORDER.index(self.verdict)

    @property
    def failed(self) -> bool:
        """Whether it belongs to the failed cases."""
        return self.verdict in FAILED or self.ended == "failed"


def case_rows(run: RunFile, verdicts: Sequence[Verdict], ends: bool) -> list[CaseRow]:
    """A row for each case of a run, failed ones first.

    Args:
        run: the run with the launches.
        verdicts: the verdicts on its cases; they may come from another comparison.
        ends: whether each case's end in the run counts.
    """
    judged: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        judged.setdefault(verdict.case, []).append(verdict)
    ended = {line["case"]: line for line in run.others if line.get("kind") == "case"} if ends else {}
    beside = run.header.get("failed") or {} if ends else {}
    lines, launches = workload_lines(run), run.by_case()
    rows = []
    for case in dict.fromkeys([*lines, *launches, *judged, *ended, *beside]):
        end, line, found = ended.get(case, {}), lines.get(case, {}), judged.get(case, [])
        how = "failed" if case in beside else str(end.get("outcome", ""))
        values = medians(launches.get(case, ()))
        rows.append(
            CaseRow(
                case,
                worst(found, how),
                str(line.get("technique") or ""),
                str(line.get("model") or own_program(line)),
                words(shown_setting(line)) if line else "",
                {name: values[name] for name in IN_TABLE if name in values},
                tuple(sorted(found, key=lambda verdict: ORDER.index(counted_as(verdict)))),
                str(beside.get(case) or end.get("message", "")),
                how,
                end.get("took_s"),
            )
        )
    return sorted(rows, key=lambda row: (not row.failed, row.rank, -largest(row.verdicts)))


def worst(verdicts: Sequence[Verdict], ended: str) -> str:
    """The word for a case."""
    asked = [verdict for verdict in verdicts if not not_asked(verdict)]
    if 0 < len(asked) < len(verdicts) and ended != "failed" and all(counted_as(v) in DECIDED for v in asked):
        return "partly"
    names = [counted_as(verdict) for verdict in verdicts]
    if ended == "failed" and not set(names) & {"regressed", "stale"}:
        return "failed"
    return min(names, key=ORDER.index) if names else "skipped" if ended == "skipped" else "none"


def largest(verdicts: Sequence[Verdict]) -> float:
    """The change of the metric that got worse most."""
    return max((verdict.change or 0.0 for verdict in verdicts), default=0.0)


def commands(row: CaseRow, run: RunFile) -> tuple[str, list[str]]:
    """The command that measures a case again, and the lines that accept its regressions.

    If the case's message has a line that accepts it, both come from that line.
    """
    for line in row.message.splitlines():
        if line.startswith(ACCEPT):
            accept = line.removeprefix(ACCEPT)
            return accept.partition(" --perf-update ")[0], [accept]
    options = run.header["options"]
    root = options.get("root")
    parts = [str(run.header.get("command") or "pytest"), shlex.quote(f"{root}/{row.case}" if root else row.case)]
    if options.get("device"):
        parts.append(f"--perf-device {shlex.quote(str(options['device']))}")
    if options.get("tier") != options.get("default_tier"):
        parts.append(f"--perf-tier {options['tier']}")
    reference = options.get("reference")
    if reference:
        parts.append(f"--perf-ref {shlex.quote(str(reference))}")
        if (environment := options.get("environment")) not in (None, "check"):
            parts.append(f"--perf-env {environment}")
    again = " ".join(parts)
    worse = [verdict for verdict in row.verdicts if counted_as(verdict) == "regressed"]
    if reference:
        worse = [verdict for verdict in worse if can_be_accepted(verdict)]
    if not worse:
        return again, []
    if reference:
        return again, [f"{again} {' '.join(acceptance(verdict) for verdict in worse)}"]
    return again, [f"{again} --perf-update all --perf-reason {shlex.quote('WHY')}"]


def acceptance(verdict: Verdict) -> str:
    """The option that accepts one verdict against a reference."""
    text = ":".join(filter(None, [verdict.case, verdict.metric, proposed(verdict)]))
    return f"{OPTION} {shlex.quote(text)}"


def sentences(row: CaseRow) -> list[str]:
    """A sentence for each regression of a case, or else its message."""
    told = [sentence(verdict) for verdict in row.verdicts if counted_as(verdict) in ("regressed", "stale", "invalid")]
    first = row.message.splitlines()[:1]
    return told or first or ["It did not pass, and the run file holds no reason."]
