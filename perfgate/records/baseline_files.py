"""The files of baselines: each holds what the cases of one test file measured on one machine.

A file is JSON with one row a line, and every row names its case: first the case's own row, then one row for each
launch. A new session therefore appears as added lines in a diff, and a merge that keeps the lines of both sides
(``merge=union``, set in the folder's ``.gitattributes``) never mixes two cases.
"""

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from perfgate.records.baselines import Baseline, StoredLaunch
from perfgate.shared.errors import UserError
from perfgate.shared.metrics import is_ways, metric

SCHEMA = "perfgate.baseline/1"
CASE_KEYS = {"case": str, "workload": str, "commit": str, "date": str, "reason": str}
ACCEPTED_KEYS = ("by", "until")  # keys of a case's own row, if somebody accepted that it got worse
LAUNCH_KEYS = {
    "case": str,
    "session": str,
    "server": str,
    "device": str,
    "commit": str,
    "date": str,
    "yardstick": int,
    "metrics": dict,
}


def case_file(case: str) -> str:
    """The path of a case's baseline file, relative to the machine's folder."""
    return str(Path(case.partition("::")[0]).with_suffix(".json"))


def check_inside(path: Path, root: Path) -> None:
    """Refuse a path that links lead out of a folder; the path need not exist.

    Raises:
        UserError: they do, or they lead nowhere.
    """
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        raise UserError(f"{path}: is a link that leads to itself; remove it") from None
    if not inside:
        raise UserError(f"{path}: a link leads out of {root}; replace the link by a file")


def load_file(path: Path, root: Path) -> dict[str, Baseline]:
    """Read one baseline file; a file that does not exist has no baselines.

    Args:
        path: the path of the file.
        root: the folder that must contain the file, even if the path has symbolic links.

    Raises:
        UserError: the file is damaged, or lies outside of ``root``; the message has the file, the row and what to do.
    """
    check_inside(path, root)
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_bytes().decode())
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, not a baseline file; remove it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); {restore(path)}") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        found = document.get("schema") if isinstance(document, dict) else type(document).__name__
        raise UserError(f"{path}: schema is {found!r}, this perfgate reads {SCHEMA!r}; {restore(path)}")
    rows = document.get("rows")
    if not isinstance(rows, list):
        raise UserError(f"{path}: key 'rows' must be a list; {restore(path)}")
    return read_rows(path, rows)


def read_rows(path: Path, rows: list[Any]) -> dict[str, Baseline]:
    """Check the rows of a file and gather them by case."""
    cases: dict[str, Baseline] = {}
    launches: dict[str, list[StoredLaunch]] = {}
    for number, row in enumerate(rows, 1):
        if row == {}:
            continue
        where = f"{path}: row {number}"
        is_launch = isinstance(row, dict) and "session" in row
        keys = LAUNCH_KEYS if is_launch else CASE_KEYS
        for key, kind in keys.items():
            if not isinstance(row, dict) or not isinstance(row.get(key), kind):
                raise UserError(f"{where}: key {key!r} is missing or not of type {kind.__name__}; {restore(path)}")
        if is_launch:
            launches.setdefault(row["case"], []).append(read_launch(row, where, path))
        elif row["case"] in cases:
            raise UserError(f"{where}: case {row['case']!r} has two rows; remove one of them and its launches")
        else:
            accepted = {key: str(row[key]) for key in ACCEPTED_KEYS if key in row}
            cases[row["case"]] = Baseline(**{key: row[key] for key in CASE_KEYS}, launches=(), **accepted)
    if lost := sorted(set(launches) - set(cases)):
        raise UserError(f"{path}: {lost[0]!r} has rows of launches, but no row of its own; {restore(path)}")
    return {case: replace(found, launches=tuple(launches.get(case, ()))) for case, found in cases.items()}


