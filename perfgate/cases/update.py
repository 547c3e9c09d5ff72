"""Stores a run's measurements as baselines, as its update mode allows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfgate.cases.calibration import by_case, pooled
from perfgate.cases.noise_file import read_noise, write_noise
from perfgate.gate.noise import Noise, fit
from perfgate.gate.verdicts import MIN_BASELINE_LAUNCHES, MIN_BASELINE_SESSIONS
from perfgate.records.baselines import Baseline
from perfgate.records.clocks import Clock
from perfgate.records.launch import Launch
from perfgate.records.moved_baseline import leaves_times, moved_baseline
from perfgate.records.portable import PortableStore, pair_of, split
from perfgate.records.runfile import RunFile
from perfgate.records.store import Store
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import metric
from perfgate.shared.parsing import read_until
from perfgate.system.git import user_of


@dataclass(frozen=True)
class Update:
    """The result of storing baselines.

    Attributes:
        stored: ids of the cases with stored metrics.
        left: the other cases, each with the reason as a clause.
        young: for cases whose stored times are not gated yet, the numbers of launches and sessions.
    """

    stored: tuple[str, ...] = ()
    left: Mapping[str, str] = field(default_factory=dict)
    young: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def update_baselines(
    run: RunFile, root: Path, mode: str, reason: str, passed: Collection[str], unfit: Mapping[str, str]
) -> Update:
    """Store the metrics that the mode allows, of cases that passed.

    Args:
        run: the run, as read from its run file.
        root: the folder of all machines' baselines.
        mode: ``new``, ``improved``, ``more`` or ``all``.
        reason: why baselines change; empty if the mode needs no reason.
        passed: ids of the cases that passed in pytest, in all phases.
        unfit: the reason why each other case did not pass, if known.

    Raises:
        UserError: a baseline file cannot be read or written.
    """
    header = run.header
    stores = stores_of(run, root)
    about: dict[str, Any] = {
        "session": header["run_id"],
        "commit": header.get("commit") or "",
        "date": header["created"],
        "reason": reason,
        "software": header["software"],
    }
    if mode == "all":
        about |= {"by": user_of(root), "until": read_until("the reason", reason)}
    # Exact metrics are equal in every session, so more sessions add nothing.
    modes = {False: mode, True: "new" if mode == "more" else mode}
    stored: set[str] = set()
    left: dict[str, str] = {}
    cases = stored_kind(run)
    for exact, where in stores.items():
        moved: dict[str, Baseline] = {}
        for case, launches in cases.items():
            if case not in passed:
                left[case] = unfit.get(case, "it did not pass, or measured nothing the last time that it ran")
                continue
            chosen = split(launches)[exact]
            about["surroundings"] = {} if exact else run.workloads.get(case, {}).get("surroundings", {})
            verdicts = [v for v in run.verdicts if v.case == case and metric(v.metric).portable == exact]
            baseline = moved_baseline(modes[exact], case, chosen, verdicts, where.get(case), about)
            if baseline is not None:
                moved[case] = baseline
            elif chosen:
                untimed = leaves_times(chosen, where.get(case))
                left.setdefault(case, TIMES_STAND if untimed else why_left(modes[exact], verdicts))
        if moved:
            about_machine = {"name": where.folder.name} if exact else header["machine"]
            where.put(moved, about_machine, header["software"])
        stored |= set(moved)
    store_noise(run, stores[False])
    rest = {case: left.get(case, NOTHING) for case in cases if case not in stored or left.get(case) == TIMES_STAND}
    whole = tuple(case for case in cases if case not in rest)
    return Update(whole, rest, young_cases(cases, stores[False]))


NOTHING = "nothing that is stored was measured"
TIMES_STAND = (
    "its stored times were not taken again, so all that is stored of it here stays; leave out --perf-launches 0"
)


def stores_of(run: RunFile, root: Path) -> dict[bool, Store]:
    """A run's stores: its machine's for times and sizes (``False``), its versions' for exact metrics (``True``)."""
    header = run.header
    return {False: Store(root, header["machine"]["name"]), True: PortableStore(root, pair_of(header["software"]))}


def stored_kind(run: RunFile) -> dict[str, list[Launch]]:
    """The storable launches of each case.

    Effects are left out, because they are compared with vanilla and not with the past.
    """
    effects = {verdict.case for verdict in run.verdicts if verdict.expected}
    return {case: launches for case, launches in run.by_case().items() if case not in effects}


def why_left(mode: str, verdicts: Sequence[Verdict]) -> str:
    """The reason why nothing of a passed case was stored, as a clause."""
    named = {verdict.verdict: verdict for verdict in reversed(verdicts)}
    if invalid := named.get("invalid"):
        return f"it could not be measured: {invalid.why}"
    if better := mode == "more" and named.get("improved"):
        return f"{better.metric} got better, which --perf-update improved stores"
    return "nothing in it got better" if mode == "improved" else "nothing in it is new"


def young_cases(cases: Iterable[str], store: Store) -> dict[str, tuple[int, int]]:
    """The numbers of stored launches and sessions of each case whose times are not gated yet."""
    found: dict[str, tuple[int, int]] = {}
    for case in cases:
        if baseline := store.get(case):
            times = [baseline.values(name) for name in baseline.metrics if metric(name).needs_sessions]
            counts = [(sum(map(len, sessions.values())), len(sessions)) for sessions in times]
            few = [each for each in counts if each[0] < MIN_BASELINE_LAUNCHES or each[1] < MIN_BASELINE_SESSIONS]
            found |= {case: min(few)} if few else {}
    return found


def store_noise(run: RunFile, store: Store) -> None:
    """Store the noise learned from a run's effects, if it rests on more cases than the stored noise."""
    if found := learned(run):
        noise, clock = found
        if read_noise(store.folder).on(clock).cases < noise.cases:
            write_noise(store.folder, noise, clock)


def learned(run: RunFile) -> tuple[Noise, Clock] | None:
    """Learn the noise and its clock from the duets of a run's effects; ``None`` if there are too few.

    Vanilla and setting differ by the same amount in each duet, so the spread around the mean is the machine's noise.
    """
    effects = {verdict.case for verdict in run.verdicts if verdict.expected}
    found = by_case(launch for launch in run.launches if launch.case in effects)
    spreads = [pooled(levels.values()) for levels in found.duets.values()]
    noise = fit(spreads, run.header["machine"]["name"], run.header["created"])
    return (noise, found.clock.clock or "wall") if noise.df else None
