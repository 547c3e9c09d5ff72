"""Merges the run files of a suite's shards into one, line by line, because it can be large."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfgate.records.runfile_lines import STOPPED, WAYS, writing
from perfgate.records.shard_parts import ONE, Attempt, Part, scan
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError
from perfgate.shared.private import no_link

EVERYWHERE = ("commit", "software", "candidate", "reference", WAYS)  # keys of the header that are equal in all shards
OPTIONS = ("device", "tier", "reference", "baselines", "launches", "calibrate")
ROUNDING = 1e-9
MANY = 32  # with fewer parts, reading them is faster than starting processes
AT_ONCE = 8


@dataclass(frozen=True)
class Merged:
    """The result of merging.

    Attributes:
        header: the first line of the merged file.
        verdicts: the verdicts on all cases, in the file's order.
        durations: the seconds of each case, if known.
        count: the number of shards.
        missing: the numbers of the shards without a part, or without one whose pytest came to its end.
        twice: cases that are in several parts; the last attempt was kept.
        overspent: how many times the whole alpha budget was given out; it should be at most 1.
        cases: the number of cases.
    """

    header: Mapping[str, Any]
    verdicts: Sequence[Verdict]
    durations: Mapping[str, float]
    count: int
    missing: Sequence[int]
    twice: Sequence[str]
    overspent: float
    cases: int


def merge_shards(paths: Sequence[Path], target: Path) -> Merged:
    """Merge run files of shards into one.

    Args:
        paths: the shards' run files.
        target: the merged file; it is written whole or not at all.

    Raises:
        UserError: a part is damaged, is given twice, or is not of the same run as the others.
    """
    parts = scanned(paths)
    check_together(parts)
    kept, twice = choose(parts)
    given = {part.shard[0] for part in parts if part.shard != ONE and not part.header.get(STOPPED)}
    count = max(part.shard[1] for part in parts)
    missing = [number for number in range(1, count + 1) if number not in given] if count > 1 else []
    verdicts = [verdict for case in sorted(kept) for verdict in kept[case].verdicts]
    durations = {case: kept[case].took_s for case in sorted(kept)}
    header = merged_header(parts, kept, missing, twice)
    write(target, header, parts, kept)
    known = {case: took_s for case, took_s in durations.items() if took_s}
    return Merged(header, verdicts, known, count, missing, twice, overspent(parts), len(kept))


def scanned(paths: Sequence[Path]) -> list[Part]:
    """Read all parts; many parts on all cores, because a fleet's files can hold hundreds of megabytes.

    Raises:
        UserError: a part is damaged.
    """
    if len(paths) < MANY:
        return list(map(scan, range(len(paths)), paths))
    with ProcessPoolExecutor() as pool:
        return list(pool.map(scan, range(len(paths)), paths, chunksize=AT_ONCE))


def check_together(parts: Sequence[Part]) -> None:
    """Refuse parts that do not come from one run of one suite.

    Raises:
        UserError: two parts differ; the message names both and the difference.
    """
    first = parts[0]
    seen: dict[str, Part] = {}
    for part in parts:
        name = str(part.header["run_id"])
        if name in seen:
            for earlier in (part, seen[name]):
                if "shards" in earlier.header:
                    raise UserError(f"{earlier.path} was merged from a part that is named as well; leave it out")
            raise UserError(f"{seen[name].path} and {part.path} are the same run {name}; name each part once")
        seen[name] = part
        if part.shard[1] != first.shard[1]:
            told = f"one of {first.shard[1]} shards, {part.path} one of {part.shard[1]}"
            raise UserError(f"{first.path} is {told}; put parts of one division together")
        for what, one, other in differing(first, part):
            raise UserError(f"{first.path} and {part.path} differ in {what}: {one} and {other}; merge parts of one run")
    if len(dealt := {str(deal.get("digest")) for part in parts for deal in part.deals}) > 1:
        raise UserError(
            f"the parts were dealt from {len(dealt)} different lists of cases or durations, so cases may be in none of "
            "them; run all shards from one commit, with the same tier and the same file of durations"
        )


def differing(one: Part, other: Part) -> Iterator[tuple[str, Any, Any]]:
    """The header values in which two parts of one run must agree and do not."""
    pairs = [("machine", one.header["machine"]["name"], other.header["machine"]["name"])]
    pairs += [(key, of(one.header.get(key)), of(other.header.get(key))) for key in EVERYWHERE]
    told = one.header["options"], other.header["options"]
    pairs += [(f"the option {key}", told[0].get(key), told[1].get(key)) for key in OPTIONS]
    return (found for found in pairs if found[1] != found[2])


def of(value: Any) -> Any:
    """A header value in comparable form. A reference counts by commit and libraries: its folder differs by machine."""
    if not isinstance(value, Mapping) or "software" not in value:
        return value
    return {key: value.get(key) for key in ("commit", "software")}


def choose(parts: Sequence[Part]) -> tuple[dict[str, Attempt], list[str]]:
    """The attempt to keep of each case, and the cases with several: a complete attempt wins, then the last one."""
    kept: dict[str, Attempt] = {}
    twice: set[str] = set()
    order = sorted(range(len(parts)), key=lambda number: str(parts[number].header["created"]))
    for number in order:
        for case, attempt in parts[number].cases.items():
            held = kept.get(case)
            if held:
                twice.add(case)
            if held is None or (attempt.whole, attempt.ended) >= (held.whole, held.ended):
                kept[case] = attempt
    return kept, sorted(twice)


def merged_header(
    parts: Sequence[Part], kept: Mapping[str, Attempt], missing: Sequence[int], twice: Sequence[str]
) -> dict[str, Any]:
    """The first line of the merged file: the first part's, with the combined values of all parts."""
    ordered = sorted(parts, key=lambda part: (part.shard, str(part.header["created"])))
    first = min(ordered, key=lambda part: str(part.header["created"])).header
    options = {**first["options"]} | ({"shard": list(ONE)} if "shard" in first["options"] else {})
    header = {key: value for key, value in first.items() if key != STOPPED}  # then its shard is missing, or is whole
    header |= {"options": options, "dirty": any(part.header.get("dirty") for part in parts)}
    for key in ("accepted", "misread"):
        if found := unique(item for part in ordered for item in part.header.get(key) or ()):
            header[key] = found
    failed = {
        case: why
        for number, part in enumerate(parts)
        for case, why in (part.header.get("failed") or {}).items()
        if case not in kept or kept[case].part == number
    }
    if "failed" in first or failed:
        header["failed"] = dict(sorted(failed.items()))
    runs = [part.header["run_id"] for part in ordered]
    count = max(part.shard[1] for part in parts)
    return header | {"shards": {"count": count, "runs": runs, "missing": list(missing), "twice": list(twice)}}


