"""The registry of metrics, one row each; everything that must know about metrics is derived from it."""

from collections.abc import Iterable
from functools import partial

from perfgate.shared.device_kinds import DEVICE_KINDS, DRY_TARGETS
from perfgate.shared.errors import UserError, nearest
from perfgate.shared.metric import FIRST_WAY, Cells, Metric, Rate

PYTHON_CALLS = "python_calls"
COMPILE_TIME = "compile_time_s"
PARTS = ("weights", "buffers", "gradients", "optimizer_state", "activations", "temporaries")
LASTING = ("weights", "buffers", "optimizer_state")  # the parts that a program names in a real run
COMPONENTS = ("text_encoder", "denoiser", "vae")  # the components of a pipeline that generates images
# Units by the ending of a name, for metrics without a row.
ENDINGS = (("_bytes_per_s", "bytes/s"), ("_per_s", "1/s"), ("_bytes", "bytes"), ("_s", "s"))


_timed = partial(Metric, brought_by="time")
_memory = partial(Metric, brought_by="memory")
_dry = partial(Metric, brought_by="dry", portable=True)
_way_2 = partial(_dry, way=2, way_since="0.2.0")
_counted = partial(Metric, brought_by="counters")

# In the order of reports. If a pass fails, its first gated metric stands for all of its metrics.
METRICS = {
    metric.name: metric
    for metric in (
        _timed("step_time_s", "s", "noisy", over_ranks="largest", column="step time"),
        # The two parts of a step on a GPU: kernels at work, and the rest, in which the device waits for the host.
        _timed("device_time_s", "s", "noisy", over_ranks="largest", on_gpu=True, prior=0.01, column="device time"),
        _timed("host_time_s", "s", "noisy", over_ranks="largest", on_gpu=True, beside="device_time_s"),
        _timed("time_to_first_token_s", "s", "noisy", fixtures=("generation",), column="time to first token"),
        _timed("time_per_output_token_s", "s", "noisy", fixtures=("generation",), column="time per output token"),
        # The two parts of loading a model and calling it once, and what of the second is compilation. Elsewhere the
        # counters pass tells how long compilation took, and only effects are decided by it.
        _timed("load_time_s", "s", "noisy", fixtures=("loading",), column="time to load"),
        _timed("first_call_time_s", "s", "noisy", fixtures=("loading",), column="first call"),
        _timed(COMPILE_TIME, "s", "noisy", fixtures=("loading",)),
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
        _memory(
            "peak_memory_bytes",
            "bytes",
            "bytes",
            of_kernels=True,
            column="peak memory",
            cells=Cells("held_at_peak", by_file=True),
        ),
        # For programs that work only on the host.
        _memory("peak_host_bytes", "bytes", "bytes", from_zero=True, column="peak of the host"),
        # Used only in a verdict, on a case without a dry run; it stands for all metrics below.
        _dry("dry_run", "", "exact"),
        # Way 2 of a dry run copies sound as Whisper does. On CUDA it also holds what the allocator and libraries take:
        # workspaces of matrix products and convolutions, the memory of sums and of attention's backward pass.
        _way_2("operator_calls", "", "exact", column="operator calls", cells=Cells("work", 0)),
        _dry("flops", "FLOP", "exact", column="FLOPs", cells=Cells("work", 1)),
        _way_2("moved_bytes", "bytes", "bytes", column="bytes moved", cells=Cells("work", 2)),
        *(
            _way_2(
                kind.predicted_peak,
                "bytes",
                "bytes",
                column=f"predicted peak{f' on {kind.title}' if kind.gpu else ''}",
                cells=Cells(f"{kind.prefix}memory"),
            )
            for kind in map(DEVICE_KINDS.__getitem__, DRY_TARGETS)
        ),
        # The same without the workspaces of libraries.
        *(
            _dry(kind.predicted_net, "bytes", "reported")
            for kind in map(DEVICE_KINDS.__getitem__, DRY_TARGETS)
            if kind.gpu
        ),
        # The memory as torch's allocator counts it: with the unused rest of each block, and with gaps between blocks.
        *(
            _dry(kind.predicted_in_blocks(name), "bytes", "reported")
            for kind in map(DEVICE_KINDS.__getitem__, DRY_TARGETS)
            if kind.gpu
            for name in ("allocated", "reserved")
        ),
        # The peak of total memory while one component of a pipeline works.
        *(
            _dry(kind.predicted_component(name), "bytes", "reported")
            for kind in map(DEVICE_KINDS.__getitem__, DRY_TARGETS)
            for name in COMPONENTS
        ),
        _dry("leaked_bytes", "bytes", "bytes", from_zero=True, cells=Cells("kept")),
        *(_dry(f"{part}_bytes", "bytes", "reported", from_zero=True) for part in PARTS),
        _dry("arithmetic_intensity", "FLOP/byte", "reported", higher_is_better=True),
        _dry("padded_tokens", "", "exact"),
        _dry("predicted_host_syncs", "", "exact", each_counts=True, cells=Cells("host_syncs")),
        # Way 2 counts the syncs everywhere in a step, and not only in the model's modules.
        _counted(
            "host_syncs",
            "",
            "exact",
            each_counts=True,
            cells=Cells("host_syncs"),
            way=2,
            way_since="0.2.0",
        ),
        # Way 2 leaves out imports, finders of packages that are merely installed, the variables of the environment, and
        # comparisons by tables.
        _counted(
            PYTHON_CALLS,
            "",
            "exact",
            portable=True,
            of_python=True,
            of_kernels=True,
            cells=Cells("python_calls", shown="{path}:{what}", by_file=True),
            way=2,
            way_since="0.2.0",
        ),
        # Reported by programs that batch sequences of different lengths: all tokens that the model processed.
        _counted("processed_tokens", "", "exact"),
        *(
            _counted(f"rank_{part}_bytes", "bytes", "exact", from_zero=True)
            for part in ("weights", "gradients", "optimizer_state")
        ),
        _counted("denoiser_calls", "", "exact"),
        _counted("denoised_samples", "", "exact"),
        _counted("graphs", "", "exact"),
        _counted("graph_breaks", "", "exact", cells=Cells("graph_breaks")),
        _counted("recompiles", "", "exact"),
        _counted("compile_cache_misses", "", "exact"),
        _counted("kernel_launches", "", "exact", of_kernels=True, cells=Cells("kernels", shown="{what} in {path}")),
        _counted("copies", "", "exact", of_kernels=True, cells=Cells("copies", shown="{what} in {path}")),
        _counted("graph_captures", "", "exact"),
        _counted("graph_replays", "", "exact"),
        _counted("forward_calls", "", "reported"),
        _counted("accepted_share", "", "reported", higher_is_better=True),
        _counted("padded_share", "", "reported"),
        *(_memory(f"measured_{part}_bytes", "bytes", "reported", from_zero=True) for part in PARTS),
        # The peak of all memory while a component of a pipeline is at work, as the dry run predicts it.
        *(_memory(f"{name}_peak_bytes", "bytes", "reported") for name in COMPONENTS),
        # The workspaces that torch keeps for cuBLAS are the same for every step; a net peak is one without them.
        _memory("workspace_bytes", "bytes", "reported", from_zero=True),
        _memory("peak_net_bytes", "bytes", "reported"),
        _memory("peak_requested_bytes", "bytes", "reported"),
        _memory("peak_reserved_bytes", "bytes", "bytes", of_kernels=True),
        # Measured in a step after the first: the allocator's driver calls, the tensors made, and the memory that stays.
        _memory("device_allocations", "", "exact", of_kernels=True, cells=Cells("device_allocations", by_file=True)),
        _memory("allocations", "", "exact", of_kernels=True, cells=Cells("allocations", by_file=True)),
        _memory("kept_bytes", "bytes", "bytes", from_zero=True, cells=Cells("kept_by_line", by_file=True)),
        _memory("peak_pinned_bytes", "bytes", "reported"),
        _memory("non_torch_memory_bytes", "bytes", "reported"),
        _memory("allocation_retries", "", "reported"),
        _memory("out_of_memory_errors", "", "reported"),
        _timed("step_time_p50_s", "s", "reported"),
        _timed("step_time_p95_s", "s", "reported"),
        # One rank's computation does not show how long the rank waits for others.
        _timed("queue_time_s", "s", "reported", over_ranks="nothing", from_zero=True),
        _timed("idle_time_s", "s", "reported", over_ranks="nothing", from_zero=True),
        _timed("peak_rss_bytes", "bytes", "reported"),
        _timed("host_bound_share", "", "reported"),
        _timed("forward_s", "s", "reported"),
        _timed("backward_s", "s", "reported"),
        _timed("optimizer_s", "s", "reported"),
        _timed("denoising_step_s", "s", "reported"),
        _timed("text_encoder_s", "s", "reported"),
        _timed("vae_s", "s", "reported"),
        _timed("data_wait_s", "s", "reported"),
        _timed("data_wait_share", "", "reported"),
        _timed("collectives", "", "reported"),
        _timed("communication_s", "s", "reported"),
        _timed("communication_share", "", "reported"),
        # The energy of a step, from the counter of a GPU or of a CPU; the share that an idle device uses is separate.
        _timed("energy_j", "J", "reported"),
        _timed("energy_per_sample_j", "J", "reported", column="J/sample"),
        _timed("energy_per_token_j", "J", "reported", column="J/token"),
        _timed("idle_power_w", "W", "reported"),
        _timed("idle_energy_share", "", "reported"),
        _timed("power_w", "W", "reported"),
        _timed("clock_mhz", "MHz", "reported", higher_is_better=True),
        _timed("setup_s", "s", "reported"),
        _timed("first_step_s", "s", "reported"),
    )
}


