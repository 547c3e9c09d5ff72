"""Runs a workload dry, and writes a ledger of one step: its work and its memory."""

import gc
import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
import torch._dynamo  # imports sympy; the first step on fake tensors needs it, and otherwise each actor would import it
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
)
from transformers.utils import import_utils

from perfgate.actor.dry_run.apart import seeded
from perfgate.actor.dry_run.calls import networks_of
from perfgate.actor.dry_run.context import DryContext, NoDryRun
from perfgate.actor.dry_run.cuda_rules import CpuRules
from perfgate.actor.dry_run.host_syncs import HostSyncs, pinning
from perfgate.actor.dry_run.itself import run_itself
from perfgate.actor.dry_run.operators import GROUPS
from perfgate.actor.dry_run.pace import MAX_STEPS
from perfgate.actor.dry_run.places import place_of
from perfgate.actor.dry_run.refusals import NothingToCount
from perfgate.actor.dry_run.stand_ins import StandIns, whole_lists
from perfgate.actor.dry_run.storages import Allocation, by_part
from perfgate.actor.dry_run.trace import in_blocks, trace_of
from perfgate.actor.dry_run.tracker import Tracker
from perfgate.actor.programs.base import ITSELF
from perfgate.actor.techniques.attention import kernel_of
from perfgate.shared.device_kinds import DEVICE_KINDS, load

LARGEST = 3  # the number of tensors to name
ONE, OTHER = 1, 3  # two numbers to use in place of unknown values; both are possible weights, sizes and losses
VALUES = (DataDependentOutputException, DynamicOutputShapeException)
UNSUPPORTED = (UnsupportedFakeTensorException, UnsupportedOperatorException, NotImplementedError)


def dry_run(
    program: Any,
    params: Mapping[str, Any],
    target: str = "cpu",
    capability: tuple[int, int] = (9, 0),
    speeds: Mapping[str, float] | None = None,
    traced: bool = False,
    most_steps: int = MAX_STEPS,
) -> dict[str, Any]:
    """Take a step on fake tensors and account for its work and memory.

    Args:
        program: the class of a program; its ``dry_run`` says how it runs dry.
        params: its parameters.
        target: the kind of device, whose rules apply.
        capability: compute capability of the target.
        speeds: peak FLOP/s by dtype and ``bytes_per_s``, for ``roofline_s``.
        traced: whether to add every allocation and operator, as ``trace``.
        most_steps: the largest number of steps for a program without a counterpart. The result's ``steps`` is the
            number after which all steps are alike, which holds for every target.

    Raises:
        NoDryRun: the message has the reason, as a clause.
    """
    if getattr(program, "host_work", False):
        raise NothingToCount(f"program {program.__name__} is work of the host alone")
    if getattr(program, "dry_run", ITSELF) is None:
        why = getattr(program, "why_not_dry", "")
        raise NoDryRun(f"program {program.__name__} says dry_run = None{f': {why}' if why else ''}")
    again = partial(attempt, program, params, target, capability, speeds, traced, most_steps)
    found, read_at = again()
    # The first run may also have imported modules, whose tensors stay; then two later runs are compared.
    if read_at and not (same_by(lambda: again(OTHER)[0], found) or same_by(lambda: again(OTHER)[0], again()[0])):
        raise NoDryRun(f"its work depends on a value that depends on weights, read at {read_at}")
    return found


def same_by(again: Callable[[], dict[str, Any]], found: dict[str, Any]) -> bool:
    """Whether another dry run has the same result."""
    try:
        return again() == found
    except Exception:
        return False


