"""Reads baselines from a folder, or from that folder at a git revision, and updates them."""

import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import Timeout

from perfgate.records.baseline_files import case_file, check_inside, dump, load_file
from perfgate.records.baselines import Baseline
from perfgate.shared.errors import UserError
from perfgate.system.file_locks import by_flock, folder_lock
from perfgate.system.git import archive
from perfgate.system.temporary import temporary_folder

LOCK_TIMEOUT_S = 60.0
MERGE_RULE = "# Each line names its case, so a merge may keep the lines of both sides.\n*.json merge=union\n"
PORTABLE = "portable"


class Store:
    """The baselines of one machine.

    Args:
        root: the folder with the baselines of all machines; it need not exist.
        machine: the machine's name.
    """

    def __init__(self, root: Path, machine: str) -> None:
        self.root = root
        self.folder = root / machine
        self._files: dict[str, dict[str, Baseline]] = {}

    def get(self, case: str) -> Baseline | None:
        """The baseline of a case, or ``None``.

        Raises:
            UserError: the case's file is damaged.
        """
        name = case_file(case)
        if name not in self._files:
            self._files[name] = load_file(self.folder / name, self.root)
        return self._files[name].get(case)

    def check_writable(self) -> None:
        """Check, before anything is measured, that baselines can be written.

        Raises:
            UserError: they cannot.
        """
        check_inside(self.folder, self.root)
        with self._writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder) as file:
                file.write(b"\0" * 4096)
                by_flock(Path(file.name))

    def put(self, moved: Mapping[str, Baseline], machine: Mapping[str, Any], software: Mapping[str, str]) -> None:
        """Write baselines, each file in one piece and under a lock.

        Baselines that other runs stored in the meantime are kept. If two runs measured the same case, it keeps the
        launches of both, unless one of the runs replaced it.

        Raises:
            UserError: a file cannot be read or written. Earlier files are stored then, and this file is unchanged.
        """
        names = sorted({case_file(case) for case in moved})
        with self._writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            if not (self.root / ".gitattributes").exists():
                write_whole(self.root / ".gitattributes", MERGE_RULE)
            if not (self.root / ".gitignore").exists():
                write_whole(self.root / ".gitignore", ".lock\n")
        for name in names:
            path = self.folder / name
            check_inside(path, self.root)
            with self._writing(path), locked(self.folder):
                path.parent.mkdir(parents=True, exist_ok=True)
                cases = load_file(path, self.root)
                before = self._files.get(name, {})
                for case, baseline in moved.items():
                    if case_file(case) == name:
                        cases[case] = merged(before.get(case), cases.get(case), baseline)
                write_whole(path, dump(cases, machine, software))
                self._files[name] = cases

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"{path}: baselines cannot be stored: {error.strerror or error}; "
                "what was stored before is untouched. Make room or name another folder with --perf-baselines DIR"
            ) from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs from writing the baselines of one machine within the block.

    Raises:
        OSError: the folder cannot be written.
        UserError: another run has held the lock for too long, or no lock holds there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder_lock(folder, LOCK_TIMEOUT_S)
    try:
        with lock:
            yield
    except Timeout:
        raise UserError(
            f"{lock.lock_file}: another run has held the lock for {LOCK_TIMEOUT_S:g} s; try again, or remove the file "
            "if that run is gone"
        ) from None


def merged(before: Baseline | None, present: Baseline | None, moved: Baseline) -> Baseline:
    """Combine a new baseline with changes that another run stored in the meantime.

    Args:
        before: the baseline as this run read it.
        present: the baseline as it is stored now.
        moved: the new baseline that this run made from ``before``.
    """
    if present is None or present == before or present.workload != moved.workload:
        return moved
    old = {launch.session for launch in before.launches} if before else set()
    if old and not old & {launch.session for launch in present.launches}:
        # Another run has replaced the baseline, so the replaced launches must not come back.
        return present.with_session(launch for launch in moved.launches if launch.session not in old)
    known = {launch.session for launch in (*moved.launches, *(before.launches if before else ()))}
    others = [launch for launch in present.launches if launch.session not in known]
    return moved.with_session(others)


def write_whole(path: Path, text: str) -> None:
    """Write a file in one piece: readers see either the old text or the whole new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def open_root(location: str, rootdir: Path) -> Iterator[Path]:
    """The folder of baselines.

    Args:
        location: ``DIR``, or ``git:REV`` for ``baselines/`` at a git revision.
        rootdir: the folder that ``DIR`` is relative to, in the git repository.

    Raises:
        UserError: the revision does not exist or has no baselines.
    """
    if not location.startswith("git:"):
        yield rootdir / location
        return
    revision = location.removeprefix("git:")
    try:
        packed = archive(rootdir, revision, "baselines")
    except FileNotFoundError:
        raise UserError(f"--perf-baselines {location}: git is not installed; name a folder instead") from None
    except UserError as error:
        raise UserError(f"--perf-baselines {location}: git has no baselines/ there: {error}") from None
    with temporary_folder("perfgate-baselines-") as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as files:
            try:
                files.extractall(folder, filter="data")
            except tarfile.TarError as error:
                raise UserError(f"--perf-baselines {location}: {error}; remove that link") from None
        yield folder / "baselines"
