"""The run file: everything that one run measured and decided, one JSON object a line. Reports read nothing else."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from perfgate.records.launch import Launch
from perfgate.records.runfile_lines import LINES, SCHEMA, WAYS, check_header, check_line, parse, reading, writing
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError
from perfgate.shared.metrics import ways_now
from perfgate.shared.parsing import load_json
from perfgate.shared.private import no_link, write_no_link
from perfgate.system.claims import abandoned, claimed
from perfgate.system.git import git_state

CLAIM = ".claim"
MAIN = "main"  # the process that makes the run file


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

        Duets that confirmed a stored time are left out: their times cannot be mixed with those of solo launches.
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


def make_folder(folder: Path) -> None:
    """Make a folder for run files that git ignores; an existing folder stays as it is."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("# Files that runs of Perfgate wrote.\n*\n", encoding="utf-8")


@contextmanager
def claim(folder: Path, run_id: str, process: str = MAIN) -> Iterator[None]:
    """Claim a run's parts while the block runs, and delete the parts of killed runs.

    The claim keeps other runs from deleting these parts. At the end the run's own remaining parts are deleted too.

    Args:
        folder: the folder of the run files.
        run_id: the run's id.
        process: the process of the run. Each process that writes a part holds a claim, and so does the one that merges
            them.

    Raises:
        UserError: the folder cannot be made or written; the message names the option for another one.
    """
    with ExitStack() as stack:
        try:
            make_folder(folder)
            clear_away(folder)
            name = run_id if process == MAIN else f"{run_id}.{process}"
            stack.enter_context(claimed(folder / f"{name}{CLAIM}"))
        except OSError:
            named = "name another folder with --perf-output DIR"
            raise UserError(f"{folder}: run files cannot be written there; {named}") from None
        try:
            yield
        finally:
            if process == MAIN:
                remove_parts(folder, run_id)
            elif (folder / f"{run_id}.jsonl").exists() and not (folder / f"{run_id}{CLAIM}").exists():
                # If the run was interrupted and ended before this worker, nobody will merge the worker's lines.
                part_of(folder, run_id, process).unlink(missing_ok=True)


def clear_away(folder: Path) -> None:
    """Delete the parts of runs whose processes all ended without making a run file."""
    claims: dict[str, list[Path]] = {}
    for path in folder.glob(f"*{CLAIM}"):
        claims.setdefault(path.name.partition(".")[0], []).append(path)
    for run_id, paths in claims.items():
        if all(map(abandoned, paths)):
            remove_parts(folder, run_id)
            for path in paths:
                path.unlink(missing_ok=True)


def part_of(folder: Path, run_id: str, process: str) -> Path:
    """The file to which one process of a run writes its lines until the run file is made."""
    return folder / f"{run_id}.{process}.part"


def parts_of(folder: Path, run_id: str) -> list[Path]:
    """The existing parts of a run."""
    return sorted(folder.glob(f"{run_id}.*.part"))


def remove_parts(folder: Path, run_id: str) -> None:
    """Delete a run's parts and its workers' claims."""
    for path in (*parts_of(folder, run_id), *folder.glob(f"{run_id}.*{CLAIM}")):
        path.unlink(missing_ok=True)


class Writer:
    """Appends lines to a run file, and begins it again if somebody removed it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(path):
            self._file = self._open()

    def _open(self) -> TextIO:
        make_folder(self.path.parent)
        return open(self.path, "a", encoding="utf-8", opener=no_link)

    def write(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Append lines.

        Raises:
            UserError: the disk is full, or the file cannot be written.
        """
        with writing(self.path):
            if not self.path.exists():
                self.close()
                self._file = self._open()
            for line in lines:
                self._file.write(json.dumps(line, allow_nan=False) + "\n")
            self._file.flush()

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
    began_at: str = "",
) -> dict[str, Any]:
    """The first line of a run file.

    Args:
        run_id: the run's id.
        created: when it began, ISO 8601 in UTC.
        folder: the folder of the code under test, whose commit is recorded.
        machine: the machine of the launches; it has a ``name``.
        options: the run's options.
        sides: ``software`` of the code under test; ``candidate``, its interpreter if that is not pytest's; and
            ``reference``, the side that it was compared with.
        began_at: the commit when the run began, if known; a run that ends at another commit counts as changed.
    """
    now, dirty = git_state(folder)
    commit = began_at or now
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "created": created,
        "commit": commit,
        "dirty": dirty or commit != now,
        "machine": dict(machine),
        "options": dict(options),
        WAYS: ways_now(),
        **sides,
    }


