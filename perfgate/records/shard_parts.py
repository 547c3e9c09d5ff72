"""Reads the run file of one shard once, and notes the position and content of each case's lines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfgate.records.runfile_lines import check_header, check_line, parse, reading
from perfgate.records.verdict import Verdict

DEAL = "deal"  # the kind of line in which a shard records the cases that it was dealt
ONE = (1, 1)


@dataclass
class Attempt:
    """One case in one part.

    Attributes:
        part: the number of the part.
        ended: when the case ended, in seconds since the epoch; 0 if its end is not in the part.
        whole: whether the case's end is in the part.
        took_s: the seconds of the case; ``None`` if not known.
        ranges: first byte, and byte after the last, of each run of its lines.
        verdicts: the verdicts on the case.
    """

    part: int
    ended: float = 0.0
    whole: bool = False
    took_s: float | None = None
    ranges: list[tuple[int, int]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def extend(self, begin: int, end: int) -> None:
        """Add one more line."""
        if self.ranges and self.ranges[-1][1] == begin:
            self.ranges[-1] = (self.ranges[-1][0], end)
        else:
            self.ranges.append((begin, end))


@dataclass
class Part:
    """The run file of one shard.

    Attributes:
        path: the file.
        header: its first line.
        shard: its number, and how many there are.
        cases: the attempt at each case that it holds.
        loose: the same ranges for lines that belong to no case.
        deals: the dealt cases, a line for each process that measured.
    """

    path: Path
    header: Mapping[str, Any]
    shard: tuple[int, int]
    cases: dict[str, Attempt] = field(default_factory=dict)
    loose: list[tuple[int, int]] = field(default_factory=list)
    deals: list[Mapping[str, Any]] = field(default_factory=list)


def scan(number: int, path: Path) -> Part:
    """Read a part once, check each line, and note the position of each case's lines.

    Raises:
        UserError: the part is damaged; the message has the file, the line and what to do.
    """
    part: Part | None = None
    for line_number, begin, end, text, last in lines_of(path):
        if not text.strip():
            continue
        line = parse(path, line_number, text, last)
        if part is None:
            header = check_header(path, line)
            part = Part(path, header, shard_of(header))
            continue
        take(part, number, line, f"{path}: line {line_number}", (begin, end))
    if part is None:
        check_header(path, None)
        raise AssertionError("an empty file is refused")
    return part


def lines_of(path: Path) -> Iterator[tuple[int, int, int, str, bool]]:
    """The lines of a file: number, first byte, byte after the last, text, and whether the line is cut off.

    Raises:
        UserError: the file cannot be read.
    """
    begin = 0
    with reading(path), path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            yield number, begin, begin + len(raw), raw.decode("utf-8"), not raw.endswith(b"\n")
            begin += len(raw)


def take(part: Part, number: int, line: Mapping[str, Any], where: str, at: tuple[int, int]) -> None:
    """Check one line, and add it to its case."""
    kind = check_line(where, line)
    if kind == DEAL:
        part.deals.append(line)
        return
    case = line.get("case")
    if not isinstance(case, str):
        part.loose.append(at)
        return
    attempt = part.cases.setdefault(case, Attempt(number))
    attempt.extend(*at)
    if kind == "verdict":
        attempt.verdicts.append(Verdict.from_json(line))
    elif kind == "case":
        attempt.whole = True
        attempt.ended, attempt.took_s = seconds(line.get("ended")) or 0.0, seconds(line.get("took_s"))


def seconds(value: Any) -> float | None:
    """A number of seconds; ``None`` for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def shard_of(header: Mapping[str, Any]) -> tuple[int, int]:
    """The number of a part's shard, and how many there are; (1, 1) for a run of everything."""
    found = header["options"].get("shard")
    if isinstance(found, list | tuple) and len(found) == 2 and all(type(number) is int for number in found):
        first, count = found
        if 1 <= first <= count:
            return first, count
    return ONE
