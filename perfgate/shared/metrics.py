"""The registry of metrics: one row each, from which everything that must know about metrics derives."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from perfgate.shared.device_kinds import DEVICE_KINDS, DRY_TARGETS
from perfgate.shared.errors import UserError, nearest

Kind = Literal["exact", "bytes", "noisy", "reported"]
PassName = Literal["dry", "counters", "memory", "time"]
OverRanks = Literal["first", "largest", "nothing"]
TOLERANCES: dict[Kind, float] = {"exact": 0.0, "bytes": 0.005, "noisy": 0.03, "reported": 0.0}
PYTHON_CALLS = "python_calls"
PARTS = ("weights", "buffers", "gradients", "optimizer_state", "activations", "temporaries")
LASTING = ("weights", "buffers", "optimizer_state")  # what a program names in a real run
BYTES: tuple[tuple[int, str], ...] = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
FLOPS = ((10**12, "TFLOP"), (10**9, "GFLOP"), (10**6, "MFLOP"), (10**3, "kFLOP"))
# Units by the ending of a name, for metrics that have no row.
ENDINGS = (("_bytes_per_s", "bytes/s"), ("_per_s", "1/s"), ("_bytes", "bytes"), ("_s", "s"))


@dataclass(frozen=True)
class Cells:
    """Where a launch's ledger holds a metric by module path.

    Attributes:
        table: name of the ledger's table, which maps a module path to what is told of it by group, part or reason.
        column: of the row that stands there; ``None`` where it is a single number.
        shown: how people see a path and what is told of it.
    """

    table: str
    column: int | None = None
    shown: str = "{path} ({what})"


@dataclass(frozen=True)
class Rate:
    """An amount of each step over the step's time.

    Attributes:
        of: the amount: ``samples`` or ``tokens`` of a launch, or a metric of the dry run.
        peak: the metric that holds the device's own rate, measured beside the step.
        share: the metric that holds the rate as a share of ``peak``.
    """

    of: str
    peak: str = ""
    share: str = ""

    @property
    def by_step(self) -> bool:
        """Whether each step has one, without a dry run."""
        return self.of in ("samples", "tokens")


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: with its unit at the end.
        unit: ``s``, ``bytes``, ``1/s``, ... as reports show it.
        kind: ``exact`` must be equal; ``bytes`` may grow by its tolerance; ``noisy`` is decided by statistics;
            ``reported`` is shown and never gated.
        brought_by: the pass that brings it; ``None`` where that is not known, as of a metric without a row.
        portable: whether it is the same on every machine, given the versions of torch and transformers.
        of_python: whether it also depends on the version of Python and on the kind of device.
        from_zero: whether 0 is a value like any other, although it is a time or a size.
        higher_is_better: the direction. The gate takes an increase for worse, so a gated metric cannot have it.
        fixtures: those whose workloads have it, by name (``generation``); empty for all workloads.
        over_ranks: what a launch of several ranks tells: the first rank's value, the largest one of all ranks, or
            nothing; ``None`` takes the largest of bytes and else the first.
        each_counts: whether one more fails also between versions of a library, where all else may move a little.
        rate: how it follows from the time of a step, if it is a rate.
        column: heading in the tables of techniques; empty where it has no column there.
        cells: where a ledger attributes it to modules, if any does.

    Raises:
        ValueError: it is gated, and better when it is higher.
    """

    name: str
    unit: str
    kind: Kind
    brought_by: PassName | None = None
    portable: bool = False
    of_python: bool = False
    from_zero: bool = False
    higher_is_better: bool = False
    fixtures: tuple[str, ...] = ()
    over_ranks: OverRanks | None = None
    each_counts: bool = False
    rate: Rate | None = None
    column: str = ""
    cells: Cells | None = None

    def __post_init__(self) -> None:
        if self.gated and self.higher_is_better:
            raise ValueError(
                f"metric {self.name!r} is {self.kind} and better when it is higher, but the gate takes an increase for "
                "worse: make it 'reported', or gate its inverse, as seconds a token in place of tokens a second"
            )

    @property
    def dry(self) -> bool:
        """Whether a dry run tells it, so that no device is needed."""
        return self.brought_by == "dry"

    @property
    def gated(self) -> bool:
        """Whether a case can fail by it."""
        return self.kind != "reported"

    @property
    def noisy(self) -> bool:
        """Whether statistics decide it, so that it takes a share of the chance of a false alarm.

        A tolerance that a case gives as one number is for these.
        """
        return self.kind == "noisy"

    @property
    def exact(self) -> bool:
        """Whether it is the same in every run of the same code."""
        return self.portable or self.kind == "exact"

    @property
    def stepped_in_turn(self) -> bool:
        """Whether a duet measures it, in which both sides are stepped in turn."""
        return self.noisy or (self.rate is not None and self.rate.by_step)

    @property
    def may_be_zero(self) -> bool:
        """Whether 0 is a measurement, and not a sign that there was none."""
        return self.from_zero or not self.name.endswith(("_s", "_bytes"))

    @property
    def tolerance(self) -> float:
        """The largest acceptable change, where a case names none; 0.03 is 3%."""
        return TOLERANCES[self.kind]

    @property
    def told_by_ranks(self) -> OverRanks:
        """What a launch of several ranks tells of it."""
        return self.over_ranks or ("largest" if self.unit == "bytes" else "first")

    def brought_in(self, pass_name: PassName) -> bool:
        """Whether a launch of a pass keeps what a program or an instrument tells of it.

        A program tells the same in every pass, but its times hold in the timed pass alone: the others slow it down.
        """
        if self.brought_by is None:
            return pass_name == "time" or self.unit != "s"
        return self.brought_by == pass_name

    def show(self, value: float) -> str:
        """The value for people, with its unit."""
        if self.unit == "s":
            return (
                f"{value:.3g} s"
                if value >= 1
                else f"{value * 1e3:.3g} ms"
                if value >= 1e-3
                else f"{value * 1e6:.3g} µs"
            )
        amount, slash, per = self.unit.partition("/")
        if amount == "bytes":
            # Two decimals in the unit that leaves a number before them, down to KiB.
            size, unit = next(((s, u) for s, u in BYTES if value >= s), (1, "B"))
            return f"{value / size:.2f} {unit}{slash}{per}" if size > 1 else f"{value:.0f} B{slash}{per}"
        if amount == "FLOP":
            size, unit = next(((s, u) for s, u in FLOPS if value >= s), (1, "FLOP"))
            return f"{value / size:.4g} {unit}{slash}{per}"
        if self.kind == "exact":
            return f"{value:.0f}"
        return f"{value:.4g}{'/s' if self.unit == '1/s' else f' {self.unit}' if self.unit else ''}"


