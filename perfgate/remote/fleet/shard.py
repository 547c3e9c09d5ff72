"""The job of a shard: measures it, and records that it ended."""

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from perfgate.records.store import write_whole
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import load_json

ENDED = "ended.json"
ATTEMPT = re.compile(r"[\w-]{1,100}")  # the form of an attempt's folder name
AGAIN = "remove it, and measure the shard again with --resume"


@dataclass(frozen=True)
class Shard:
    """One shard of a fleet.

    Attributes:
        number: its number, from 1.
        count: the number of shards.
        folder: the fleet's folder, which all machines see.
        at_once: the number of shards that run at once.
    """

    number: int
    count: int
    folder: Path
    at_once: int

    @property
    def ended(self) -> Path:
        """The file that exists once the shard has been measured."""
        return self.folder / f"shard-{self.number}" / ENDED

    @property
    def code(self) -> int | None:
        """pytest's exit code; ``None`` while the shard has not ended."""
        found = self._told()
        return None if found is None else int(found["code"])

    @property
    def parts(self) -> list[Path]:
        """The run files of the attempt that ended; none while the shard has not ended."""
        found = self._told()
        return [] if found is None else sorted((self.ended.parent / found["attempt"]).glob("*.jsonl"))

    def _told(self) -> dict[str, Any] | None:
        try:
            found = load_json(self.ended.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UserError(f"{self.ended}: cannot be read ({error}); {AGAIN}") from None
        code, attempt = (found.get(key) for key in ("code", "attempt")) if isinstance(found, dict) else (None, None)
        if not isinstance(code, int) or not isinstance(attempt, str) or not ATTEMPT.fullmatch(attempt):
            raise UserError(f"{self.ended}: does not say how the shard ended; {AGAIN}")
        return {"code": code, "attempt": attempt}


def measure(shard: Shard, command: Sequence[str], root: str, attempt: str) -> int:
    """Run pytest on one shard; submitit calls it in the job. Returns pytest's exit code.

    Args:
        shard: the shard to measure.
        command: the pytest command, without the options of the shard.
        root: the folder in which to run it.
        attempt: the beginning of this attempt's folder name; only the folder of an attempt that ended counts.
    """
    shard.ended.parent.mkdir(parents=True, exist_ok=True)
    output = Path(mkdtemp(prefix=f"{attempt}-", dir=shard.ended.parent))  # Slurm may start one job several times
    more = ["--perf-shard", f"{shard.number}/{shard.count}/{shard.at_once}", "--perf-output", str(output)]
    more += ["--perf-shard-folder", str(shard.ended.parent)]  # what an earlier try measured is not measured again
    code = subprocess.run([*command, *more], cwd=root, check=False).returncode
    if code >= 0:  # a process that was killed has a negative code, and has not ended
        write_whole(shard.ended, json.dumps({"code": code, "attempt": output.name}) + "\n")
    return code
