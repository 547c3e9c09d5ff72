"""Reads verdicts from run files that may be forged: within size limits, and only numbers and names."""

import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, get_args

from perfgate.records.runfile_lines import SCHEMA, STOPPED
from perfgate.records.verdict import Name, Verdict
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import load_json

LIMIT_BYTES = 256 * 2**20  # total size of an artifact's run files, unpacked
LONGEST_LINE_BYTES = 16 * 2**20
MOST_VERDICTS = 200_000
LONGEST_NAME = 200
NUMBERS = ("change", "low", "high", "smallest_detectable", "reference", "candidate", "tolerance")


@dataclass(frozen=True)
class Untrusted:
    """The content that is taken from an artifact.

    Attributes:
        verdicts: without any sentence; names are unescaped, so whoever shows them must escape them.
        failed: the number of cases that failed for other reasons than a verdict.
        missing: the number of missing shards.
        stopped: the number of run files of a pytest that ended before its last case.
    """

    verdicts: tuple[Verdict, ...]
    failed: int = 0
    missing: int = 0
    stopped: int = 0


def read_untrusted(path: Path) -> Untrusted:
    """Read a run file, a folder of run files, or a zip archive of them. Nothing is unpacked to disk.

    Raises:
        UserError: it is too large, or no run writes such a file; the message repeats nothing from the artifact.
    """
    left, verdicts, failed, missing, stopped = LIMIT_BYTES, [], 0, 0, 0
    files = 0
    for name, opened in run_files(path):
        files += 1
        with opened as file:
            for number, raw in enumerate(lines_of(file, name, left), 1):
                left -= len(raw)
                line = parse(raw, f"{name}, line {number}")
                if number == 1:
                    more = read_header(line, name)
                    failed, missing, stopped = failed + more[0], missing + more[1], stopped + more[2]
                elif line.get("kind") == "verdict":
                    verdicts.append(read_verdict(line, f"{name}, line {number}"))
                    if len(verdicts) > MOST_VERDICTS:
                        raise UserError(
                            f"the artifact holds more than {MOST_VERDICTS} verdicts; it was not read further"
                        )
    if not files:
        raise UserError("the artifact holds no run file (*.jsonl)")
    return Untrusted(tuple(verdicts), failed, missing, stopped)


def run_files(path: Path) -> Iterator[tuple[str, Any]]:
    """The run files with a number each, because their names cannot be trusted; each is opened only when it is read.

    Raises:
        UserError: there is nothing to read, or a path leads out of the archive.
    """
    try:
        if path.is_dir():
            for number, file in enumerate(sorted(path.rglob("*.jsonl")), 1):
                if file.is_symlink() or not file.resolve().is_relative_to(path.resolve()):
                    raise UserError(f"run file {number} of the artifact is a link; nothing of it was read")
                yield f"run file {number}", file.open("rb")
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
                if any(climbs(name) for name in names):
                    raise UserError("a path in the artifact leads out of its folder; nothing of it was read")
                for number, name in enumerate((name for name in names if name.endswith(".jsonl")), 1):
                    yield f"run file {number}", archive.open(name)
        else:
            yield "run file 1", path.open("rb")
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError):
        raise UserError("the artifact cannot be read; it is no run file and no archive of them") from None


def climbs(name: str) -> bool:
    """Whether a path leaves the folder that it is unpacked to."""
    return "\\" in name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts


def lines_of(file: IO[bytes], name: str, left: int) -> Iterator[bytes]:
    """The lines of a file, within a size limit.

    Args:
        file: the open file, in bytes.
        name: its name in messages.
        left: the largest size in bytes.

    Raises:
        UserError: a line or the file is too long.
    """
    try:
        while raw := file.readline(LONGEST_LINE_BYTES + 1):
            left -= len(raw)
            if len(raw) > LONGEST_LINE_BYTES or left < 0:
                most = f"{LONGEST_LINE_BYTES >> 20} MiB a line, {LIMIT_BYTES >> 20} MiB in all"
                raise UserError(f"the artifact is larger than what is read of one ({most}); see the run itself")
            yield raw
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError):
        raise UserError(f"{name} of the artifact is damaged") from None


def parse(raw: bytes, where: str) -> dict[str, Any]:
    """Parse one line as an object.

    Raises:
        UserError: the line is no object.
    """
    try:
        found = load_json(raw)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{where} of the artifact is no JSON object")
    return found


def read_header(line: dict[str, Any], name: str) -> tuple[int, int, bool]:
    """The number of cases that failed without a verdict, that of missing shards, and whether pytest was stopped.

    Raises:
        UserError: the line is not the first line of a run file.
    """
    if line.get("schema") != SCHEMA:
        raise UserError(f"{name} of the artifact is no run file")
    failed, shards = line.get("failed"), line.get("shards")
    missing = shards.get("missing") if isinstance(shards, dict) else None
    counts = len(failed) if isinstance(failed, dict) else 0, len(missing) if isinstance(missing, list) else 0
    return *counts, bool(line.get(STOPPED))


def read_verdict(line: dict[str, Any], where: str) -> Verdict:
    """The names and numbers of a verdict.

    Raises:
        UserError: a value has the wrong type.
    """
    verdict: Any
    case, metric, verdict = line.get("case"), line.get("metric"), line.get("verdict", "")
    if not isinstance(case, str) or not isinstance(metric, str) or verdict not in get_args(Name):
        raise UserError(f"{where} of the artifact is no verdict")
    numbers: dict[str, Any] = {}
    for key in NUMBERS:
        value = line.get(key)
        if value is not None and not is_number(value):
            raise UserError(f"{where} of the artifact has a value for {key} that is no finite number")
        numbers[key] = value
    accepted = "beforehand" if line.get("accepted") else ""
    names = case[:LONGEST_NAME], metric[:LONGEST_NAME]
    way_since = "another one" if line.get("way_since") else ""
    return Verdict(*names, verdict, **numbers, accepted=accepted, way_since=way_since)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, as a float can hold it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
