"""Move baselines to what a run measured, as its update mode says."""

from pathlib import Path

from perfgate.options import Options
from perfgate.records.baselines import Baseline
from perfgate.records.runfile import Run
from perfgate.records.store import Store, moved_baseline


def update_baselines(run: Run, root: Path, options: Options) -> int:
    """Store what the mode allows; returns how many cases moved.

    Args:
        run: read back from its run file.
        root: folder of all machines' baselines.
        options: with the mode and the reason.

    Raises:
        UserError: a baseline file cannot be read or written.
    """
    header = run.header
    store = Store(root, header["machine"]["name"])
    about = {
        "session": header["run_id"],
        "commit": header.get("commit") or "",
        "date": header["created"],
        "reason": options.reason,
    }
    moved: dict[str, Baseline] = {}
    for case, launches in run.by_case().items():
        verdicts = [verdict for verdict in run.verdicts if verdict.case == case]
        baseline = moved_baseline(options.update or "", case, launches, verdicts, store.get(case), about)
        if baseline is not None:
            moved[case] = baseline
    if moved:
        store.put(moved, header["machine"], header["software"])
    return len(moved)