def attempt(
    program: Any,
    params: Mapping[str, Any],
    target: str,
    capability: tuple[int, int],
    speeds: Mapping[str, float] | None,
    traced: bool,
    most_steps: int,
    number: int = ONE,
) -> tuple[dict[str, Any], str]:
    """One dry run, with a number in place of unknown values; also returns where an unknown value was read, if so."""
    module, _, name = program.dry_run.partition(":")
    rules: CpuRules = load(DEVICE_KINDS[target].rules)(capability)
    tracker = Tracker(rules.block_bytes, speeds, traced=traced)
    tracker.scratch = rules.scratch_bytes
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    context = DryContext(fake, tracker, rules)
    stand_ins = StandIns(tracker, number)
    with ExitStack() as stack:
        # Seeded each time, because a program that shuffles its samples must get the same order for each target.
        around = (
            seeded(),
            uncollected(),
            believed(),
            converted(),
            whole_lists(),
            rules.functions(),
            stand_ins,
            fake,
            tracker,
        )
        for entered in (*around, tracker.hooked()):
            stack.enter_context(entered)
        try:
            stack.enter_context(rules.attending(kernel_of(params.get("attention", ""))))
            if name:
                dry = getattr(importlib.import_module(module), name)(context, **params)
                tracker.restart()
                dry.step()
                if tracker.stopped:
                    raise tracker.stopped
                account = ledger(tracker, rules, target) | left_behind(tracker, dry)
                networks = [dry.network]
            else:
                tracker.syncs = HostSyncs(tracker.path)
                stack.enter_context(pinning())
                stack.enter_context(tracker.syncs)
                write = partial(ledger, tracker, rules, target)
                dry, account = run_itself(program, dict(params), context, write, most_steps)
                networks = list(networks_of(dry).values())
        except VALUES as error:
            where = tracker.failed_at or "the program"
            at = place_of(error)
            raise NoDryRun(f"{where} looks at values that depend on weights ({error.func} at {at})") from None
        except UNSUPPORTED as error:
            raise NoDryRun(str(error).strip().splitlines()[0]) from None
        found = {**sizes_of(networks), **account}
        if not found["operator_calls"]:
            raise NothingToCount(f"program {program.__name__} does no work in torch")
        return found | metrics_of(found, target) | {"without_rules": rules.unknown(params)}, stand_ins.used_at


def metrics_of(found: Mapping[str, Any], target: str) -> dict[str, float]:
    """The metrics of a ledger that are not in it under their own names. Each has a row in the registry of metrics."""
    moved_bytes = found["read_bytes"] + found["written_bytes"]
    kind = DEVICE_KINDS[target]
    told = {
        "moved_bytes": moved_bytes,
        kind.predicted_peak: found["peak_memory_bytes"],
        kind.predicted_net: found["peak_memory_bytes"] - found["memory"].get("workspaces", {}).get("temporaries", 0),
        **{kind.predicted_in_blocks(name): size for name, size in found.get("in_blocks", {}).items()},
        **{kind.predicted_component(n): of["peak_memory_bytes"] for n, of in found.get("components", {}).items()},
        **{f"{part}_bytes": size for part, size in found["highest_by_part_bytes"].items()},
    }
    return told | ({"arithmetic_intensity": found["flops"] / moved_bytes} if moved_bytes else {})


def sizes_of(networks: Sequence[Any]) -> dict[str, int]:
    """The number of parameters, each counted once, and the number of those that are trained."""
    sizes = {parameter: parameter.numel() for network in networks for parameter in network.parameters()}
    return {
        "parameters": sum(sizes.values()),
        "trainable_parameters": sum(size for parameter, size in sizes.items() if parameter.requires_grad),
    }


def left_behind(tracker: Tracker, dry: Any) -> dict[str, Any]:
    """The bytes that a dry counterpart's step allocated and did not free, in total and by module and part."""
    # Tensors that only reference cycles keep alive are not leaks.
    gc.collect()
    kept, parts = by_part(tracker.storages.kept(tracker.since))
    after: dict[str, Any] = {"leaked_bytes": sum(parts.values()), "kept": dict(sorted(kept.items()))}
    after |= dry.told() if hasattr(dry, "told") else {}
    return after | ({"padded_tokens": dry.padded_tokens} if hasattr(dry, "padded_tokens") else {})


