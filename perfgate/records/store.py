"""Reads baselines from a folder, or from that folder at a git revision, and updates them."""

import io
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import Timeout

from perfgate.records.baseline_files import case_file, check_inside, dump, load_file
from perfgate.records.baselines import Baseline, StoredLaunch
from perfgate.records.clocks import is_clocked
from perfgate.records.launch import Launch
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError
from perfgate.shared.metric import FIRST_WAY
from perfgate.shared.metrics import metric
from perfgate.system.file_locks import by_flock, folder_lock
from perfgate.system.git import archive

LOCK_TIMEOUT_S = 60.0
DIGITS = 4  # decimals of stored shares, to keep the file short
MERGE_RULE = "# Each line names its case, so a merge may keep the lines of both sides.\n*.json merge=union\n"
PORTABLE = "portable"
MODES = ("new", "improved", "more", "all")


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


def moved_baseline(
    mode: str,
    case: str,
    launches: Sequence[Launch],
    verdicts: Sequence[Verdict],
    before: Baseline | None,
    run: Mapping[str, Any],
) -> Baseline | None:
    """The new baseline of a case in an update mode; ``None`` if the stored one stays.

    Args:
        mode: ``new`` stores cases and metrics that have no baseline; ``improved`` also replaces the metrics that got
            better, where none got worse; ``more`` stores new cases and adds this session to what is unchanged;
            ``all`` replaces everything that was measured.
        launches: the case's launches in this run.
        verdicts: the verdicts on its metrics.
        before: the stored baseline.
        run: ``session``, ``commit``, ``date``, ``reason`` and ``software`` of this run; perhaps ``surroundings`` of the
            case, and for ``all`` who accepts it (``by``) and ``until`` which day.
    """
    if leaves_times(launches, before):
        return None
    stored = tuple(stored_launches(launches, run))
    names = {verdict.verdict for verdict in verdicts}
    workload = launches[0].workload if launches else before.workload if before else ""
    identity = {"workload": workload, "commit": run["commit"], "date": run["date"]}
    accepted = {key: run.get(key, "") for key in ("reason", "by", "until")}
    lost = {verdict.verdict for verdict in verdicts if verdict.metric == "dry_run"}
    if mode == "all" and lost & {"regressed", "stale"}:
        # The user accepted that the case no longer has a dry run: keep the reason and drop the numbers.
        return Baseline(case, **identity, **accepted, launches=stored)
    if not stored or "invalid" in names:
        return None
    if before is None and mode != "all" and {"stale", "regressed"} & names:
        return None  # such a comparison is with another pair of versions
    if before is None:
        return Baseline(case, **identity, reason=run["reason"] or "first measured", launches=stored)
    others = of_other_pythons(before.launches, stored) if before.workload == workload else []
    if mode == "all":
        return Baseline(case, **identity, **accepted, launches=(*others, *stored))
    if {"stale", "regressed"} & names:
        return None
    better = {verdict.metric for verdict in verdicts if verdict.verdict == "improved"}
    if mode == "improved" and better:
        here = [launch for launch in before.launches if launch not in others]
        kept = (*others, *only(here, set(before.metrics) - better))
        about = {"commit": run["commit"], "date": run["date"], "reason": "improved", "by": "", "until": ""}
        moved = replace(before, **about, launches=kept)
        return moved.with_session(only(stored, better))
    if mode == "more" and not better:
        return before.without_earlier_ways(stored).with_session(stored)
    fresh = {verdict.metric for verdict in verdicts if verdict.verdict == "new"}
    if mode not in ("new", "improved") or not fresh:
        return None
    added = only(stored, fresh)
    return before.without_earlier_ways(added).with_session(added)


def leaves_times(launches: Sequence[Launch], before: Baseline | None) -> bool:
    """Whether the baseline has times and this run has none.

    A baseline stands for the code of the commit that last changed it. If other metrics moved without its times, they
    would stand for code that nobody has timed.
    """
    stored = before is not None and any(is_clocked(name) for name in before.metrics)
    return stored and not any(is_clocked(name) and x.measured(name) for x in launches for name in x.metrics)


def of_other_pythons(before: Iterable[StoredLaunch], now: Iterable[StoredLaunch]) -> list[StoredLaunch]:
    """The stored counts of Python's calls under another Python or device, which a run here cannot replace."""
    measured = {launch.device for launch in now}
    return [launch for launch in before if launch.of_python and launch.device not in measured]


def only(launches: Iterable[StoredLaunch], names: set[str]) -> list[StoredLaunch]:
    """The launches with only the named metrics. Launches that have none of them are left out."""
    found = [launch.with_only(names) for launch in launches]
    return [launch for launch in found if launch.metrics]


def stored_launches(launches: Sequence[Launch], run: Mapping[str, Any]) -> Iterator[StoredLaunch]:
    """The valid launches with their gated metrics, in the form that a baseline stores."""
    for launch in launches:
        if launch.invalid or not any(metric(name).gated_in(launch.pass_name) for name in launch.metrics):
            continue
        wall, processor = launch.on("wall"), launch.on("processor")
        about = (run["session"], launch.server or "", device_of(launch), run["commit"], run["date"])
        found = StoredLaunch(*about, values_of(wall), launch.yardstick, launch.ledger, wall.parts)
        ways = {name: launch.way(name) for name in found.metrics if launch.way(name) != FIRST_WAY}
        found = replace(found, surroundings=run.get("surroundings", {}), ways=ways)
        if found.device != PORTABLE and not found.of_python:
            found = replace(found, software=run.get("software", {}))
        if "clock_mhz" in launch.metrics:
            found = replace(found, clock_mhz=launch.value("clock_mhz"))
        if processor.clock == "processor":
            times = {name: pair for name, pair in values_of(processor).items() if is_clocked(name)}
            waited = None if launch.waited is None else round(launch.waited, DIGITS)
            found = replace(found, processor=times, processor_parts=processor.parts, waited=waited)
            found = replace(found, idle=round(launch.idle, DIGITS))
        yield found


def device_of(launch: Launch) -> str:
    """The device for which a stored launch's numbers hold."""
    if any(metric(name).of_python for name in launch.metrics):
        return launch.details.findings.counted_under
    return PORTABLE if launch.pass_name == "dry" else launch.details.seen.device or "cpu"


def values_of(launch: Launch) -> dict[str, tuple[float, float | None]]:
    """The gated metrics of a launch: each one's value, and its ratio to the yardstick."""
    names = [name for name in launch.metrics if metric(name).gated_in(launch.pass_name)]
    return {name: (launch.value(name), launch.in_yardsticks(name)) for name in names}


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
    with tempfile.TemporaryDirectory(prefix="perfgate-baselines-") as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as files:
            try:
                files.extractall(folder, filter="data")
            except tarfile.TarError as error:
                raise UserError(f"--perf-baselines {location}: {error}; remove that link") from None
        yield Path(folder) / "baselines"
