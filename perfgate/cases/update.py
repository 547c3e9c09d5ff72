"""Store what a run measured as baselines, as far as its update mode allows."""

from pathlib import Path

from perfgate.cases.calibration import by_case, pooled
from perfgate.cases.noise_file import read_noise, write_noise
from perfgate.gate.noise import Noise, fit
from perfgate.records.baselines import Baseline
from perfgate.records.clocks import Clock
from perfgate.records.portable import PortableStore, pair_of
from perfgate.records.runfile import RunFile
from perfgate.records.store import Store, moved_baseline
from perfgate.shared.metrics import metric


def update_baselines(run: RunFile, root: Path, mode: str, reason: str) -> int:
    """Store what the mode allows; returns how many cases moved.

    Args:
        run: read back from its run file.
        root: folder of all machines' baselines.
        mode: ``new``, ``improved``, ``more`` or ``all``.
        reason: why baselines move; empty where no reason is asked for.

    Raises:
        UserError: a baseline file cannot be read or written.
    """
    header = run.header
    store = Store(root, header["machine"]["name"])
    about = {
        "session": header["run_id"],
        "commit": header.get("commit") or "",
        "date": header["created"],
        "reason": reason,
    }
    portable = PortableStore(root, pair_of(header["software"]))
    # Exact metrics are the same in every session, so further sessions add nothing.
    modes = {False: mode, True: "new" if mode == "more" else mode}
    count = set()
    for exact, where in ((False, store), (True, portable)):
        moved: dict[str, Baseline] = {}
        for case, launches in run.by_case().items():
            if any(verdict.expected for verdict in run.verdicts if verdict.case == case):
                continue  # an effect is held against vanilla, not against what it was
            chosen = [launch for launch in launches if (launch.pass_name == "dry") == exact]
            verdicts = [v for v in run.verdicts if v.case == case and metric(v.metric).portable == exact]
            baseline = moved_baseline(modes[exact], case, chosen, verdicts, where.get(case), about)
            if baseline is not None:
                moved[case] = baseline
        if moved:
            about_machine = {"name": portable.pair} if exact else header["machine"]
            where.put(moved, about_machine, header["software"])
        count |= set(moved)
    if found := learned(run):
        noise, clock = found
        if read_noise(store.folder).on(clock).cases < noise.cases:
            write_noise(store.folder, noise, clock)
    return len(count)


def learned(run: RunFile) -> tuple[Noise, Clock] | None:
    """Learn the noise from the duets of a run's effects, and name their clock; ``None`` where they are too few.

    Vanilla and setting differ, but by the same in each duet, so the spread around their mean is the machine's.
    """
    found = by_case(run.launches)
    spreads = [pooled(levels.values()) for levels in found.duets.values()]
    noise = fit(spreads, run.header["machine"]["name"], run.header["created"])
    return (noise, found.clock.clock or "wall") if noise.df else None
