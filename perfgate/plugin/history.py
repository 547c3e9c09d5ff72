"""Adds a run to the history that the ini file names (``--perf-history add``)."""

from pathlib import Path
from typing import TYPE_CHECKING

from perfgate.gate.wording import are, many
from perfgate.shared.credentials import concealed
from perfgate.shared.errors import UserError
from perfgate.system.git import git_state

if TYPE_CHECKING:
    from perfgate.records.runfile import RunFile


def check_history(url: str, folder: Path) -> None:
    """Refuse, before anything is measured, a run that cannot be added to the history.

    Args:
        url: the URL of the history; empty if the run is not added to one.
        folder: the folder of the code under test.

    Raises:
        UserError: the folder has no commit or uncommitted changes, or the history cannot be opened.
    """
    if not url:
        return
    from perfgate.history.store import Store

    commit, dirty = git_state(folder)
    if not commit or dirty:
        why = "holds changes that were not committed" if commit else "is in no git repository with a commit"
        raise UserError(f"--perf-history add: {folder} {why}, and a history needs a commit that one can return to")
    Store(url)


def keep(run_file: Path, run: "RunFile", url: str) -> str:
    """Add a run to the history, and return a sentence about it.

    Raises:
        UserError: it cannot be added. The run file stays, so ``perfgate history add`` can keep it later.
    """
    from perfgate.history.points import points_of, run_of
    from perfgate.history.store import Store

    points = list(points_of(run))
    try:
        new = Store(url).add(run_of(run), points)
    except UserError as error:
        raise UserError(
            f"the run is not in the history: {error}; keep it later with: perfgate history add {run_file} --to {url}"
        ) from None
    if not new:
        return "History: this run measured nothing that is gated, so nothing of it is kept."
    place = concealed(url)
    moved = f"perfgate history changes --from {place}"
    kept = f"{many(len(points), 'point')} of this run {are(len(points))} kept at {place}"
    return f"History: {kept}. What moved: {moved}"