def ways_now() -> dict[str, int]:
    """The way of each metric that this version of Perfgate does not measure in the first way."""
    return {name: row.way for name, row in METRICS.items() if row.way != FIRST_WAY}


def is_ways(value: object) -> bool:
    """Whether a JSON value is a table from metrics to the numbers of their ways."""
    return isinstance(value, dict) and all(type(way) is int and way >= FIRST_WAY for way in value.values())


def metric(name: str) -> Metric:
    """Look up a metric. One without a row is reported and never gated, with the unit that its name ends in."""
    if name in METRICS:
        return METRICS[name]
    unit = next((unit for ending, unit in ENDINGS if name.endswith(ending)), "")
    return Metric(name, unit, "reported")


def stands_for(pass_name: str | None) -> str:
    """The metric that stands for a failed pass: the first gated one that the pass measures."""
    found = (row.name for row in METRICS.values() if row.gated and row.brought_by == pass_name)
    return next(found, "step_time_s")


def check_known(names: Iterable[str], where: str) -> None:
    """Refuse names that have no row.

    Raises:
        UserError: the message has the first such name and the closest known one.
    """
    for name in names:
        if name not in METRICS:
            raise UserError(f"{where}: unknown metric {name!r}{nearest(name, METRICS)}")


def check_gated(names: Iterable[str], where: str) -> None:
    """Refuse names that cannot be gated.

    Raises:
        UserError: the message has the first such name and all gated ones.
    """
    gated = [name for name, row in METRICS.items() if row.gated]
    for name in names:
        if name not in gated:
            raise UserError(f"{where}: unknown metric {name!r}; metrics that are gated: {', '.join(gated)}")