@contextmanager
def uncollected() -> Iterator[None]:
    """Switch garbage collection off within the block.

    The moment of a collection depends on what ran before, and the peak memory would depend on that moment.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def believed() -> Iterator[None]:
    """Make transformers treat fake tensors as real ones. It would not look at their values, which are known here."""
    ask = getattr(import_utils, "is_fake_tensor", None)
    if ask is None:
        yield
        return
    import_utils.is_fake_tensor = lambda _: False
    try:
        yield
    finally:
        import_utils.is_fake_tensor = ask


@contextmanager
def converted() -> Iterator[None]:
    """Make ``Module.to`` change fake parameters in place, as it does real ones; left to itself, it refuses.

    Every holder of a parameter then has the changed one, such as an optimizer that was made before, or a tied module.
    """
    keep = torch.nn.Module._apply

    def apply(module: Any, change: Any, recurse: bool = True) -> Any:
        for child in module.children() if recurse else ():
            child._apply(change)
        with torch.no_grad():
            for name, parameter in module._parameters.items():
                if parameter is None or (new := change(parameter)) is parameter:
                    continue
                if new.device == parameter.device:
                    gradient, parameter.grad = parameter.grad, None
                    parameter.data, parameter.grad = new, None if gradient is None else change(gradient)
                else:
                    module._parameters[name] = torch.nn.Parameter(new, parameter.requires_grad)
            for name, buffer in module._buffers.items():
                module._buffers[name] = None if buffer is None else change(buffer)
        return module

    torch.nn.Module._apply = apply
    try:
        yield
    finally:
        torch.nn.Module._apply = keep


def ledger(tracker: Tracker, rules: CpuRules, target: str) -> dict[str, Any]:
    """The ledger of a step as JSON.

    ``memory_by_part_bytes`` holds each part's bytes at the moment of the peak, and ``highest_by_part_bytes`` its bytes
    at its own highest moment. ``memory_by_phase_bytes`` holds each part's bytes at the highest moment of each phase.
    ``work`` maps module path and group to ``[calls, FLOPs, bytes moved]``, and ``memory`` maps module path and part to
    bytes at the peak. All totals are sums of these. ``in_blocks`` holds the peaks in blocks of the device's allocator.
    """
    work: dict[str, dict[str, list[int]]] = defaultdict(dict)
    groups = {group: [0, 0, 0, 0] for group in GROUPS}
    roofline_s = 0.0
    for (path, group), (calls, flops, read, written, seconds) in tracker.work.items():
        work[path][group] = [int(calls), int(flops), int(read + written)]
        for position, value in enumerate((calls, flops, read, written)):
            groups[group][position] += int(value)
        roofline_s += seconds
    living = tracker.storages.at_peak(tracker.since)
    memory, parts = by_part(living)
    workspaces = rules.workspaces(tracker.multiplying, tracker.biased)
    workspace_bytes = sum(workspaces)
    if workspace_bytes:
        parts["temporaries"] += workspace_bytes
        memory["workspaces"] = {"temporaries": workspace_bytes}
    found = {
        "target": target,
        "operator_calls": sum(row[0] for row in groups.values()),
        "flops": sum(row[1] for row in groups.values()),
        "read_bytes": sum(row[2] for row in groups.values()),
        "written_bytes": sum(row[3] for row in groups.values()),
        "flops_by_group": {group: row[1] for group, row in groups.items()},
        "peak_memory_bytes": sum(parts.values()),
        "memory_by_part_bytes": parts,
        "highest_by_part_bytes": tracker.storages.highest(tracker.since),
        "memory_by_phase_bytes": tracker.storages.by_phase(workspace_bytes),
        "roofline_s": roofline_s if tracker.speeds else None,
        "operators": dict(sorted(tracker.operators.items())),
        "typed_operators": dict(sorted(tracker.typed_operators.items())),
        "conversions": by_path(tracker.conversions),
        "work": dict(sorted(work.items())),
        "memory": dict(sorted(memory.items())),
        "largest": largest(living),
    }
    if rules.in_blocks:
        found["in_blocks"] = in_blocks(tracker, rules)
    if tracker.traced:
        found["trace"] = trace_of(tracker.storages, tracker.since, tracker.charges, workspace_bytes)
    return found


def by_path(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Counts by module path and kind as a table."""
    table: dict[str, dict[str, int]] = {}
    for (path, what), count in sorted(counts.items()):
        table.setdefault(path, {})[what] = count
    return table


def largest(living: list[Allocation]) -> list[dict[str, Any]]:
    """The largest tensors alive at the peak; of several equal ones only the first."""
    ranked = sorted(living, key=lambda allocation: -allocation.size_bytes)[:LARGEST]
    return [{"bytes": a.size_bytes, "path": a.path, "part": a.what, "tensor": a.tensor} for a in ranked]
