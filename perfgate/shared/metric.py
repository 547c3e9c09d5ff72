"""A metric: its unit, its kind, the pass that brings it, and how people see a value of it."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["exact", "bytes", "noisy", "reported"]
PassName = Literal["dry", "counters", "memory", "time"]
OverRanks = Literal["first", "largest", "nothing"]
FIRST_WAY = 1
TOLERANCES: dict[Kind, float] = {"exact": 0.0, "bytes": 0.005, "noisy": 0.03, "reported": 0.0}
BYTES: tuple[tuple[int, str], ...] = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
FLOPS = ((10**12, "TFLOP"), (10**9, "GFLOP"), (10**6, "MFLOP"), (10**3, "kFLOP"))


@dataclass(frozen=True)
class Cells:
    """Where a launch's ledger holds a metric by module path.

    Attributes:
        table: name of the ledger's table, which maps a module path to what is told of it by group, part or reason.
        column: of the row that stands there; ``None`` where it is a single number.
        shown: how people see a path and what is told of it.
        by_file: whether the paths are those of files, and not of modules.
    """

    table: str
    column: int | None = None
    shown: str = "{path} ({what})"
    by_file: bool = False


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
        column: heading in the tables of techniques; empty where it has no column there. What a dry run tells has one
            in tables without times alone.
        cells: where a ledger attributes it to modules, if any does.
        of_kernels: whether it depends on which kernels a compiler chose, if that chooses by their times.
        on_gpu: whether only a device has it that works while the host goes on.
        prior: by how much sessions are taken to differ, 0.01 is 1%, of a time that is gated from the first session on;
            ``None`` for one whose sessions must show it first.
        way: the number of the way in which Perfgate measures or predicts it; values of different ways are not compared.
        way_since: the first version of Perfgate with this way; empty for the first way.
        beside: a metric that makes a step together with it. Where both are held against earlier ones, its change is
            told as a share of that step, since of next to nothing any change is large.

    Raises:
        ValueError: it is gated, and better when it is higher; or its way is not the first, and has no version.
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
    of_kernels: bool = False
    on_gpu: bool = False
    prior: float | None = None
    beside: str = ""
    way: int = FIRST_WAY
    way_since: str = ""

    def __post_init__(self) -> None:
        if (self.way != FIRST_WAY) != bool(self.way_since):
            raise ValueError(f"metric {self.name!r} needs both 'way' and 'way_since', or neither")
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

    def gated_in(self, pass_name: PassName | None) -> bool:
        """Whether a case can fail by what a launch of this pass tells of it: of the pass that brings it.

        A launch that names no pass, as a recorded one may, has all of its metrics.
        """
        return self.gated and pass_name in (None, self.brought_by)

    @property
    def noisy(self) -> bool:
        """Whether statistics decide it, so that it takes a share of the chance of a false alarm.

        A tolerance that a case gives as one number is for these.
        """
        return self.kind == "noisy"

    @property
    def needs_sessions(self) -> bool:
        """Whether several sessions must be stored before it is gated."""
        return self.noisy and self.prior is None

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
            # The mean over steps is no whole number where a program does something in some of its steps alone.
            return f"{value:.2f}".rstrip("0").rstrip(".")
        return f"{value:.4g}{'/s' if self.unit == '1/s' else f' {self.unit}' if self.unit else ''}"
