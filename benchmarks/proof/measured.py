"""What a run file tells of each case, as far as the proof asks for it."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from perfgate.records.launch import medians
from perfgate.reports.memory import memory_rows


@dataclass(frozen=True)
class Measured:
    """One case of one run.

    Attributes:
        case: its id.
        step_s: median over its timed launches.
        launches: valid timed ones.
        apart: the slowest of these launches over the fastest, less 1; ``None`` where there are not two.
        busy: share of a step in which the device works; ``None`` where that is not told, as on a CPU.
        peaks: the different values of the allocated peak that its launches told, in bytes.
        predicted_bytes: the peak that the dry run foretells for this device; ``None`` without one.
        flops: of a step, by dry run.
        moved_bytes: that the step's operators read and write, by dry run; caches spare the memory some of it.
        in_force: settings that were read back.
        wrong: why launches were rejected for their settings; empty where those asked for were in force.
    """

    case: str
    step_s: float | None = None
    launches: int = 0
    apart: float | None = None
    busy: float | None = None
    peaks: tuple[float, ...] = ()
    predicted_bytes: float | None = None
    flops: float | None = None
    moved_bytes: float | None = None
    in_force: Mapping[str, object] = field(default_factory=dict)
    wrong: str = ""

    @property
    def peak_bytes(self):
        """The highest."""
        return max(self.peaks, default=None)


def measured(run):
    """All cases of a run, in its order."""
    predicted = {row["case"]: row["predicted_peak_bytes"] for row in memory_rows(run)}
    return [of_case(case, launches, predicted.get(case)) for case, launches in run.by_case().items()]


def of_case(case, launches, predicted_bytes):
    """What one case's launches tell."""
    valid = [launch for launch in launches if not launch.invalid]
    steps = [x.value("step_time_s") for x in valid if x.pass_name == "time"]
    values = medians(valid)
    counters = [launch for launch in launches if launch.pass_name == "counters"]
    host_bound = values.get("host_bound_share")
    return Measured(
        case,
        statistics.median(steps) if steps else None,
        len(steps),
        max(steps) / min(steps) - 1 if len(steps) > 1 else None,
        None if host_bound is None else 1 - host_bound,
        tuple(sorted({x.value("peak_memory_bytes") for x in valid if "peak_memory_bytes" in x.metrics})),
        predicted_bytes,
        values.get("flops"),
        values.get("moved_bytes"),
        next((x.details.findings.effective for x in counters), {}),
        next((x.invalid or "" for x in counters if x.final), ""),
    )
