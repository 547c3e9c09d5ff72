"""Baselines and their files: each file holds what the cases of one test file measured on one machine.

A file is JSON with one row a line, and every row names its case: first the case's own row, then one row for each
launch. A new session therefore appears as added lines in a diff, and a merge that keeps the lines of both sides
(``merge=union``, set in the folder's ``.gitattributes``) never mixes two cases.
"""

import json
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perfgate.records.clocks import Clock, is_clocked
from perfgate.records.launch import YARDSTICK_VERSIONS
from perfgate.shared.errors import UserError
from perfgate.shared.metrics import metric

SCHEMA = "perfgate.baseline/1"
MAX_SESSIONS = 20
CASE_KEYS = {"case": str, "workload": str, "commit": str, "date": str, "reason": str}
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


@dataclass(frozen=True)
class StoredLaunch:
    """One launch of an earlier session.

    Attributes:
        session: the id of the run that measured it.
        metrics: by name, the value in the metric's unit and its ratio to the yardstick, or ``None`` without a
            yardstick.
        yardstick: the version of that yardstick.
        ledger: exact metrics by module path; empty if the launch had none.
        parts: the median time of each of the yardstick's components, in seconds; empty without a yardstick.
        processor: times in processor time, by metric; empty if they are not known.
        processor_parts: the yardstick's components in processor time.
        waited: the share of the core that other processes took during the launch; ``None`` if it is not known.
        idle: the share of a step in which the program neither computed nor waited for a core.
        surroundings: a digest of each kind of thing that it depends on besides the code; empty if it is not known.
        software: the versions of the libraries that it ran on; empty if they are not known.
    """

    session: str
    server: str
    device: str
    commit: str
    date: str
    metrics: Mapping[str, tuple[float, float | None]]
    yardstick: int = YARDSTICK_VERSIONS["cpu"]
    ledger: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)
    processor: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    processor_parts: Mapping[str, float] = field(default_factory=dict)
    waited: float | None = None
    idle: float = 0.0
    surroundings: Mapping[str, str] = field(default_factory=dict)
    software: Mapping[str, str] = field(default_factory=dict)

    @property
    def of_python(self) -> bool:
        """Whether its numbers hold for one version of Python and one kind of device, which ``device`` names."""
        return any(metric(name).of_python for name in self.metrics)

    def on(self, clock: Clock) -> "StoredLaunch":
        """The same launch with its times on this clock, or without times if they are not known on it."""
        if clock == "wall":
            return self
        staying = {name: value for name, value in self.metrics.items() if not is_clocked(name)}
        return replace(self, metrics={**self.processor, **staying}, parts=self.processor_parts)


@dataclass(frozen=True)
class Baseline:
    """The stored measurement of a case on a machine.

    Attributes:
        workload: identity of what was measured.
        commit: at which it last moved.
        date: when it last moved.
        reason: why it last moved.
        launches: of all sessions that are kept.
    """

    case: str
    workload: str
    commit: str
    date: str
    reason: str
    launches: tuple[StoredLaunch, ...]

    @property
    def metrics(self) -> list[str]:
        """Names of all metrics that are stored."""
        return list(dict.fromkeys(name for launch in self.launches for name in launch.metrics))

    @property
    def software(self) -> Mapping[str, str]:
        """Versions of the libraries under which its newest launch was measured; empty where they are not known."""
        return self.launches[-1].software if self.launches else {}

    def values(self, name: str) -> dict[str, list[float]]:
        """The values of a metric by session, in the metric's unit."""
        return self._by_session(name, 0)

    def yardsticks(self, name: str, version: int = YARDSTICK_VERSIONS["cpu"]) -> dict[str, list[float]]:
        """Ratios to the yardstick by session. Only launches with a yardstick of this version are counted."""
        same = tuple(launch for launch in self.launches if launch.yardstick == version)
        return replace(self, launches=same)._by_session(name, 1)

    def parts(self, name: str, version: int) -> dict[str, list[Mapping[str, float]]]:
        """The times of the yardstick's components by session, in the launches that ``yardsticks`` counts."""
        groups: dict[str, list[Mapping[str, float]]] = {}
        for launch in self.launches:
            if launch.parts and launch.yardstick == version and name in launch.metrics:
                groups.setdefault(launch.session, []).append(launch.parts)
        return groups

    def under(self, device: str) -> "Baseline":
        """The same baseline with the launches on one device alone, such as those that hold on every machine."""
        return replace(self, launches=tuple(launch for launch in self.launches if launch.device == device))

    def on(self, clock: Clock) -> "Baseline":
        """The same baseline with its times on a clock."""
        return replace(self, launches=tuple(launch.on(clock) for launch in self.launches))

    def _by_session(self, name: str, position: int) -> dict[str, list[float]]:
        groups: dict[str, list[float]] = {}
        for launch in self.launches:
            value = launch.metrics.get(name, (None, None))[position]
            if value is not None:
                groups.setdefault(launch.session, []).append(value)
        return groups

    def with_session(self, launches: Iterable[StoredLaunch]) -> "Baseline":
        """The same baseline with one more session; the oldest ones beyond twenty are dropped."""
        everything = (*self.launches, *launches)
        kept = list(dict.fromkeys(launch.session for launch in everything))[-MAX_SESSIONS:]
        return replace(self, launches=tuple(launch for launch in everything if launch.session in kept))


