"""Takes traces of a case's sides after everything else of the case was measured and decided."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perfgate.cases.deadline import Deadline
from perfgate.cases.duets import Progress
from perfgate.gate.wording import counted_as
from perfgate.measure.duet import DuetSide
from perfgate.measure.passes.trace import trace_launch
from perfgate.measure.pool import Pool
from perfgate.measure.stage import Stage
from perfgate.records.traces import Trace, file_name
from perfgate.records.verdict import Verdict
from perfgate.shared.workload import Workload

OUT_OF_TIME = "no time was left for it (--perf-budget)"
DRY = "a dry run takes no steps; name a device with --perf-device"


@dataclass
class Tracer:
    """Takes traces, one for each side of a case.

    Attributes:
        stage: the stage with the device.
        folder: the folder for the files, beside the run file; the first trace makes it.
        every: whether cases that did not get worse are traced too.
        deadline: the deadline of the run.
    """

    stage: Stage
    folder: Path
    every: bool
    deadline: Deadline
    _took_s: float = field(default=0.0, init=False)

    def take(
        self,
        case: str,
        workloads: Sequence[Workload],
        beside: Pool | None,
        verdicts: Sequence[Verdict],
        progress: Progress,
    ) -> tuple[Trace, ...]:
        """The traces of a case; empty if it is not to be traced.

        The other side is traced too if it can run: the reference, vanilla, or the state of the baseline.

        Args:
            case: its id.
            workloads: its own, and vanilla's for an effect.
            beside: the servers of the baseline's state, if duets confirmed the case.
            verdicts: the verdicts on the case.
            progress: called with a few words when something begins.
        """
        if not (self.every or any(counted_as(verdict) == "regressed" for verdict in verdicts)):
            return ()
        own, *vanilla = workloads
        pool = self.stage.pool if vanilla else self.stage.reference or beside
        sides = [DuetSide("candidate", self.stage.pool, own)]
        sides += [DuetSide("reference", pool, workloads[-1])] if pool else []
        return tuple(self._one(case, part, progress) for part in sides)

    def _one(self, case: str, part: DuetSide, progress: Progress) -> Trace:
        if self.stage.plan.device == "none":
            return Trace(case, part.side, why=DRY)
        if not self.deadline.allows(self._took_s):
            return Trace(case, part.side, why=OUT_OF_TIME)
        progress(f"trace of the {part.side}")
        begin = time.perf_counter()
        path = self.folder / file_name(case, part.side)
        unfinished = path.with_name(f".{path.name}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            why = trace_launch(self.stage, part.workload, part.pool.next(), unfinished)
            if not why:
                unfinished.replace(path)
        except OSError as error:
            why = f"{self.folder} cannot be written: {error.strerror}"
        finally:
            self._clear(unfinished)
            self._took_s = time.perf_counter() - begin
        file = "" if why else f"{self.folder.name}/{path.name}"
        return Trace(case, part.side, file, why)

    def _clear(self, unfinished: Path) -> None:
        """Delete an unfinished trace, and the folder if it is empty."""
        try:
            unfinished.unlink(missing_ok=True)
            self.folder.rmdir()
        except OSError:
            return
