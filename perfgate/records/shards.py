"""The run files of a suite's shards, put together into one, which is written line by line, as it can be large."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfgate.records.runfile_lines import WAYS, writing
from perfgate.records.shard_parts import ONE, Attempt, Part, scan
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError
from perfgate.shared.private import no_link

EVERYWHERE = ("commit", "software", "candidate", "reference", WAYS)  # keys of the header that all shards have in common
OPTIONS = ("device", "tier", "reference", "baselines", "launches", "calibrate")
ROUNDING = 1e-9
MANY = 32  # parts; fewer are read sooner than processes start
AT_ONCE = 8


@dataclass(frozen=True)
class Merged:
    """What was put together.

    Attributes:
        header: the first line of the merged file.
        verdicts: on all cases, in the file's order.
        durations: how long each case took, in seconds, where that is known.
        count: how many shards there are.
        missing: the numbers of those of which there is no part.
        twice: cases that are in several parts; what ended last was kept.
        overspent: how many times the chance of a false alarm was given out; 1 or less is as it should be.
    """

    header: Mapping[str, Any]
    verdicts: Sequence[Verdict]
    durations: Mapping[str, float]
    count: int
    missing: Sequence[int]
    twice: Sequence[str]
    overspent: float


def merge_shards(paths: Sequence[Path], target: Path) -> Merged:
    """Write one run file from those of shards.

    Args:
        paths: the shards' run files.
        target: where the merged file goes. It is written whole or not at all.

    Raises:
        UserError: a part is damaged, is given twice, or is not of the same run as the others.
    """
    parts = scanned(paths)
    check_together(parts)
    kept, twice = choose(parts)
    given = {part.shard[0] for part in parts if part.shard != ONE}
    count = max(part.shard[1] for part in parts)
    missing = [number for number in range(1, count + 1) if number not in given] if count > 1 else []
    verdicts = [verdict for case in sorted(kept) for verdict in kept[case].verdicts]
    durations = {case: kept[case].took_s for case in sorted(kept)}
    header = merged_header(parts, kept, missing, twice)
    write(target, header, parts, kept)
    known = {case: took_s for case, took_s in durations.items() if took_s}
    return Merged(header, verdicts, known, count, missing, twice, overspent(parts))


def scanned(paths: Sequence[Path]) -> list[Part]:
    """Read all parts; many of them on all cores, since a fleet's files hold hundreds of megabytes.

    Raises:
        UserError: a part is damaged.
    """
    if len(paths) < MANY:
        return list(map(scan, range(len(paths)), paths))
    with ProcessPoolExecutor() as pool:
        return list(pool.map(scan, range(len(paths)), paths, chunksize=AT_ONCE))


def check_together(parts: Sequence[Part]) -> None:
    """Refuse parts that are not of one run of one suite.

    Raises:
        UserError: naming two parts, and in what they differ.
    """
    first = parts[0]
    seen: dict[str, Path] = {}
    for part in parts:
        name = str(part.header["run_id"])
        if name in seen:
            raise UserError(f"{seen[name]} and {part.path} are the same run {name}; name each part once")
        seen[name] = part.path
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
    """In what two parts differ that parts of one run have in common."""
    pairs = [("machine", one.header["machine"]["name"], other.header["machine"]["name"])]
    pairs += [(key, of(one.header.get(key)), of(other.header.get(key))) for key in EVERYWHERE]
    told = one.header["options"], other.header["options"]
    pairs += [(f"the option {key}", told[0].get(key), told[1].get(key)) for key in OPTIONS]
    return (found for found in pairs if found[1] != found[2])


def of(value: Any) -> Any:
    """What one side of a run is: a reference by its commit and libraries, as its folder is another on each machine."""
    if not isinstance(value, Mapping) or "software" not in value:
        return value
    return {key: value.get(key) for key in ("commit", "software")}


def choose(parts: Sequence[Part]) -> tuple[dict[str, Attempt], list[str]]:
    """What is kept of each case, and the cases that were in several parts: a whole attempt, and of these the last."""
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
    """The first line of the merged file: that of the first part, with what all of them tell."""
    ordered = sorted(parts, key=lambda part: (part.shard, str(part.header["created"])))
    first = min(ordered, key=lambda part: str(part.header["created"])).header
    options = {**first["options"]} | ({"shard": list(ONE)} if "shard" in first["options"] else {})
    header = {**first, "options": options, "dirty": any(part.header.get("dirty") for part in parts)}
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
    """The items in their order, each once."""
    return list({json.dumps(item, sort_keys=True): item for item in items}.values())


def overspent(parts: Sequence[Part]) -> float:
    """How many times the whole chance of a false alarm was given out: each process has its part of it.

    Of parts that do not tell, each counts as the shard that it is.
    """
    spent = 0.0
    for part in parts:
        told = [deal.get("parts") for deal in part.deals]
        shares = [1 / found for found in told if isinstance(found, int) and found > 0]
        spent += sum(shares) if shares else 1 / part.shard[1]
    return spent if spent > 1 + ROUNDING else 1.0


def write(target: Path, header: Mapping[str, Any], parts: Sequence[Part], kept: Mapping[str, Attempt]) -> None:
    """Write the merged file: lines of no case first, then the cases in sorted order.

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
    """The lines of no case, each once, then those of the cases in sorted order."""
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
    """Pieces of a file."""
    with path.open("rb") as file:
        for begin, end in ranges:
            file.seek(begin)
            yield file.read(end - begin)


def ended(raw: bytes) -> bytes:
    """Lines with a newline behind the last."""
    return raw if raw.endswith(b"\n") else raw + b"\n"