def read_launch(row: Mapping[str, Any], where: str, path: Path) -> StoredLaunch:
    """Check one launch's numbers."""
    metrics, processor = (read_pairs(row.get(key, {}), where, path) for key in ("metrics", "processor"))
    software = row.get("software", {})
    if not isinstance(software, dict) or not all(isinstance(version, str) for version in software.values()):
        raise UserError(f"{where}: key 'software' is not an object of texts; {restore(path)}")
    ledger = row.get("ledger", {})
    if not isinstance(ledger, dict):
        raise UserError(f"{where}: key 'ledger' is not an object; {restore(path)}")
    for key in ("parts", "processor_parts"):
        parts = row.get(key, {})
        if not isinstance(parts, dict) or not all(map(is_time, parts.values())):
            raise UserError(f"{where}: key {key!r} is not an object of finite numbers above 0; {restore(path)}")
    for key in ("waited", "idle"):
        if key in row and not is_share(row[key]):
            raise UserError(f"{where}: key {key!r} is {row[key]!r}, not a share from 0 to 1; {restore(path)}")
    if "clock_mhz" in row and not is_time(row["clock_mhz"]):
        raise UserError(f"{where}: key 'clock_mhz' is not a finite number above 0; {restore(path)}")
    if not isinstance(row.get("surroundings", {}), dict):
        raise UserError(f"{where}: key 'surroundings' is not an object; {restore(path)}")
    ways = row.get("ways", {})
    if not is_ways(ways):
        raise UserError(f"{where}: key 'ways' is not an object of whole numbers from 1; {restore(path)}")
    keys = {key: row[key] for key in LAUNCH_KEYS if key not in ("case", "metrics")}
    optional = ("parts", "processor_parts", "waited", "idle", "surroundings", "clock_mhz")
    more = {key: row[key] for key in optional if key in row}
    return StoredLaunch(
        **keys, metrics=metrics, ledger=ledger, processor=processor, software=software, ways=ways, **more
    )


def read_pairs(row: Any, where: str, path: Path) -> dict[str, tuple[float, float | None]]:
    """Check a mapping from metrics to pairs: the value, and its ratio to the yardstick or null."""
    if not isinstance(row, dict):
        raise UserError(f"{where}: values are not an object; {restore(path)}")
    pairs: dict[str, tuple[float, float | None]] = {}
    for name, pair in row.items():
        if not isinstance(pair, list) or len(pair) != 2:
            raise UserError(f"{where}: metric {name!r} must be [value, value in yardsticks or null]; {restore(path)}")
        for position, value in enumerate(pair):
            zero = metric(name).from_zero or (metric(name).may_be_zero and metric(name).exact)
            number = isinstance(value, int | float) and not isinstance(value, bool) and value <= sys.float_info.max
            if not (number and (value > 0 or (zero and value == 0))) and not (value is None and position == 1):
                least = "of at least 0" if zero else "above 0"
                raise UserError(
                    f"{where}: metric {name!r} must be a finite number {least}, not {value!r}; {restore(path)}"
                )
        pairs[name] = (pair[0], pair[1])
    return pairs


def is_time(value: Any) -> bool:
    """Whether a value is a finite number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= sys.float_info.max


def is_share(value: Any) -> bool:
    """Whether a value is a number from 0 to 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def restore(path: Path) -> str:
    """A clause that says how to repair a damaged file."""
    return (
        f"restore it with git checkout -- {shlex.quote(str(path))}, or remove it and run again with --perf-update new"
    )


def dump(cases: Mapping[str, Baseline], machine: Mapping[str, Any], software: Mapping[str, str]) -> str:
    """The text of a baseline file, cases in sorted order."""
    rows = []
    for case in sorted(cases):
        found = cases[case]
        accepted = {key: getattr(found, key) for key in ACCEPTED_KEYS if getattr(found, key)}
        rows.append({key: getattr(found, key) for key in CASE_KEYS} | accepted)
        for launch in found.launches:
            row = {key: getattr(launch, key) for key in LAUNCH_KEYS if key not in ("case", "metrics")}
            row["metrics"] = {name: list(pair) for name, pair in launch.metrics.items()}
            more = {
                "parts": dict(launch.parts),
                "processor": {name: list(pair) for name, pair in launch.processor.items()},
                "processor_parts": dict(launch.processor_parts),
                "waited": launch.waited,
                "idle": launch.idle or None,
                "clock_mhz": launch.clock_mhz,
                "surroundings": dict(launch.surroundings),
                "software": dict(launch.software),
                "ways": {name: way for name, way in launch.ways.items() if name in launch.metrics},
                "ledger": dict(launch.ledger) or None,
            }
            rows.append({"case": case, **row, **{key: value for key, value in more.items() if value not in (None, {})}})
    head = {"schema": SCHEMA, "machine": dict(machine), "software": dict(software)}
    lines = [f" {json.dumps(key)}: {json.dumps(value, sort_keys=True)}," for key, value in head.items()]
    # The list ends with an empty row, so that every other row has a comma and a diff shows only rows that changed.
    body = "".join(f"  {json.dumps(row, allow_nan=False)},\n" for row in rows)
    return "{\n" + "\n".join(lines) + '\n "rows": [\n' + body + "  {}\n ]\n}\n"
