"""The baselines that are stored for this machine, and whether runs can lock its device."""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from perfgate.doctor.finding import Finding
from perfgate.gate.verdicts import MIN_BASELINE_LAUNCHES, MIN_BASELINE_SESSIONS
from perfgate.records.baseline_files import load_file
from perfgate.records.baselines import Baseline
from perfgate.records.portable import PortableStore, nearest_first
from perfgate.records.store import PORTABLE, Store
from perfgate.shared.command import command
from perfgate.shared.errors import UserError
from perfgate.shared.metrics import metric
from perfgate.system.locks import DeviceLock


@dataclass(frozen=True)
class Stored:
    """A summary of the baselines of one machine, or of one pair of versions.

    Attributes:
        name: name of the machine or the pair.
        cases: the number of cases with a baseline.
        young: the number of cases with times that are not gated yet.
        sessions: number of different sessions among their launches.
        launches: number of launches of all cases.
        others: names of other machines, or other pairs, that have baselines.
    """

    name: str
    cases: int
    young: int
    sessions: int
    launches: int
    others: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return asdict(self)


def stored(store: Store, name: str) -> Stored:
    """Read all baselines of a store, and summarize them under a name.

    Raises:
        UserError: a file is damaged.
    """
    found: list[Baseline] = []
    for path in sorted(store.folder.rglob("*.json")):
        found += load_file(path, store.root).values()
    launches = [launch for baseline in found for launch in baseline.launches]
    siblings = store.folder.parent
    names = sorted(path.name for path in siblings.iterdir() if path.is_dir()) if siblings.is_dir() else []
    others = tuple(other for other in names if other not in (PORTABLE, store.folder.name))
    sessions = len({launch.session for launch in launches})
    return Stored(name, len(found), sum(map(is_young, found)), sessions, len(launches), others)


def is_young(baseline: Baseline) -> bool:
    """Whether any time of a baseline has too few launches or sessions to be gated."""
    times = [baseline.values(name) for name in baseline.metrics if metric(name).needs_sessions]
    return any(
        len(values) < MIN_BASELINE_SESSIONS or sum(map(len, values.values())) < MIN_BASELINE_LAUNCHES
        for values in times
    )


def baselines(here: Stored, pair: Stored) -> Iterator[Finding]:
    """Findings about the baselines that a run on this machine is compared with."""
    suite = command() if "PERFGATE_COMMAND" in os.environ else f"{command()} perf_tests"
    if not here.cases:
        has = f"; there are some for {', '.join(here.others)}" if here.others else ""
        yield Finding(
            "baselines",
            "note",
            f"No baselines for {here.name}{has}. Until some are stored, no measured number can fail a case.",
            f"{suite} --perf-update new",
        )
    else:
        size = f"{counted(here.cases, 'case')} for {here.name}: {counted(here.launches, 'launch', 'launches')}"
        text = f"{size} from {counted(here.sessions, 'session')}"
        if here.young:
            needed = f"{MIN_BASELINE_LAUNCHES} launches from {MIN_BASELINE_SESSIONS} sessions"
            text += f"; {counted(here.young, 'case')} with times that are not gated yet ({needed} are needed)"
        more = f"{suite} --perf-update more" if here.young else ""
        yield Finding("baselines", "note" if here.young else "ok", f"{text}.", more)
    if not pair.cases:
        nearest = next(iter(nearest_first(list(pair.others), pair.name)), "")
        held = f"; cases are held against those of {nearest}" if nearest else ""
        text = f"No exact metrics stored for {pair.name}{held}."
        yield Finding("baselines", "note", text, f"{suite} --perf-device none --perf-update new")
    else:
        yield Finding("baselines", "ok", f"Exact metrics of {counted(pair.cases, 'case')} for {pair.name}.")


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun, in the singular or the plural."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def locks() -> Finding:
    """A finding on whether runs on this machine can wait for each other; it tries a lock of its own, not a device's."""
    try:
        with DeviceLock("doctor").exclusive():
            return Finding("locks", "ok", "Runs that share a device wait for each other.")
    except Exception as error:
        text = f"Locks cannot be taken ({error}), so no timed pass can start."
        return Finding("locks", "problem", text, "export TMPDIR=DIR (a folder that you can write to)")


def open_stores(root: Path, machine: str, pair: str) -> tuple[Stored, Stored, list[Finding]]:
    """Summaries of a machine's baselines and of a pair's, and a problem for each damaged file."""
    found, problems = [], []
    for store, name in ((Store(root, machine), machine), (PortableStore(root, pair), pair)):
        try:
            found.append(stored(store, name))
        except UserError as error:
            found.append(Stored(name, 0, 0, 0, 0, ()))
            problems.append(Finding("baselines", "problem", f"{error}."))
    return found[0], found[1], problems
