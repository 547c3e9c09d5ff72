"""Stores regressions that merged commits accept as new baselines."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from perfgate.cases.update import TIMES_STAND, stored_kind, stores_of
from perfgate.gate.acceptance import TRAILER, Acceptance, of_trailer
from perfgate.records.baselines import Baseline
from perfgate.records.moved_baseline import leaves_times, moved_baseline
from perfgate.records.portable import split
from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError
from perfgate.shared.metrics import metric
from perfgate.system.git import git, trailers

Trailers = Callable[[str], list[tuple[str, Acceptance]]]


def accept_merged(run: RunFile, root: Path, suite: str) -> tuple[dict[str, str], dict[str, str]]:
    """Store the regressions of a run that are accepted by commits since their baselines.

    A case is stored only if each of its regressions is accepted and within its limit.

    Args:
        run: a run of the merged code against its baselines.
        root: the folder of all baselines, in the repository.
        suite: the folder that ids of cases are relative to.

    Returns:
        For each stored case, who accepted it and why; for each other regressed case, why it was not stored.

    Raises:
        UserError: the run had a reference, or uncommitted changes.
    """
    if run.header.get("reference"):
        raise UserError("a run beside a reference stores nothing; run the merged code against its baselines")
    if run.header.get("dirty"):
        raise UserError("the run was measured on changes that were not committed, so no commit accepts them")
    since: dict[str, list[tuple[str, Acceptance]]] = {}
    stored: dict[str, str] = {}
    left: dict[str, str] = {}
    for exact, store in stores_of(run, root).items():
        moved: dict[str, Baseline] = {}
        for case, launches in stored_kind(run).items():
            verdicts = [one for one in run.verdicts if one.case == case and metric(one.metric).portable == exact]
            worse = [one for one in verdicts if one.verdict in ("regressed", "stale")]
            before = store.get(case)
            if not worse or before is None:
                continue
            if before.commit not in since:
                since[before.commit] = written(root, before.commit, suite)
            found = [(one, by_whom(one, since[before.commit])) for one in worse]
            if open_ones := [one for one, acceptance in found if acceptance is None]:
                left[case] = (
                    f"{open_ones[0].metric} got worse, and no commit since {before.commit[:12]} accepts as much"
                )
                continue
            author, acceptance = next(pair for _, pair in found if pair)
            about = {
                "session": run.header["run_id"],
                "commit": run.header.get("commit") or "",
                "date": run.header["created"],
                "software": run.header["software"],
                "reason": acceptance.reason,
                "by": author,
                "until": acceptance.until,
                "surroundings": {} if exact else run.workloads.get(case, {}).get("surroundings", {}),
            }
            baseline = moved_baseline("all", case, split(launches)[exact], verdicts, before, about)
            if baseline is None:
                untimed = leaves_times(split(launches)[exact], before)
                left[case] = TIMES_STAND if untimed else "it could not be measured"
                continue
            moved[case] = replace(baseline, reason=acceptance.reason)
            stored[case] = f"{acceptance.told}, {author}"
        if moved:
            machine = {"name": store.folder.name} if exact else run.header["machine"]
            store.put(moved, machine, run.header["software"])
    return stored, {case: why for case, why in left.items() if case not in stored}


def written(folder: Path, since: str, suite: str) -> list[tuple[str, Acceptance]]:
    """The acceptances in commits since a revision, each with its author; unreadable trailers are left out."""
    found = []
    for trailer in trailers(folder, TRAILER, since):
        if trailer.last:
            try:
                acceptance = of_trailer(trailer.value, trailer.commit, suite)
            except UserError:
                continue
            found.append((git(folder, "show", "--no-patch", "--format=%an", trailer.commit), acceptance))
    return found


def by_whom(verdict: Verdict, found: Iterable[tuple[str, Acceptance]]) -> tuple[str, Acceptance] | None:
    """The author and the acceptance that cover a regression; ``None`` if nobody accepts as much."""
    about = ((author, one) for author, one in found if one.metric == verdict.metric and one.concerns(verdict.case))
    return next(((author, one) for author, one in about if one.reaches(verdict)), None)
