"""The run file: everything that one run measured and decided, one JSON object a line. Reports read nothing else."""

import json
import shlex
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from perfgate.records.launch import NEEDED, Launch
from perfgate.records.verdict import Name, Verdict
from perfgate.shared.errors import UserError
from perfgate.shared.metrics import PassName, metric
from perfgate.system.git import git_state

SCHEMA = "perfgate.run/1"
HEADER_KEYS: dict[str, type] = {
    "run_id": str, "created": str, "machine": dict, "software": dict, "options": dict,
}  # fmt: skip
WORKLOAD_KEYS = ("workload", "spec", "technique", "setting", "model", "vanilla")
VERDICT_KEYS = ("case", "metric", "verdict")


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


def make_folder(folder: Path) -> None:
    """Make a folder for run files, which git leaves alone; one that is there already stays as it is."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("# What runs of Perfgate wrote.\n*\n", encoding="utf-8")


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


def parse(path: Path, number: int, line: str, last: bool) -> dict[str, Any]:
    """Read one line as a JSON object."""
    try:
        value = json.loads(line, parse_constant=lambda name: refuse_constant(path, number, name))
    except RecursionError:
        raise UserError(f"{path}: line {number} is nested too deeply; this is not a run file") from None
    except ValueError as error:
        if last and number > 1:
            raise UserError(
                f"{path}: line {number}, the last one, is cut off; remove it with sed -i '$d' {shlex.quote(str(path))} "
                "to use the launches before it"
            ) from None
        raise UserError(
            f"{path}: line {number} is not JSON ({error}); this is not a run file, or it is damaged"
        ) from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: line {number} is not a JSON object; this is not a run file")
    if "\\ud" in line.lower():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise UserError(f"{path}: line {number} holds half a surrogate pair, which is no Unicode") from None
    return value


def refuse_constant(path: Path, number: int, name: str) -> None:
    """Refuse NaN and infinity, which are neither JSON nor measurements.

    Raises:
        UserError: always.
    """
    raise UserError(f"{path}: line {number} holds {name}; remove that launch or measure it again")


def check_header(path: Path, line: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Check the first line."""
    if not line or line.get("schema") != SCHEMA:
        found = line.get("schema") if line else None
        raise UserError(f"{path}: line 1: key 'schema' is {found!r}, this perfgate reads {SCHEMA!r}")
    for key, kind in HEADER_KEYS.items():
        if not isinstance(line.get(key), kind):
            raise UserError(f"{path}: line 1: key {key!r} is missing or not of type {kind.__name__}")
    if not isinstance(line["machine"].get("name"), str):
        raise UserError(f"{path}: line 1: key 'machine.name' is missing")
    return line


def require(where: str, line: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Refuse a line that lacks a key."""
    for key in keys:
        if key not in line:
            raise UserError(f"{where}: key {key!r} is missing")


def check_workload(where: str, line: Mapping[str, Any]) -> None:
    """Check the keys of a workload's line that reports read."""
    require(where, line, WORKLOAD_KEYS)
    kinds = {"workload": str, "spec": dict, "setting": dict, "vanilla": str | None}
    for key, kind in {**kinds, "case": str | None, "tolerance": dict | None}.items():
        if not isinstance(line.get(key), kind):
            raise UserError(f"{where}: key {key!r} has the value {line[key]!r}, which is of the wrong type")
    for name, value in (line.get("tolerance") or {}).items():
        check_numbers(f"{where}: key 'tolerance': metric {name!r}", value, positive=True)


def check_verdict(where: str, line: Mapping[str, Any]) -> None:
    """Check the keys of a verdict's line that reports read."""
    require(where, line, VERDICT_KEYS)
    for key in ("case", "metric"):
        if not isinstance(line[key], str):
            raise UserError(f"{where}: key {key!r} is of the wrong type")
    if line["verdict"] not in get_args(Name):
        raise UserError(f"{where}: key 'verdict' is {line['verdict']!r}; it is one of {', '.join(get_args(Name))}")
    for key in ("change", "low", "high", "smallest_detectable", "reference", "candidate", "tolerance"):
        if line.get(key) is not None:
            check_numbers(f"{where}: key {key!r}", line[key], positive=False)


def check_launch(where: str, line: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check one launch's keys and numbers."""
    require(where, line, NEEDED)
    for key, kinds in (
        ("case", str),
        ("workload", str),
        ("launch", int),
        ("pair", int | None),
        ("invalid", str | None),
    ):
        if not isinstance(line[key], kinds) or isinstance(line[key], bool):
            raise UserError(f"{where}: key {key!r} has the value {line[key]!r}, which is of the wrong type")
    if line["side"] not in ("candidate", "reference"):
        raise UserError(f"{where}: key 'side' is {line['side']!r}; it is 'candidate' or 'reference'")
    if line.get("pass") not in (None, *get_args(PassName)):
        raise UserError(f"{where}: key 'pass' is {line['pass']!r}; it is one of {', '.join(get_args(PassName))}")
    if not isinstance(line.get("details") or {}, dict):
        raise UserError(f"{where}: key 'details' is not an object")
    if not isinstance(line["metrics"], dict):
        raise UserError(f"{where}: key 'metrics' is not an object")
    for name, value in line["metrics"].items():
        check_numbers(f"{where}: metric {name!r}", value, positive=not metric(name).may_be_zero)
    if line["yardstick_s"] is not None:
        if not isinstance(line["yardstick_s"], list):
            raise UserError(f"{where}: key 'yardstick_s' is neither a list nor null")
        check_numbers(f"{where}: key 'yardstick_s'", line["yardstick_s"], positive=True)
    return line


def check_numbers(where: str, value: Any, positive: bool) -> None:
    """Check that a value, or each value in a list, is a finite number, and above 0 if it is a time or a size."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UserError(f"{where} is an empty list")
    for number in values:
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= sys.float_info.max:
            raise UserError(f"{where} holds {number!r}, which is not a finite number")
        if positive and number <= 0:
            raise UserError(f"{where} holds {number!r}; a time or a size is above 0")
