"""A metric: its unit, its kind, the pass that measures it, and its form for people."""

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
    """The place in a launch's ledger that holds a metric by module path.

    Attributes:
        table: the name of the ledger's table, which maps a module path to values by group, part or reason.
        column: the position in a row of values; ``None`` if each value is a single number.
        shown: the form in which people see a path and its group, part or reason.
        by_file: whether the paths are files, and not modules.
    """

    table: str
    column: int | None = None
    shown: str = "{path} ({what})"
    by_file: bool = False


@dataclass(frozen=True)
class Rate:
    """A rate: an amount in each step, divided by the step's time.

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
        """Whether the steps alone give the rate, without a dry run."""
        return self.of in ("samples", "tokens")


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: its name, which ends in its unit.
        unit: its unit, as reports show it: ``s``, ``bytes``, ``1/s``, ...
        kind: ``exact`` must be equal; ``bytes`` may grow by its tolerance; ``noisy`` is decided by statistics;
            ``reported`` is shown and never gated.
        brought_by: the pass that measures it; ``None`` if not known, as for a metric without a row.
        portable: whether it is the same on every machine, given the versions of torch and transformers.
        of_python: whether it also depends on the version of Python and on the kind of device.
        from_zero: whether 0 is a value like any other, although it is a time or a size.
        higher_is_better: the direction. The gate takes an increase for worse, so a gated metric cannot have it.
        fixtures: those whose workloads have it, by name (``generation``); empty for all workloads.
        over_ranks: the value of a launch of several ranks: the first rank's, the largest of all ranks, or nothing;
            ``None`` means the largest for bytes, else the first.
        each_counts: whether an increase by one fails even between library versions, where other counts may grow a
            little.
        rate: its computation from the time of a step, if it is a rate.
        column: its heading in the tables of techniques; empty if it has no column there. Metrics of the dry run have a
            column only in tables without times.
        cells: its place in a ledger, if a ledger attributes it to modules.
        of_kernels: whether it depends on a compiler's choice of kernels, which may be made by their speed.
        on_gpu: whether it exists only on devices that work while the host goes on.
        prior: the assumed standard deviation between sessions, 0.01 is 1%, for a time that is gated from the first
            session on; ``None`` if several sessions must show it first.
        way: the number of the way in which Perfgate measures or predicts it; values of different ways are not compared.
        way_since: the first version of Perfgate with this way; empty for the first way.
        beside: the metric that makes up a step together with it. Its change is then given as a share of the whole
            step, because a part that is nearly 0 changes by large ratios.

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
        """Whether a dry run measures it, so that no device is needed."""
        return self.brought_by == "dry"

    @property
    def gated(self) -> bool:
        """Whether a case can fail by it."""
        return self.kind != "reported"

    def gated_in(self, pass_name: PassName | None) -> bool:
        """Whether a case can fail by its value in a launch of this pass: only in the pass that measures it.

        A launch that names no pass, such as an old recorded one, may hold all of its metrics.
        """
        return self.gated and pass_name in (None, self.brought_by)

    @property
    def noisy(self) -> bool:
        """Whether statistics decide it, so that it needs a share of the chance of a false alarm.

        A tolerance that is a single number applies to these metrics.
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
        """Whether a duet measures it, with the steps of both sides in turn."""
        return self.noisy or (self.rate is not None and self.rate.by_step)

    @property
    def may_be_zero(self) -> bool:
        """Whether 0 is a valid value, and not a sign of a missing measurement."""
        return self.from_zero or not self.name.endswith(("_s", "_bytes"))

    @property
    def tolerance(self) -> float:
        """The largest acceptable change for a case that names none; 0.03 is 3%."""
        return TOLERANCES[self.kind]

    @property
    def told_by_ranks(self) -> OverRanks:
        """Which value a launch of several ranks has: ``first``, ``largest`` or ``nothing``."""
        return self.over_ranks or ("largest" if self.unit == "bytes" else "first")

    def brought_in(self, pass_name: PassName) -> bool:
        """Whether a launch of a pass keeps this metric when its program or an instrument reports it.

        A program reports the same metrics in every pass, but its times are valid only in the timed pass; the others
        slow it down.
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
            # Two decimals, in the largest unit that keeps a number of at least 1, down to KiB.
            size, unit = next(((s, u) for s, u in BYTES if value >= s), (1, "B"))
            return f"{value / size:.2f} {unit}{slash}{per}" if size > 1 else f"{value:.0f} B{slash}{per}"
        if amount == "FLOP":
            size, unit = next(((s, u) for s, u in FLOPS if value >= s), (1, "FLOP"))
            return f"{value / size:.4g} {unit}{slash}{per}"
        if self.kind == "exact":
            # A mean over steps may be fractional, if a program does something in only some of its steps.
            return f"{value:.2f}".rstrip("0").rstrip(".")
        return f"{value:.4g}{'/s' if self.unit == '1/s' else f' {self.unit}' if self.unit else ''}"
