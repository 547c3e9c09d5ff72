"""The registry of metrics: what each is called, its unit, which way is better, and how it is judged."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from perfgate.shared.errors import UserError, nearest

Kind = Literal["exact", "bytes", "noisy", "reported"]
TOLERANCES: dict[Kind, float] = {"exact": 0.0, "bytes": 0.005, "noisy": 0.03, "reported": 0.0}
PARTS = ("weights", "buffers", "gradients", "optimizer_state", "activations", "temporaries")
LASTING = ("weights", "buffers", "optimizer_state")  # what a program names in a real run
BYTES: tuple[tuple[int, str], ...] = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
FLOPS = ((10**12, "TFLOP"), (10**9, "GFLOP"), (10**6, "MFLOP"), (10**3, "kFLOP"))


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: with its unit at the end.
        unit: ``s``, ``bytes``, ``1/s``, ... as reports show it.
        higher_is_better: the direction.
        kind: ``exact`` must be equal; ``bytes`` may grow by its tolerance; ``noisy`` is decided by statistics;
            ``reported`` is shown and never gated.
        portable: whether it is the same on every machine, given the versions of torch and transformers.
        from_zero: whether 0 is a value like any other, although it is a time or a size.
    """

    name: str
    unit: str
    kind: Kind
    higher_is_better: bool = False
    portable: bool = False
    from_zero: bool = False

    @property
    def may_be_zero(self) -> bool:
        """Whether 0 is a measurement, and not a sign that there was none."""
        return self.from_zero or not self.name.endswith(("_s", "_bytes"))

    @property
    def gated(self) -> bool:
        """Whether a case can fail by it."""
        return self.kind != "reported"

    @property
    def exact(self) -> bool:
        """Whether it says the same in every run of the same code."""
        return self.portable or self.kind == "exact"

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

    @property
    def tolerance(self) -> float:
        """The largest acceptable change, where a case names none; 0.03 is 3%."""
        return TOLERANCES[self.kind]


METRICS = {
    metric.name: metric
    for metric in (
        Metric("step_time_s", "s", "noisy"),
        Metric("time_to_first_token_s", "s", "noisy"),
        Metric("time_per_output_token_s", "s", "noisy"),
        Metric("peak_memory_bytes", "bytes", "bytes"),
        Metric("flops", "FLOP", "exact", portable=True),
        Metric("operator_calls", "", "exact", portable=True),
        Metric("moved_bytes", "bytes", "bytes", portable=True),
        Metric("predicted_peak_bytes", "bytes", "bytes", portable=True),
        Metric("predicted_cuda_peak_bytes", "bytes", "bytes", portable=True),
        Metric("leaked_bytes", "bytes", "bytes", portable=True, from_zero=True),
        *(Metric(f"{part}_bytes", "bytes", "reported", portable=True, from_zero=True) for part in PARTS),
        Metric("arithmetic_intensity", "FLOP/byte", "reported", higher_is_better=True, portable=True),
        Metric("padded_tokens", "", "exact", portable=True),
        *(Metric(f"measured_{part}_bytes", "bytes", "reported", from_zero=True) for part in LASTING),
        # By the programs that put sequences of different lengths together: every token that the model ran over.
        Metric("processed_tokens", "", "exact"),
        *(
            Metric(f"rank_{part}_bytes", "bytes", "exact", from_zero=True)
            for part in ("weights", "gradients", "optimizer_state")
        ),
        Metric("collectives", "", "reported"),
        Metric("communication_s", "s", "reported"),
        Metric("communication_share", "", "reported"),
        Metric("host_syncs", "", "exact"),
        Metric("graphs", "", "exact"),
        Metric("graph_breaks", "", "exact"),
        Metric("recompiles", "", "exact"),
        Metric("kernel_launches", "", "exact"),
        Metric("copies", "", "exact"),
        Metric("forward_calls", "", "reported"),
        Metric("accepted_share", "", "reported", higher_is_better=True),
        Metric("compile_time_s", "s", "reported"),
        Metric("samples_per_s", "1/s", "reported", higher_is_better=True),
        Metric("tokens_per_s", "1/s", "reported", higher_is_better=True),
        Metric("flops_per_s", "FLOP/s", "reported", higher_is_better=True),
        Metric("moved_bytes_per_s", "bytes/s", "reported", higher_is_better=True),
        Metric("flops_share", "", "reported", higher_is_better=True),
        Metric("bandwidth_share", "", "reported", higher_is_better=True),
        Metric("peak_flops_per_s", "FLOP/s", "reported", higher_is_better=True),
        Metric("peak_bytes_per_s", "bytes/s", "reported", higher_is_better=True),
        Metric("step_time_p50_s", "s", "reported"),
        Metric("step_time_p95_s", "s", "reported"),
        Metric("queue_time_s", "s", "reported", from_zero=True),
        Metric("idle_time_s", "s", "reported", from_zero=True),
        Metric("peak_rss_bytes", "bytes", "reported"),
        Metric("device_time_s", "s", "reported"),
        Metric("device_busy_s", "s", "reported"),
        Metric("host_bound_share", "", "reported"),
        Metric("forward_s", "s", "reported"),
        Metric("backward_s", "s", "reported"),
        Metric("optimizer_s", "s", "reported"),
        Metric("data_wait_s", "s", "reported"),
        Metric("data_wait_share", "", "reported"),
        Metric("padded_share", "", "reported"),
        Metric("energy_j", "J", "reported"),
        Metric("power_w", "W", "reported"),
        Metric("clock_mhz", "MHz", "reported", higher_is_better=True),
        Metric("peak_requested_bytes", "bytes", "reported"),
        Metric("peak_reserved_bytes", "bytes", "reported"),
        Metric("peak_pinned_bytes", "bytes", "reported"),
        Metric("non_torch_memory_bytes", "bytes", "reported"),
        Metric("allocation_retries", "", "reported"),
        Metric("out_of_memory_errors", "", "reported"),
        Metric("setup_s", "s", "reported"),
        Metric("first_step_s", "s", "reported"),
    )
}


def metric(name: str) -> Metric:
    """Look a metric up; one that is not registered is reported and never gated."""
    return METRICS.get(name, Metric(name, "", "reported"))


def check_known(names: Iterable[str], where: str) -> None:
    """Refuse names that are not registered.

    Raises:
        UserError: naming the first such name and what was perhaps meant.
    """
    for name in names:
        if name not in METRICS:
            raise UserError(f"{where}: unknown metric {name!r}{nearest(name, METRICS)}")


def check_names(names: Iterable[str], where: str) -> None:
    """Refuse names that cannot be gated.

    Raises:
        UserError: naming the first such name and those that exist.
    """
    gated = [name for name, known in METRICS.items() if known.gated]
    for name in names:
        if name not in gated:
            raise UserError(f"{where}: unknown metric {name!r}; metrics that are gated: {', '.join(gated)}")
