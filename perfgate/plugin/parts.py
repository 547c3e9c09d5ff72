"""The files that the processes of a run write their lines to, until its run file is made of them."""

from contextlib import ExitStack
from pathlib import Path

from perfgate.records.runfile import MAIN, claim, part_of, parts_of


class Parts:
    """The parts of one run.

    Args:
        output: the folder of run files.
        run_id: names the run.
        worker: xdist's name of this process; ``None`` where it is no worker.
    """

    def __init__(self, output: Path, run_id: str, worker: str | None) -> None:
        self._output, self._run_id, self._process = output, run_id, worker or MAIN
        self._claim = ExitStack()
        self._claimed = False

    @property
    def own(self) -> Path:
        """What this process writes."""
        return part_of(self._output, self._run_id, self._process)

    def written(self) -> list[Path]:
        """Those of all processes that are there."""
        return parts_of(self._output, self._run_id)

    def claim(self) -> None:
        """Let no other run take them for those of a run that was killed; called when it is known that there are any.

        Raises:
            UserError: the folder cannot be made or written.
        """
        if not self._claimed:
            self._claimed = True
            self._claim.enter_context(claim(self._output, self._run_id, self._process))

    def close(self) -> None:
        """Give them up."""
        self._claim.close()
