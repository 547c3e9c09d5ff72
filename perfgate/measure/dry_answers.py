"""Keeps answers of dry runs during one run of pytest, so that equal workloads of several cases run dry only once."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from perfgate.measure.pool import Pool

# Perfgate's own programs depend only on their parameters. Programs of users may read files that change between cases.
OWN = "perfgate."


class DryAnswers:
    """Reads and keeps answers, one file each.

    Args:
        folder: a folder that all processes of the run share.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, pool: Pool, order: Mapping[str, Any]) -> Path | None:
        """The file for the answer to an order; ``None`` if each case must run dry by itself."""
        if not order["workload"]["program"].startswith(OWN):
            return None
        asked = [pool.name, pool.interpreter.python, pool.interpreter.path, pool.interpreter.commit, order]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        return self._folder / f"{digest}.json"

    def read(self, path: Path | None) -> dict[str, Any] | None:
        """The kept answer, if an earlier case had the same order."""
        if path is None or not path.exists():
            return None
        answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return answer

    def keep(self, path: Path | None, answer: Mapping[str, Any]) -> None:
        """Keep an answer for later cases; if there is no room for it, they run dry themselves."""
        if path is None:
            return
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, half = tempfile.mkstemp(dir=self._folder)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(answer, file)
            Path(half).replace(path)
