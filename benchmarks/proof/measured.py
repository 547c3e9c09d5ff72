"""Reads from a run file the figures of each case that the proof needs."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from perfgate.records.launch import medians
from perfgate.reports.memory import memory_rows
from perfgate.shared.device_kinds import DEVICE_KINDS


@dataclass(frozen=True)
class Measured:
    """The figures of one case in one run.

    Attributes:
        case: the case's id.
        step_s: step time, the median over the timed launches.
        launches: number of valid timed launches.
        apart: the slowest of these launches divided by the fastest, minus 1; ``None`` with fewer than two launches.
        busy: share of a step in which the device works; ``None`` if it is not known, as on a CPU.
        peaks: the different values of the allocated peak among the launches, in bytes.
        predicted_bytes: the peak that the dry run predicts for this device; ``None`` without a dry run.
        workspace_bytes: the predicted bytes of libraries' workspaces, which follow from rules and not from the program.
        flops: floating-point operations of a step, from the dry run.
        moved_bytes: bytes that the step's operators read and write, from the dry run; some of them stay in caches.
        in_force: the settings that were read back.
        wrong: the reason why launches were rejected for their settings; empty if all settings were in force.
    """

    case: str
    step_s: float | None = None
    launches: int = 0
    apart: float | None = None
    busy: float | None = None
    peaks: tuple[float, ...] = ()
    predicted_bytes: float | None = None
    workspace_bytes: float = 0.0
    flops: float | None = None
    moved_bytes: float | None = None
    in_force: Mapping[str, object] = field(default_factory=dict)
    wrong: str = ""

    @property
    def peak_bytes(self):
        """The highest allocated peak of all launches, in bytes."""
        return max(self.peaks, default=None)


def measured(run):
    """The figures of all cases of a run, in the run's order."""
    predicted = {row["case"]: row["predicted_peak_bytes"] for row in memory_rows(run)}
    gpu = DEVICE_KINDS[run.header["machine"].get("device", "cpu")].gpu
    return [
        of_case(case, launches, predicted.get(case), workspace_bytes(launches) if gpu else 0.0)
        for case, launches in run.by_case().items()
    ]


def of_case(case, launches, predicted_bytes, workspaces):
    """The figures of one case, from its launches."""
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
        workspaces,
        values.get("flops"),
        values.get("moved_bytes"),
        next((x.details.findings.effective for x in counters), {}),
        next((x.invalid or "" for x in counters if x.final), ""),
    )


def workspace_bytes(launches):
    """The bytes that the dry run's rules for CUDA count for libraries' workspaces; 0 without any."""
    ledgers = [launch.ledger for launch in launches if launch.pass_name == "dry"]
    own = (ledger["here"]["workspace_bytes"] for ledger in ledgers if "here" in ledger)
    tables = (ledger.get("cuda_memory", {}) for ledger in ledgers)
    return next(own, next((sum(table["workspaces"].values()) for table in tables if "workspaces" in table), 0.0))
