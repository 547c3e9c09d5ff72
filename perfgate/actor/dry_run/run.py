"""Runs a workload dry, and writes a ledger of one step: its work and its memory."""

import gc
import importlib
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
from perfgate.actor.dry_run.cpu_rules import CpuRules
from perfgate.actor.dry_run.host_syncs import HostSyncs, pinning
from perfgate.actor.dry_run.itself import run_itself
from perfgate.actor.dry_run.ledger import ledger, left_behind, metrics_of
from perfgate.actor.dry_run.pace import MAX_STEPS
from perfgate.actor.dry_run.places import place_of
from perfgate.actor.dry_run.refusals import NothingToCount
from perfgate.actor.dry_run.stand_ins import StandIns, whole_lists
from perfgate.actor.dry_run.tracker import Tracker
from perfgate.actor.programs.base import ITSELF
from perfgate.actor.techniques.attention import kernel_of
from perfgate.shared.device_kinds import DEVICE_KINDS, load

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
    tracker.rules = rules
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


def sizes_of(networks: Sequence[Any]) -> dict[str, int]:
    """The number of parameters, each counted once, and the number of those that are trained."""
    sizes = {parameter: parameter.numel() for network in networks for parameter in network.parameters()}
    return {
        "parameters": sum(sizes.values()),
        "trainable_parameters": sum(size for parameter, size in sizes.items() if parameter.requires_grad),
    }


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
