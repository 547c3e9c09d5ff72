"""Decides from the slices' results whether each requirement of the proof holds; pure functions, nothing is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.proof.durations import durations
from benchmarks.proof.measured import Measured
from benchmarks.proof.slices import PUT_IN, STANDARD_PARTS
from perfgate.gate.against_run import compare
from perfgate.records.runfile import RunFile
from perfgate.reports.memory import size

SLACK_BYTES = 4 * 2**20
NEAR, NEAR_SHARE = 0.05, 0.9
BUSY, BUSY_APART, IDLE_APART = 0.9, 0.01, 0.03
CAUGHT_SHARE = 0.95
WORK_SHARE = 0.5
SHOWN = 3


@dataclass(frozen=True)
class Row:
    """One requirement of the proof, and whether it holds.

    Attributes:
        what: the quantity or event that is checked.
        bar: the value that it must have.
        found: the value that was measured; empty if it was not.
        held: whether the requirement holds; ``None`` if it was not measured or cannot be decided on this machine.
    """

    what: str
    bar: str
    found: str
    held: bool | None


def rows(
    slices: Mapping[str, Mapping[str, Any]],
    runs: Mapping[str, RunFile],
    cases: Sequence[Measured],
    wanted: int,
    demoted: Sequence[str] = (),
    *,
    timed: bool = True,
) -> list[Row]:
    """All requirements.

    Args:
        slices: the result of each slice, by its name.
        runs: run files, by the name of their slice.
        cases: the cases of the slice ``store``.
        wanted: number of cases that should have been measured.
        demoted: ids of cases whose peak memory is known to differ between launches.
        timed: whether the card has times; without them, requirements about times are left out.
    """
    whole = {name: found for name, found in slices.items() if not found.get("broken") and not found.get("cut")}
    about_time = [
        *(Row(*line) for line in durations(slices)),
        standard_tier(parts_of("standard", whole)),
        *slowdown(calibrated(parts_of("calibrate", whole))),
        launches_agree(cases),
        work(runs.get("again"), whole.get("again")),
    ]
    return [
        doctor(whole.get("doctor")),
        engine_tests(whole.get("tests")),
        all_measured(cases, wanted, timed),
        settings(cases),
        *false_regressions(runs.get("store"), runs.get("again")),
        growth(runs.get("growth"), runs.get("again")),
        predicted(cases),
        peaks_repeat(cases, demoted),
        *(about_time if timed else []),
    ]


def parts_of(name: str, slices: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The results of the slices that are parts of one, such as ``standard-1``; or of that slice itself."""
    return [found for key, found in slices.items() if key.partition("-")[0] == name]


