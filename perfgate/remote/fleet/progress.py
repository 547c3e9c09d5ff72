"""The progress of a fleet's shards: their cases and verdicts, read from the files that their runs are writing."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from perfgate.gate.wording import many
from perfgate.shared.parsing import load_json

WRITTEN = ("*.part", "*.jsonl")  # each process of a run writes a part, and the run file is made of the parts at its end


class Progress:
    """Counts cases and verdicts in the new lines since the last look.

    Args:
        folder: the fleet's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_bytes: dict[Path, int] = {}
        self._judged: dict[Path, Counter[str]] = {}
        # A case that is measured again counts once, and so does one that is both in a part and in its run file.
        self._cases: dict[str, Counter[str]] = {}

    def look(self) -> str:
        """Read the new lines; return a clause with the numbers of cases and verdicts, empty before the first case."""
        for path in self._files():
            for line in self._new_lines(path):
                self._count(path, line)
        verdicts = sum(self._cases.values(), Counter())
        counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        cases = many(len(self._cases), "case") + (f" ({counts})" if counts else "")
        return cases if self._cases else ""

    def _files(self) -> Iterator[Path]:
        for pattern in WRITTEN:
            yield from sorted(self._folder.glob(f"shard-*/*/{pattern}"))

    def _new_lines(self, path: Path) -> list[bytes]:
        """The complete lines since the last look; empty if the file is gone or unreadable."""
        begin = self._read_bytes.get(path, 0)
        try:
            with path.open("rb") as file:
                file.seek(begin)
                whole, ended, _ = file.read().rpartition(b"\n")
        except OSError:
            return []
        self._read_bytes[path] = begin + len(whole) + len(ended)
        return whole.splitlines()

    def _count(self, path: Path, line: bytes) -> None:
        try:
            found = load_json(line)
        except ValueError:
            return
        kind = found.get("kind") if isinstance(found, dict) else None
        if kind == "verdict":
            self._judged.setdefault(path, Counter())[str(found.get("verdict"))] += 1
        elif kind == "case":
            self._cases[str(found.get("case"))] = self._judged.pop(path, Counter())
