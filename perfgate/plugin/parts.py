"""The files to which the processes of a run write their lines until the run file is made."""

from contextlib import ExitStack
from pathlib import Path

from perfgate.records.runfile import MAIN, claim, part_of, parts_of


class Parts:
    """The parts of one run.

    Args:
        output: the folder for run files.
        run_id: the run's id.
        worker: xdist's name of this process; ``None`` if it is no worker.
    """

    def __init__(self, output: Path, run_id: str, worker: str | None) -> None:
        self._output, self._run_id, self._process = output, run_id, worker or MAIN
        self._claim = ExitStack()
        self._claimed = False

    @property
    def own(self) -> Path:
        """The file of this process."""
        return self.of(self._process)

    def of(self, process: str) -> Path:
        """The file of a process of the run."""
        return part_of(self._output, self._run_id, process)

    def written(self) -> list[Path]:
        """The existing files of all processes."""
        return parts_of(self._output, self._run_id)

    def claim(self) -> None:
        """Keep other runs from deleting the parts; called before the first part is written.

        Raises:
            UserError: the folder cannot be made or written.
        """
        if not self._claimed:
            self._claimed = True
            self._claim.enter_context(claim(self._output, self._run_id, self._process))

    def close(self) -> None:
        """Release the claim."""
        self._claim.close()
