"""The run file: everything that one run measured and decided, one JSON object a line. Reports read nothing else."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfgate.records.launch import Launch
from perfgate.records.runfile_lines import SCHEMA, check_header, check_launch, check_verdict, check_workload, parse
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError
from perfgate.system.claims import abandoned, claimed
from perfgate.system.git import git_state

CLAIM = ".claim"


@dataclass(frozen=True)
class RunFile:
    """The contents of a run file.

    Attributes:
        header: the first line.
        workloads: the ``workload`` lines by case; lines without a case by the workload's hash.
        launches: all launches, in the file's order.
        verdicts: all verdicts, in the file's order.
        others: lines of other kinds, as they are.
    """

    header: Mapping[str, Any]
    workloads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    launches: tuple[Launch, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    others: tuple[Mapping[str, Any], ...] = ()

    def by_case(self, side: str = "candidate") -> dict[str, list[Launch]]:
        """The launches of one side, grouped by case.

        Duets that confirmed a stored time are left out: their times do not mix with those of launches by themselves.
        """
        groups: dict[str, list[Launch]] = {}
        for launch in self.launches:
            if launch.side == side and not launch.details.turns.confirms:
                groups.setdefault(launch.case, []).append(launch)
        return groups

    def tolerances(self) -> dict[str, dict[str, float]]:
        """The tolerances that cases set for themselves, by case and metric."""
        lines = [line for line in self.workloads.values() if line.get("case") and line.get("tolerance")]
        return {line["case"]: line["tolerance"] for line in lines}


def check_writable(folder: Path) -> None:
    """Refuse a folder for run files that cannot be made or written, before anything is measured.

    Raises:
        UserError: naming the folder, and the option that names another one.
    """
    there = next(place for place in (folder, *folder.resolve().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: run files cannot be written there; name another folder with --perf-output DIR")


def make_folder(folder: Path) -> None:
    """Make a folder for run files, which git leaves alone; one that is there already stays as it is."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("# What runs of Perfgate wrote.\n*\n", encoding="utf-8")


@contextmanager
def claim(folder: Path, run_id: str) -> Iterator[None]:
    """Keep a run's parts from being taken for those of a run that was killed; clears away what such runs left.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        make_folder(folder)
        clear_away(folder)
        with claimed(folder / f"{run_id}{CLAIM}"):
            yield
    except OSError as error:
        raise UserError(f"{folder}: run files cannot be written there: {error.strerror}") from None


def clear_away(folder: Path) -> None:
    """Delete the parts of runs that were killed before they could make a run file of them."""
    for path in folder.glob(f"*{CLAIM}"):
        if abandoned(path):
            for part in folder.glob(f"{path.name.removesuffix(CLAIM)}.*.part"):
                part.unlink(missing_ok=True)
            path.unlink(missing_ok=True)


class Writer:
    """Appends lines to a run file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            make_folder(path.parent)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{self.path}: the run file cannot be written: {error.strerror}") from None

    def write(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Append lines.

        Raises:
            UserError: the disk is full, or the file cannot be written.
        """
        try:
            for line in lines:
                self._file.write(json.dumps(line, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise UserError(f"{self.path}: the run file cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self._file.close()


def new_header(
    run_id: str,
    created: str,
    folder: Path,
    machine: Mapping[str, Any],
    options: Mapping[str, Any],
    sides: Mapping[str, Any],
) -> dict[str, Any]:
    """The first line of a run file.

    Args:
        run_id: names the run.
        created: when it began, ISO 8601 in UTC.
        folder: of the code under test, whose git commit is written down.
        machine: that the launches ran on; it has a ``name``.
        options: of the run.
        sides: ``software`` of the code under test; ``candidate``, its interpreter where that is not pytest's; and
            ``reference``, that it was held against.
    """
    commit, dirty = git_state(folder)
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "created": created,
        "commit": commit,
        "dirty": dirty,
        "machine": dict(machine),
        "options": dict(options),
        **sides,
    }


def merge(target: Path, header: Mapping[str, Any], parts: Iterable[Path]) -> None:
    """Write a run file from a header and the lines of several parts, sorted by case, and delete the parts."""
    parts = sorted(parts)
    # Text after the last newline is an incomplete line, whose writer was killed.
    lines = last_attempts(part.read_text(encoding="utf-8").split("\n")[:-1] for part in parts)
    lines.sort(key=lambda line: json.loads(line).get("case", ""))
    temporary = target.with_suffix(".tmp")
    try:
        make_folder(target.parent)
        temporary.write_text("\n".join([json.dumps(header, allow_nan=False), *lines]) + "\n", encoding="utf-8")
        temporary.replace(target)
    except OSError as error:
        raise UserError(f"{target}: the run file cannot be written: {error.strerror}") from None
    for part in parts:
        part.unlink()


def last_attempts(parts: Iterable[Iterable[str]]) -> list[str]:
    """The lines of all parts; of a case that was run again, as other plugins do, those of the last time alone.

    A case's lines are written together, and its ``case`` line comes last. Lines without one stay where the case has no
    whole attempt at all.
    """
    whole: dict[str, tuple[float, list[str]]] = {}
    loose: dict[str, list[str]] = {}
    for part in parts:
        begun: dict[str, list[str]] = {}
        for line in part:
            found = json.loads(line)
            case, ended = found.get("case", ""), found.get("ended", 0.0)
            begun.setdefault(case, []).append(line)
            if found.get("kind") == "case":
                attempt = begun.pop(case)
                if case not in whole or ended >= whole[case][0]:
                    whole[case] = ended, attempt
        for case, lines in begun.items():
            loose.setdefault(case, []).extend(lines)
    kept = {case: lines for case, lines in loose.items() if case not in whole}
    return [line for lines in (*kept.values(), *(lines for _, lines in whole.values())) for line in lines]


def read(path: str | Path) -> RunFile:
    """Read and check a run file.

    Raises:
        UserError: the file is damaged; the message has the file, the line, the key and what to do.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such run file; a run writes one below its --perf-output folder") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name the run file (*.jsonl) in it") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not text; a run file is JSON lines in UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    lines = text.removesuffix("\n").split("\n") if text else []
    if not lines:
        raise UserError(f"{path}: is empty; a run file begins with a line of schema {SCHEMA!r}")
    numbered = [
        (number, parse(path, number, line, number == len(lines)))
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    header = check_header(path, numbered[0][1] if numbered else None)
    workloads: dict[str, Mapping[str, Any]] = {}
    launches: list[Launch] = []
    verdicts: list[Verdict] = []
    others: list[Mapping[str, Any]] = []
    for number, line in numbered[1:]:
        where = f"{path}: line {number}"
        kind = line.get("kind", "launch")
        if kind == "launch":
            launches.append(Launch.from_json(check_launch(where, line)))
        elif kind == "workload":
            check_workload(where, line)
            workloads[line.get("case") or line["workload"]] = line
        elif kind == "verdict":
            check_verdict(where, line)
            verdicts.append(Verdict.from_json(line))
        else:
            others.append(line)
    return RunFile(header, workloads, tuple(launches), tuple(verdicts), tuple(others))