_timed = partial(Metric, brought_by="time")
_memory = partial(Metric, brought_by="memory")
_dry = partial(Metric, brought_by="dry", portable=True)
_counted = partial(Metric, brought_by="counters")

# In the order of reports. The first gated one of a pass stands for all of them where the pass failed.
METRICS = {
    metric.name: metric
    for metric in (
        _timed("step_time_s", "s", "noisy", over_ranks="largest", column="step time"),
        _timed("time_to_first_token_s", "s", "noisy", fixtures=("generation",), column="time to first token"),
        _timed("time_per_output_token_s", "s", "noisy", fixtures=("generation",), column="time per output token"),
        _timed("samples_per_s", "1/s", "reported", higher_is_better=True, rate=Rate("samples"), column="samples/s"),
        _timed("tokens_per_s", "1/s", "reported", higher_is_better=True, rate=Rate("tokens"), column="tokens/s"),
        _timed(
            "flops_per_s",
            "FLOP/s",
            "reported",
            higher_is_better=True,
            rate=Rate("flops", "peak_flops_per_s", "flops_share"),
            column="FLOP/s",
        ),
        _timed(
            "moved_bytes_per_s",
            "bytes/s",
            "reported",
            higher_is_better=True,
            rate=Rate("moved_bytes", "peak_bytes_per_s", "bandwidth_share"),
            column="bytes/s",
        ),
        _timed("flops_share", "", "reported", higher_is_better=True),
        _timed("bandwidth_share", "", "reported", higher_is_better=True),
        _timed("peak_flops_per_s", "FLOP/s", "reported", higher_is_better=True),
        _timed("peak_bytes_per_s", "bytes/s", "reported", higher_is_better=True),
        _memory("peak_memory_bytes", "bytes", "bytes", column="peak memory"),
        # Only a verdict has this name, on a case that has no dry run: it stands for all metrics below.
        _dry("dry_run", "", "exact"),
        _dry("operator_calls", "", "exact", cells=Cells("work", 0)),
        _dry("flops", "FLOP", "exact", cells=Cells("work", 1)),
        _dry("moved_bytes", "bytes", "bytes", cells=Cells("work", 2)),
        *(
            _dry(kind.predicted_peak, "bytes", "bytes", cells=Cells(f"{kind.prefix}memory"))
            for kind in map(DEVICE_KINDS.__getitem__, DRY_TARGETS)
        ),
        _dry("leaked_bytes", "bytes", "bytes", from_zero=True, cells=Cells("kept")),
        *(_dry(f"{part}_bytes", "bytes", "reported", from_zero=True) for part in PARTS),
        _dry("arithmetic_intensity", "FLOP/byte", "reported", higher_is_better=True),
        _dry("padded_tokens", "", "exact"),
        _dry("predicted_host_syncs", "", "exact", each_counts=True, cells=Cells("host_syncs")),
        _counted("host_syncs", "", "exact", each_counts=True, cells=Cells("host_syncs")),
        _counted(
            PYTHON_CALLS,
            "",
            "exact",
            portable=True,
            of_python=True,
            cells=Cells("python_calls", shown="{path}:{what}"),
        ),
        # By the programs that put sequences of different lengths together: every token that the model ran over.
        _counted("processed_tokens", "", "exact"),
        *(
            _counted(f"rank_{part}_bytes", "bytes", "exact", from_zero=True)
            for part in ("weights", "gradients", "optimizer_state")
        ),
        _counted("graphs", "", "exact"),
        _counted("graph_breaks", "", "exact", cells=Cells("graph_breaks")),
        _counted("recompiles", "", "exact"),
        _counted("kernel_launches", "", "exact"),
        _counted("copies", "", "exact"),
        _counted("device_busy_s", "s", "reported"),
        _counted("compile_time_s", "s", "reported"),
        _counted("forward_calls", "", "reported"),
        _counted("accepted_share", "", "reported", higher_is_better=True),
        _counted("padded_share", "", "reported"),
        *(_memory(f"measured_{part}_bytes", "bytes", "reported", from_zero=True) for part in LASTING),
        _memory("peak_requested_bytes", "bytes", "reported"),
        _memory("peak_reserved_bytes", "bytes", "reported"),
        _memory("peak_pinned_bytes", "bytes", "reported"),
        _memory("non_torch_memory_bytes", "bytes", "reported"),
        _memory("allocation_retries", "", "reported"),
        _memory("out_of_memory_errors", "", "reported"),
        _timed("step_time_p50_s", "s", "reported"),
        _timed("step_time_p95_s", "s", "reported"),
        # What one rank computes does not tell how long it waits for others.
        _timed("queue_time_s", "s", "reported", over_ranks="nothing", from_zero=True),
        _timed("idle_time_s", "s", "reported", over_ranks="nothing", from_zero=True),
        _timed("peak_rss_bytes", "bytes", "reported"),
        _timed("device_time_s", "s", "reported"),
        _timed("host_bound_share", "", "reported"),
        _timed("forward_s", "s", "reported"),
        _timed("backward_s", "s", "reported"),
        _timed("optimizer_s", "s", "reported"),
        _timed("data_wait_s", "s", "reported"),
        _timed("data_wait_share", "", "reported"),
        _timed("collectives", "", "reported"),
        _timed("communication_s", "s", "reported"),
        _timed("communication_share", "", "reported"),
        _timed("energy_j", "J", "reported"),
        _timed("power_w", "W", "reported"),
        _timed("clock_mhz", "MHz", "reported", higher_is_better=True),
        _timed("setup_s", "s", "reported"),
        _timed("first_step_s", "s", "reported"),
    )
}


def metric(name: str) -> Metric:
    """Look a metric up; one without a row is reported and never gated, and its name tells its unit."""
    unit = next((unit for ending, unit in ENDINGS if name.endswith(ending)), "")
    return METRICS.get(name) or Metric(name, unit, "reported")


def stands_for(pass_name: str | None) -> str:
    """The metric under which a pass is judged that brought nothing: the first gated one that it would have brought."""
    found = (row.name for row in METRICS.values() if row.gated and row.brought_by == pass_name)
    return next(found, "step_time_s")


def check_known(names: Iterable[str], where: str) -> None:
    """Refuse names that have no row.

    Raises:
        UserError: naming the first such name and what was perhaps meant.
    """
    for name in names:
        if name not in METRICS:
            raise UserError(f"{where}: unknown metric {name!r}{nearest(name, METRICS)}")


def check_gated(names: Iterable[str], where: str) -> None:
    """Refuse names that cannot be gated.

    Raises:
        UserError: naming the first such name and those that exist.
    """
    gated = [name for name, row in METRICS.items() if row.gated]
    for name in names:
        if name not in gated:
            raise UserError(f"{where}: unknown metric {name!r}; metrics that are gated: {', '.join(gated)}")