def calibrated(parts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each case's duets, judged together with the most other cases."""
    fewest_first = sorted(parts, key=lambda found: len(found["cases"]))
    return list({case["case"]: case for found in fewest_first for case in found["cases"]}.values())


def doctor(found):
    """``perfgate doctor`` must find no problem."""
    if not found:
        return Row("`perfgate doctor`", "no problem", "", None)
    problems = [finding["text"] for finding in found.get("findings") or () if finding["level"] == "problem"]
    return Row("`perfgate doctor`", "no problem", "; ".join(problems) or "none", bool(found.get("fit")))


def engine_tests(found):
    """The engine's tests must pass. Skipped ones leave the requirement undecided, because they prove nothing."""
    what, bar = "the engine's tests marked gpu", "all pass"
    if not found:
        return Row(what, bar, "", None)
    told = f"{found['passed']} passed, {found['failed']} failed, {found['skipped']} skipped"
    return Row(what, bar, listed(told, found["failures"]), all_passed(found))


def all_passed(found):
    """Whether a run of pytest passed whole: not if a test failed or the run broke off; undecided if one was skipped."""
    if found["failed"] or found["code"] not in (0, 5):
        return False
    return True if found["passed"] and not found["skipped"] else None


def standard_tier(parts):
    """Each case of the standard tier must be measured. A case without a needed package is skipped and reported."""
    what, bar = "cases of the standard tier", "all measured"
    if not parts:
        return Row(what, bar, "", None)
    ends = {end: sum(found[end] for found in parts) for end in ("passed", "failed", "skipped")}
    failures = [name for found in parts for name in found["failures"]]
    wrong = [found for found in parts if all_passed(found) is False or not total(found)]
    told = listed(f"{ends['passed']} of {total(ends)}", failures)
    if len(parts) < STANDARD_PARTS:
        return Row(what, bar, f"{told} in {len(parts)} of {STANDARD_PARTS} parts", False if wrong else None)
    return Row(what, bar, told, False if wrong else None if ends["skipped"] else True)


def total(ends):
    """The number of tests with some of these ends."""
    return ends["passed"] + ends["failed"] + ends["skipped"]


def all_measured(cases, wanted, timed=True):
    """All cases must be measured: each needs a valid timed launch, or a peak if nothing is timed."""
    done = [case for case in cases if (case.launches if timed else case.peaks)]
    found = f"{len(done)} of {wanted}" if cases else ""
    return Row("cases measured", "all", found, len(done) == wanted if cases else None)


def settings(cases):
    """All settings must be in force, as read back from the libraries."""
    told = [case for case in cases if case.in_force]
    wrong = [f"{short(case.case)}: {case.wrong}" for case in told if case.wrong]
    found = listed(f"{len(told) - len(wrong)} of {len(told)} cases", wrong) if told else ""
    return Row("settings in force", "as asked", found, not wrong if told else None)


def false_regressions(stored, again):
    """A second run of the same code must have no regression, by its own verdicts and by ``perfgate compare``."""
    against = {"": "baselines", ", launch by launch": "the first run's launches"}
    judged = dict.fromkeys(against)
    if again:
        judged[""] = again.verdicts
    if stored and again:
        judged[", launch by launch"] = compare(stored.by_case(), again.by_case(), {})
    for how, verdicts in judged.items():
        worse = [x for x in verdicts or () if x.verdict == "regressed"]
        named = [f"{short(x.case)} {x.metric} {x.change:+.1%} against {against[how]}" for x in worse]
        found = listed(f"{len(worse)} of {len(verdicts)} verdicts", named) if verdicts else ""
        yield Row(f"false regressions on the second run{how}", "none", found, not worse if verdicts else None)


def slowdown(cases):
    """The rule must pass duets without a slowdown, and catch duets in which every step was slowed down."""
    told = [detection for case in cases for detection in case["detections"]]
    shares = {put_in: [x["regressed"] for x in told if x["slowdown"] == put_in] for put_in in (0.0, PUT_IN)}
    yield Row(
        "duets without a slowdown, called slower",
        "never",
        f"{max(shares[0.0]):.0%} of draws at most, {len(cases)} cases" if shares[0.0] else "",
        max(shares[0.0]) == 0 if shares[0.0] else None,
    )
    spreads = ", ".join(f"{case['spread']:.2%}" for case in cases)
    yield Row(
        f"a slowdown of {PUT_IN:.0%}, called slower",
        f"{CAUGHT_SHARE:.0%} of draws in each case",
        f"{', '.join(f'{share:.0%}' for share in shares[PUT_IN])}; duets vary by {spreads}" if shares[PUT_IN] else "",
        min(shares[PUT_IN]) >= CAUGHT_SHARE if shares[PUT_IN] else None,
    )


def growth(grown, again):
    """The peak memory of the case with the added leak must be a regression, and must have passed before."""
    what, bar = "a growth of memory, called a regression", "caught, and not before"
    if grown is None or again is None:
        return Row(what, bar, "", None)
    now = [verdict for verdict in grown.verdicts if verdict.metric == "peak_memory_bytes"]
    names = {verdict.case for verdict in now}
    before = [x for x in again.verdicts if x.case in names and x.metric == "peak_memory_bytes"]
    told = [f"{x.verdict} {x.change:+.1%}" if x.change is not None else x.verdict for x in (*now, *before)]
    held = [x.verdict for x in now] == ["regressed"] and [x.verdict for x in before] == ["pass"]
    return Row(what, bar, f"{' and before '.join(told)}", held)


def short(case):
    """A case's id without its file, whose name repeats that of the function."""
    folder, _, name = case.partition("/")
    return f"{folder} {name.rpartition('::')[2]}" if name else case


def listed(counted, names):
    """A count, followed by the first few names."""
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return "; ".join([counted, *names[:SHOWN], *more])


def near(case: Measured) -> bool:
    """Whether a predicted peak is close enough: within 5% of the peak without workspaces, or within 4 MiB.

    Below 1 GiB the workspaces of libraries are most of a peak, and 5% of it all would hide any other rule.
    """
    allowed = max(SLACK_BYTES, NEAR * (case.peak_bytes - case.workspace_bytes))
    return abs(case.predicted_bytes - case.peak_bytes) <= allowed


def predicted(cases):
    """The peak that the dry run predicts must be close to the allocator's peak."""
    both = [case for case in cases if case.peaks and case.predicted_bytes]
    wide = [case for case in both if not near(case)]
    far = [f"{short(x.case)} {x.predicted_bytes / x.peak_bytes - 1:+.1%} of {size(x.peak_bytes)}" for x in wide]
    found = listed(f"{len(both) - len(far)} of {len(both)}", far) if both else ""
    held = len(both) - len(far) >= NEAR_SHARE * len(both) if both else None
    return Row("predicted peak within 5%, net of workspaces (or 4 MiB)", "9 of 10 cases", found, held)


def launches_agree(cases):
    """The launches of a case must take about the same time; more may vary if the device waits for the host."""
    timed = [case for case in cases if case.apart is not None]
    far = [f"{short(case.case)} {case.apart:.1%}" for case in timed if case.apart > allowed_apart(case)]
    what, bar = "launches of a case agree in time", "1% where the device is 90% busy, else 3%"
    if not timed:
        return Row(what, bar, "", None)
    return Row(what, bar, listed(f"{len(timed) - len(far)} of {len(timed)} cases", far), not far)


def allowed_apart(case):
    """The largest difference that launches of a case may have in time, as a share."""
    return BUSY_APART if case.busy is not None and case.busy >= BUSY else IDLE_APART


def peaks_repeat(cases, demoted):
    """All launches of a case must have the same peak memory, to the byte."""
    told = [case for case in cases if case.peaks]
    moved = [case for case in told if len(case.peaks) > 1]
    named = [f"{short(x.case)} {size(x.peak_bytes)}, {x.peaks[-1] - x.peaks[0]:,.0f} bytes apart" for x in moved]
    found = listed(f"{len(told) - len(moved)} of {len(told)} cases", named) if told else ""
    held = all(case.case in demoted for case in moved) if told else None
    return Row("launches of a case agree in peak memory", "to the byte, but for cases demoted by name", found, held)


def work(run, found):
    """Set-up and steps must take a large enough share of a run's time."""
    what, bar = "time inside set-up and steps", "at least half of a run"
    sheet = timesheet(run)
    if not sheet or not found:
        return Row(what, bar, "", None)
    total_s = found["took_s"] - sheet["waiting_s"]  # without the time spent waiting for other runs
    shares = {name: seconds / total_s for name, seconds in spent_s(sheet, total_s).items()}
    told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return Row(what, bar, told, shares["set-up"] + shares["steps"] >= WORK_SHARE)


def timesheet(run):
    """The line of a run file that holds the stage's times by activity; ``None`` if there is none."""
    return next((line for line in run.others if line.get("kind") == "timesheet"), None) if run else None


def spent_s(sheet, total_s):
    """Seconds by activity; ``rest`` is pytest, forks and decisions."""
    found = {
        "set-up": sheet["setups_s"],
        "steps": sheet["programs_s"] - sheet["setups_s"] - sheet["dry_s"],
        "yardstick": sheet["yardstick_s"],
        "dry runs": sheet["dry_s"],
        "servers": sheet["servers_s"],
        "fork and device": sheet["fork_s"],
    }
    return {**found, "rest": max(total_s - sum(found.values()), 0.0)}
