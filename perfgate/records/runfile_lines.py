"""The lines of a run file: the keys and the values that each kind of line must have."""

import json
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from perfgate.records.launch import NEEDED, Side
from perfgate.records.verdict import Name
from perfgate.shared.errors import UserError
from perfgate.shared.metric import PassName
from perfgate.shared.metrics import is_ways, metric

SCHEMA = "perfgate.run/1"
HEADER_KEYS: dict[str, type] = {
    "run_id": str, "created": str, "machine": dict, "software": dict, "options": dict,
}  # fmt: skip
WAYS = "ways"  # the header's key for metrics that were not measured in the first way
STOPPED = "stopped"  # the header's key for pytest's exit code, if it ended before its last case
LINES = "lines"  # the key in a case's last line with the number of the case's lines
WORKLOAD_KEYS = ("workload", "spec", "technique", "setting", "model", "vanilla")
VERDICT_KEYS = ("case", "metric", "verdict")
TRACE_KEYS = ("case", "side", "file", "why")
SIDES, PASSES, VERDICTS = get_args(Side), get_args(PassName), get_args(Name)
LARGEST = sys.float_info.max
TRACE_FILE = re.compile(r"\w[\w.-]*/\w[\w.-]*\.json\.gz", re.ASCII)  # the page links to such files and to nothing else


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn every error in reading a run file into one sentence, within the block.

    Raises:
        UserError: naming the file.
    """
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such run file; a run writes one below its --perf-output folder") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name the run file (*.jsonl) in it") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not text; a run file is JSON lines in UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn every error in writing a run file into one sentence, within the block.

    Raises:
        UserError: naming the file.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: the run file cannot be written: {error.strerror}") from None


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
    if "\\ud" in line or "\\uD" in line:
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
    if not is_ways(line.get(WAYS, {})):
        raise UserError(f"{path}: line 1: key {WAYS!r} is not an object of whole numbers from 1")
    return line


def check_line(where: str, line: Mapping[str, Any]) -> str:
    """Check a line after the first one by the rules of its kind; returns the kind. Unknown kinds are not checked."""
    kind = str(line.get("kind", "launch"))
    checks = {"launch": check_launch, "workload": check_workload, "verdict": check_verdict, "trace": check_trace}
    if kind in checks:
        checks[kind](where, line)
    return kind


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
    if line["verdict"] not in VERDICTS:
        raise UserError(f"{where}: key 'verdict' is {line['verdict']!r}; it is one of {', '.join(VERDICTS)}")
    for key in ("change", "low", "high", "smallest_detectable", "reference", "candidate", "tolerance"):
        if line.get(key) is not None:
            check_numbers(f"{where}: key {key!r}", line[key], positive=False)


def check_trace(where: str, line: Mapping[str, Any]) -> None:
    """Check the keys of a trace's line."""
    require(where, line, TRACE_KEYS)
    if line["side"] not in SIDES or not all(isinstance(line[key], str) for key in TRACE_KEYS):
        raise UserError(f"{where}: a trace needs text for {', '.join(TRACE_KEYS)}, and a side that is one of {SIDES}")
    if line["file"] and not TRACE_FILE.fullmatch(line["file"]):
        raise UserError(f"{where}: key 'file' is {line['file']!r}; a trace lies in a folder beside its run file")


def check_launch(where: str, line: Mapping[str, Any]) -> None:
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
    if line["side"] not in SIDES:
        raise UserError(f"{where}: key 'side' is {line['side']!r}; it is 'candidate' or 'reference'")
    if line.get("pass") not in (None, *PASSES):
        raise UserError(f"{where}: key 'pass' is {line['pass']!r}; it is one of {', '.join(PASSES)}")
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


def check_numbers(where: str, value: Any, positive: bool) -> None:
    """Check that a value, or each value in a list, is a finite number, and above 0 if it is a time or a size."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UserError(f"{where} is an empty list")
    if {*map(type, values)} <= {int, float} and (0 if positive else -LARGEST) < min(values) <= max(values) <= LARGEST:
        return  # a file can hold millions of numbers, nearly all of them right; the loop runs only to name a wrong one
    for number in values:
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= LARGEST:
            raise UserError(f"{where} holds {number!r}, which is not a finite number")
        if positive and number <= 0:
            raise UserError(f"{where} holds {number!r}; a time or a size is above 0")
