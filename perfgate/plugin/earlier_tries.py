"""What earlier tries of a fleet's shard measured before they were killed: it is taken over, not measured again."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from perfgate.gate.wording import are, many
from perfgate.records.runfile import Writer, last_attempts, line_of
from perfgate.records.runfile_lines import WAYS
from perfgate.records.shard_parts import DEAL

PASSED = "passed"  # the kind of the line that says that a case passed in all its phases
TAKEN = "taken"  # stands for the process that writes what is taken over
ALIKE = ("commit", "dirty", "software", "candidate", "reference", WAYS)
APART = ("output", "shard_folder")  # options in which two tries of one shard may differ


class Tries:
    """The tries of one shard, of which this run is the last.

    Args:
        folder: of the shard, with a folder of each try.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: dict[str, list[str]] = {}
        self.identity = ""

    def look(self, header: Mapping[str, Any], *dealt: object) -> None:
        """Find what earlier tries measured of the same code, in the same way, on the same kind of machine.

        Args:
            header: the first line that this run's file would have now.
            dealt: whatever else must be the same.
        """
        self.identity = identity(header, dealt)
        self._lines = measured(self._folder, self.identity)

    def __contains__(self, case: str) -> bool:
        """Whether a case is taken over."""
        return case in self._lines

    @staticmethod
    def note(part: Path, case: str) -> None:
        """Write down that a case passed in all its phases, for a try that may come after this one.

        Raises:
            UserError: the part cannot be written.
        """
        written(part, [{"kind": PASSED, "case": case}])

    def write(self, part: Path) -> None:
        """Write what is taken over as one more part of this run.

        Raises:
            UserError: the part cannot be written.
        """
        if self._lines:
            written(part, (json.loads(line) for lines in self._lines.values() for line in lines))

    def told(self) -> Iterator[str]:
        """A sentence about what was taken over, if anything was."""
        if count := len(self._lines):
            yield f"{many(count, 'case')} of an earlier try {are(count)} taken over, and not measured again."


def identity(header: Mapping[str, Any], dealt: Sequence[object]) -> str:
    """A digest of what two tries must have in common, so that cases of both may stand in one run file."""
    options = {key: value for key, value in header["options"].items() if key not in APART}
    alike = [without_folder(header.get(key)) for key in ALIKE]
    text = json.dumps([alike, header["machine"]["name"], options, dealt], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def without_folder(side: Any) -> Any:
    """A side of a run by its commit and libraries, as its folder is another one in each try."""
    if not isinstance(side, Mapping) or "software" not in side:
        return side
    return {key: side.get(key) for key in ("commit", "software")}


def measured(folder: Path, like: str) -> dict[str, list[str]]:
    """The lines of each case that a try passed which was killed.

    Args:
        folder: of the shard.
        like: the identity of the tries that count.
    """
    runs: dict[Path, list[Path]] = {}
    for path in sorted(folder.glob("*/*.part")):
        runs.setdefault(path.with_name(path.name.partition(".")[0]), []).append(path)
    lines: dict[str, list[str]] = {}
    for parts in runs.values():
        lines |= of_run(parts, like)
    return lines


def of_run(parts: Iterable[Path], like: str) -> dict[str, list[str]]:
    """The lines of each case that passed in a run that was killed; none where that run is not alike.

    A case with a trace is measured again, as its trace lies beside a run file that was never written.
    """
    texts: list[list[bytes]] = []
    for part in parts:
        with suppress(OSError):
            texts.append(part.read_bytes().split(b"\n")[:-1])  # the last line may be cut off
    found = [line for text in texts for raw in text if (line := line_of(raw))]
    if {line.get("of") for line in found if line.get("kind") == DEAL} != {like}:
        return {}
    traced = {line.get("case") for line in found if line.get("kind") == "trace"}
    passed = {line.get("case") for line in found if line.get("kind") == PASSED} - traced
    whole, lines = last_attempts(texts)
    kept: dict[str, list[str]] = {}
    for case, text in lines:
        if case in whole & passed:
            kept.setdefault(case, []).append(text)
    return kept


def written(part: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Append lines to a part that another object may have open."""
    writer = Writer(part)
    try:
        writer.write(lines)
    finally:
        writer.close()