def merge(target: Path, header: Mapping[str, Any], parts: Iterable[Path]) -> set[str]:
    """Write a run file from a header and the lines of several parts, sorted by case, and delete the parts.

    Returns:
        The cases whose lines were all there.
    """
    parts = sorted(parts)
    # Text after the last newline is an incomplete line, whose writer was killed.
    whole, lines = last_attempts(part.read_bytes().split(b"\n")[:-1] for part in parts)
    lines.sort(key=lambda line: line[0])
    temporary = target.with_suffix(".tmp")
    try:
        with writing(target):
            make_folder(target.parent)
            texts = (text for _, text in lines)
            write_no_link(temporary, "\n".join([json.dumps(header, allow_nan=False), *texts]) + "\n")
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    for part in parts:
        part.unlink()
    return whole


def last_attempts(parts: Iterable[Iterable[bytes]]) -> tuple[set[str], list[tuple[str, str]]]:
    """The lines of all parts, with only the last attempt of each case that another plugin ran again.

    A case's lines are written together, and its ``case`` line comes last and tells how many they are. Lines without
    one stay where the case has no whole attempt at all; an attempt of which lines are missing is left out.

    Returns:
        The cases with a whole attempt; and each line's case, empty if it has none, and its text.
    """
    whole: dict[str, tuple[float, list[str]]] = {}
    loose: dict[str, list[str]] = {}
    for part in parts:
        begun: dict[str, list[str]] = {}
        for raw in part:
            if (found := line_of(raw)) is None:
                continue
            case, ended = str(found.get("case", "")), found.get("ended", 0.0)
            begun.setdefault(case, []).append(raw.decode())
            if found.get("kind") == "case":
                attempt = begun.pop(case)
                if len(attempt) == found.get(LINES, len(attempt)) and (case not in whole or ended >= whole[case][0]):
                    whole[case] = ended, attempt
        for case, lines in begun.items():
            loose.setdefault(case, []).extend(lines)
    kept = [(case, line) for case, lines in loose.items() if case not in whole for line in lines]
    return set(whole), [*kept, *((case, line) for case, (_, lines) in whole.items() for line in lines)]


def line_of(raw: bytes) -> dict[str, Any] | None:
    """A line of a part; ``None`` where something else than a run wrote it."""
    try:
        found = load_json(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def read(path: str | Path) -> RunFile:
    """Read and check a run file.

    Raises:
        UserError: the file is damaged; the message has the file, the line, the key and what to do.
    """
    path = Path(path)
    workloads: dict[str, Mapping[str, Any]] = {}
    launches: list[Launch] = []
    verdicts: list[Verdict] = []
    others: list[Mapping[str, Any]] = []
    with reading(path), path.open("rb") as file:
        numbered = parsed(path, file)
        header = check_header(path, next(numbered, (1, None))[1])
        for number, line in numbered:
            kind = check_line(f"{path}: line {number}", line)
            if kind == "launch":
                launches.append(Launch.from_json(line, header.get(WAYS, {})))
            elif kind == "workload":
                workloads[line.get("case") or line["workload"]] = line
            elif kind == "verdict":
                verdicts.append(Verdict.from_json(line))
            else:
                others.append(line)
    return RunFile(header, workloads, tuple(launches), tuple(verdicts), tuple(others))


def parsed(path: Path, file: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line that is not empty, with its number.

    Raises:
        UserError: a line is not a JSON object of the expected form, or the file is empty.
    """
    number, waiting = 0, None
    for number, line in enumerate(file, 1):
        if waiting is not None and waiting.strip():
            yield number - 1, parse(path, number - 1, waiting, last=False)
        waiting = line.decode("utf-8").removesuffix("\n")
    if waiting is None:
        raise UserError(f"{path}: is empty; a run file begins with a line of schema {SCHEMA!r}")
    if waiting.strip():
        yield number, parse(path, number, waiting, last=True)