def unique(items: Iterable[Any]) -> list[Any]:
    """The items in their order, each only once."""
    return list({json.dumps(item, sort_keys=True): item for item in items}.values())


def overspent(parts: Sequence[Part]) -> float:
    """The sum of the processes' shares, as a multiple of the whole alpha budget, or 1 if they are within it.

    A part without this information counts as one shard's share.
    """
    spent = 0.0
    for part in parts:
        told = [deal.get("parts") for deal in part.deals]
        shares = [1 / found for found in told if isinstance(found, int) and found > 0]
        spent += sum(shares) if shares else 1 / part.shard[1]
    return spent if spent > 1 + ROUNDING else 1.0


def write(target: Path, header: Mapping[str, Any], parts: Sequence[Part], kept: Mapping[str, Attempt]) -> None:
    """Write the merged file: lines without a case first, then the cases in sorted order.

    Raises:
        UserError: it cannot be written.
    """
    if any(target.resolve() == part.path.resolve() for part in parts):
        raise UserError(f"{target} is one of the parts; name another file with -o")
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb", opener=no_link) as file:
                file.write(json.dumps(header, allow_nan=False).encode() + b"\n")
                file.writelines(lines_in_order(parts, kept))
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def lines_in_order(parts: Sequence[Part], kept: Mapping[str, Attempt]) -> Iterator[bytes]:
    """The lines without a case, each once, then the lines of the cases in sorted order."""
    seen: set[bytes] = set()
    for part in parts:
        for raw in chunks(part.path, part.loose):
            if raw not in seen:
                seen.add(raw)
                yield ended(raw)
    for case in sorted(kept):
        attempt = kept[case]
        yield from map(ended, chunks(parts[attempt.part].path, attempt.ranges))


def chunks(path: Path, ranges: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """The pieces of a file in these byte ranges."""
    with path.open("rb") as file:
        for begin, end in ranges:
            file.seek(begin)
            yield file.read(end - begin)


def ended(raw: bytes) -> bytes:
    """The lines, with a newline after the last one."""
    return raw if raw.endswith(b"\n") else raw + b"\n"
