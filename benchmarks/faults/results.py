"""What came of the campaign's rows: kept in a file of lines, and written as a page."""

import json
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from textwrap import fill

from benchmarks.faults.table import Fault

LIBRARIES = ("pytest", "pytest-xdist", "torch", "transformers")
KINDS = {
    "in a step": "A program goes wrong in the fourth step of each launch.",
    "signals": "The fourth step of each launch gets a signal, so in the first pass and again when it is repeated.",
    "passes": "The actor of one pass, or of one side of the first duet, gets a signal in a step chosen by the seed.",
    "servers": "A server or an actor gets a signal at a moment chosen by the seed.",
    "set-up": "A program goes wrong while it is set up, in each launch.",
    "exit": "A program goes wrong when its process ends, in each launch.",
    "one launch": "A program goes wrong in one launch alone.",
    "devices": "A scripted device goes wrong.",
    "people": "Somebody interrupts or kills the run or parts of it, or starts others beside it.",
    "Ctrl-C": "SIGINT at fifty moments chosen by the seed, once or twice, for pytest alone or for the whole group.",
    "collections": "A large collection.",
    "files": "Files are damaged, or lie where they cannot be written.",
    "disks": "A folder lies on a small file system in a mount namespace of its own, with so much room.",
    "writes": "From one write or fsync below a folder on, all of a process fail.",
    "folders": "Folders vanish, or lie where locks keep nobody out.",
    "weights": "A model's weights have a damaged header.",
    "clocks": "libfaketime changes the time of day that a run sees.",
}


@dataclass(frozen=True)
class Came:
    """What came of a row.

    Attributes:
        kind: of the fault.
        name: what was injected.
        end: how the run had to end.
        says: what it had to say.
        complaints: what was not as it must be; none where all was.
    """

    kind: str
    name: str
    end: str
    says: str
    complaints: Sequence[str]

    @classmethod
    def of(cls, fault: Fault, complaints: Sequence[str]) -> "Came":
        """A row with what came of it."""
        return cls(fault.kind, fault.name, fault.end, fault.says, tuple(complaints))

    @property
    def row(self) -> str:
        """Its line of the table."""
        return f"| {self.kind} {self.cells}"

    @property
    def cells(self) -> str:
        """Its line of the table of its kind."""
        came = "; ".join(self.complaints).replace("\n", " ").replace("|", "/") or "as expected, nothing was left"
        said = f", and says `{self.says}`" if self.says else ""
        return f"| {self.name} | {self.end}{said} | {came} |"


@dataclass
class Results:
    """What is known of rows.

    Attributes:
        came: by kind and name.
        path: the file that it is kept in; ``None`` for nowhere.
    """

    came: dict[tuple[str, str], Came]
    path: Path | None = None

    @classmethod
    def read(cls, path: Path | None) -> "Results":
        """Those of a file; the last line about a row counts."""
        kept = path.read_text().splitlines() if path and path.exists() else []
        rows = [Came(**json.loads(line)) for line in kept]
        rows = [replace(row, complaints=tuple(row.complaints)) for row in rows]
        return cls({(row.kind, row.name): row for row in rows}, path)

    def add(self, came: Came) -> None:
        """Keep what came of a row."""
        self.came[came.kind, came.name] = came
        if self.path:
            with self.path.open("a") as file:
                file.write(json.dumps(asdict(came)) + "\n")

    def fine(self, fault: Fault) -> bool:
        """Whether the row, with what is expected of it now, stands here without a complaint."""
        return self.came.get((fault.kind, fault.name)) == Came.of(fault, ())

    def page(self, faults: Sequence[Fault], seed: int) -> str:
        """The rows of a campaign as a page."""
        return "\n".join(self._lines(faults, seed)) + "\n"

    def _lines(self, faults: Sequence[Fault], seed: int) -> Iterator[str]:
        ran = [self.came[fault.kind, fault.name] for fault in faults if (fault.kind, fault.name) in self.came]
        wrong = sum(bool(row.complaints) for row in ran)
        left = Counter(fault.kind for fault in faults if (fault.kind, fault.name) not in self.came)
        told = ", ".join(f"{count} of {kind}" for kind, count in left.items())
        software = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
        yield HEAD.format(
            seed=seed,
            ran=len(ran),
            all=len(faults),
            fine=len(ran) - wrong,
            wrong=wrong,
            left=fill(f"These did not run: {told}.", 120) if told else "",
            day=f"{datetime.now(UTC):%Y-%m-%d}",
            python=platform.python_version(),
            linux=".".join(platform.release().split(".")[:2]),
            software=software,
        )
        known = sorted(ran, key=lambda row: list(KINDS).index(row.kind))
        for kind, rows in groupby(known, key=lambda row: row.kind):
            yield f"\n## {kind[0].upper()}{kind[1:]}\n\n{KINDS[kind]}\n\n| injected | expected | came |\n|---|---|---|"
            yield from (row.cells for row in rows)


HEAD = """\
# Faults that were injected, and what came

```console
python -m benchmarks.faults --seed {seed} --results results.jsonl --page docs/verified/faults.md
```

**{ran} of {all} rows ran, {fine} of them as expected, {wrong} with a complaint.**
{left}

The last ran on {day}, with Python {python}, Linux {linux},
{software}.

Each row is a fault in a real run of a small suite whose baseline was stored before. After each one the campaign looks
for stored numbers that are lost or half written, processes and temporary files that were left, and a traceback of
Perfgate's own. A run that passed must hold each case whole, and the next run must work. "Passes whole or fails" allows
both, as the fault may come too late; a pass without numbers is a complaint. "Refused" is a sentence and no verdict.

What was not injected: a real GPU that fails (a scripted device stands for it), power that is lost, a kernel that
crashes, a machine whose clock is set (libfaketime stands for it), and folders that two machines really share (locks
that keep nobody out stand for them). Bombs of processes stop at fifty, as nothing limits them for root. Runs in which
nothing depends on how an interpreter starts are forked from a process that has imported pytest. `.ci/run` injects some
of these rows (`tests/faults/test_campaign.py`)."""
