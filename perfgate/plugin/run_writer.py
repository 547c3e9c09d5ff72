"""Writes the run file of a run at its end, from the parts of its processes and what earlier tries measured."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfgate.plugin.earlier_tries import TAKEN, Tries
from perfgate.plugin.ends import Ends
from perfgate.plugin.options import Options
from perfgate.plugin.parts import Parts
from perfgate.plugin.products import Products
from perfgate.plugin.sides import Sides
from perfgate.plugin.target import Target
from perfgate.records.runfile import MAIN
from perfgate.shared.command import command
from perfgate.shared.errors import UserError
from perfgate.system.git import check_unmoved

STOPS = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR)


class RunWriter:
    """Writes the run file of one run.

    Args:
        config: pytest's configuration.
        options: the options of the run.
        target: the device that the run measures on.
        sides: the candidate and the reference.

    Attributes:
        run_id: the run's id, the same in all of its processes.
        path: the run file.
        parts: the lines of each process, before the run file is made.
        tries: earlier tries of this shard; ``None`` if the run is no shard of a fleet, or stores baselines.
        commit: the commit that the run measures; empty until that is known.
        products: the files that are made from the run file.
    """

    def __init__(self, config: pytest.Config, options: Options, target: Target, sides: Sides) -> None:
        self._config, self._options, self._target, self._sides = config, options, target, sides
        worker = getattr(config, "workerinput", None)
        now = datetime.now(UTC)
        self._created = now.isoformat(timespec="seconds")
        self.run_id: str = worker["perf_run_id"] if worker else f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        output = config.rootpath / options.output
        self.path = output / f"{self.run_id}.jsonl"
        self.parts = Parts(output, self.run_id, worker["workerid"] if worker else None)
        # What is stored comes from what this run itself measured.
        self.tries = Tries(Path(options.shard_folder)) if options.shard_folder and not options.update else None
        self.commit = ""
        self.products = Products(config, options, self.path)

    def header(self) -> dict[str, Any]:
        """The first line of the run file, as far as it is known before the end."""
        from perfgate.records.runfile import new_header

        return new_header(
            self.run_id,
            self._created,
            self._config.rootpath,
            self._target.machine(self._sides.software),
            self._options.to_json() | {"device": self._target.kind, "tier": self._target.tier},
            self._sides.header(),
            self.commit,
        )

    def passed(self, case: str) -> None:
        """Note a case that passed, for a later try of this shard."""
        if self.tries:
            with suppress(UserError):  # whatever is wrong with the disk, the run file's own lines tell it
                self.tries.note(self.parts.of(MAIN), case)

    def taken_over(self) -> Sequence[str]:
        """A sentence about what was taken over from earlier tries, if anything was."""
        return [*self.tries.told()] if self.tries else []

    def write(self, code: int, ends: Ends, even_empty: bool) -> None:
        """Write the run file and make its products, if there is anything to write.

        Args:
            code: pytest's exit code so far.
            ends: the end of each case.
            even_empty: whether a run without cases writes that it had nothing to measure.

        Raises:
            UserError: something cannot be written, lines of a case are missing, or the checkout has moved.
        """
        from perfgate.records import runfile
        from perfgate.records.runfile_lines import STOPPED

        if self.tries:
            self.tries.write(self.parts.of(TAKEN))
        parts = self.parts.written()
        if not (parts or ends.results or even_empty):
            return
        header = self.header()
        header["command"] = command()
        if code in STOPS:
            header[STOPPED] = code
        header["failed"] = ends.failed_besides(self._options.root)
        whole = runfile.merge(self.path, header, parts)
        check_unmoved(self._config.rootpath, self.commit)
        if parts:
            self.products.make(ends)
        if lost := ends.lost(whole):
            raise UserError(f"{self.path}: {lost}")