def case_file(case: str) -> str:
    """The path of a case's baseline file, relative to the machine's folder."""
    return str(Path(case.partition("::")[0]).with_suffix(".json"))


def load_file(path: Path, root: Path) -> dict[str, Baseline]:
    """Read one baseline file; a file that does not exist has no baselines.

    Args:
        path: the path of the file.
        root: the folder that must contain the file, even if the path has symbolic links.

    Raises:
        UserError: the file is damaged or outside of ``root``; the message has the file, the row and what to do.
    """
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        raise UserError(f"{path}: is a link that leads to itself; remove it") from None
    if not inside:
        raise UserError(f"{path}: a link leads out of {root}; replace the link by a file")
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
            cases[row["case"]] = Baseline(**{key: row[key] for key in CASE_KEYS}, launches=())
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
    if not isinstance(row.get("surroundings", {}), dict):
        raise UserError(f"{where}: key 'surroundings' is not an object; {restore(path)}")
    keys = {key: row[key] for key in LAUNCH_KEYS if key not in ("case", "metrics")}
    more = {key: row[key] for key in ("parts", "processor_parts", "waited", "idle", "surroundings") if key in row}
    return StoredLaunch(**keys, metrics=metrics, ledger=ledger, processor=processor, software=software, **more)


def read_pairs(row: Any, where: str, path: Path) -> dict[str, tuple[float, float | None]]:
    """Check a mapping from metrics to pairs: the value, and its ratio to the yardstick or null."""
    if not isinstance(row, dict):
        raise UserError(f"{where}: values are not an object; {restore(path)}")
    pairs: dict[str, tuple[float, float | None]] = {}
    for name, pair in row.items():
        if not isinstance(pair, list) or len(pair) != 2:
            raise UserError(f"{where}: metric {name!r} must be [value, value in yardsticks or null]; {restore(path)}")
        for position, value in enumerate(pair):
            zero = metric(name).may_be_zero and metric(name).exact
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
        rows.append({key: getattr(found, key) for key in CASE_KEYS})
        for launch in found.launches:
            row = {key: getattr(launch, key) for key in LAUNCH_KEYS if key not in ("case", "metrics")}
            row["metrics"] = {name: list(pair) for name, pair in launch.metrics.items()}
            more = {
                "parts": dict(launch.parts),
                "processor": {name: list(pair) for name, pair in launch.processor.items()},
                "processor_parts": dict(launch.processor_parts),
                "waited": launch.waited,
                "idle": launch.idle or None,
                "surroundings": dict(launch.surroundings),
                "software": dict(launch.software),
                "ledger": dict(launch.ledger) or None,
            }
            rows.append({"case": case, **row, **{key: value for key, value in more.items() if value not in (None, {})}})
    head = {"schema": SCHEMA, "machine": dict(machine), "software": dict(software)}
    lines = [f" {json.dumps(key)}: {json.dumps(value, sort_keys=True)}," for key, value in head.items()]
    # The list ends with an empty row, so that every other row has a comma and a diff shows only rows that changed.
    body = "".join(f"  {json.dumps(row, allow_nan=False)},\n" for row in rows)
    return "{\n" + "\n".join(lines) + '\n "rows": [\n' + body + "  {}\n ]\n}\n"
