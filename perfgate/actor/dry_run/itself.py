"""Runs a program dry without a counterpart: its own class sets up and steps on fake tensors."""

import inspect
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.modules import module as modules
from torch.nn.utils import clip_grad
from torch.optim import optimizer as optimizers
from torch.utils import checkpoint as checkpoints
from torch.utils._foreach_utils import _device_has_foreach_support

from perfgate.actor.devices.cpu import Cpu
from perfgate.actor.dry_run.apart import LIMIT_S, TooLong, limited
from perfgate.actor.dry_run.calls import networks_of
from perfgate.actor.dry_run.context import DryContext
from perfgate.actor.dry_run.known_values import exact_modes, tensors_of
from perfgate.actor.dry_run.pace import DryPace
from perfgate.actor.dry_run.places import place
from perfgate.actor.dry_run.refusals import NoDryRun, refuse_compiled
from perfgate.actor.dry_run.storages import Allocation
from perfgate.actor.dry_run.threads import watched
from perfgate.actor.pace import Done

# The function that recomputes: since torch 2.14, and before.
CHECKPOINTING = ("_checkpoint_without_reentrant_generator_impl", "_checkpoint_without_reentrant_generator")


class DryDevice(Cpu):
    """The device of a program that runs dry. Its tensors claim to be on a CPU, and the number of threads is not set."""

    name = "dry"

    def __init__(self) -> None:
        """Unlike a real device, set nothing up."""


def run_itself(
    program: Any, params: dict[str, Any], context: DryContext, write: Callable[[], dict[str, Any]], most: int
) -> tuple[Any, dict[str, Any]]:
    """Build a program and let it step; return the program and the ledger of its last step.

    Args:
        program: the program's class.
        params: the program's parameters.
        context: the context of the dry run.
        write: writes the ledger of the step that has just ended.
        most: the largest number of steps.

    Raises:
        NoDryRun: the program takes no step, or computes for too long.
    """
    tracker = context.tracker
    tracker.takes_in = True
    registered: list[Allocation] = []
    made: list[Any] = []  # weak references to optimizers, some of which create their state when they are built
    pace = DryPace(context, write, most)

    def elsewhere() -> None:
        if pace.begun and tracker.stopped is None:
            tracker.stopped = NoDryRun(f"{program.__name__} computes on a thread of its own, at {place()}")

    with ExitStack() as stack:
        around = (
            limited(),
            optimizing(context, made),
            clipping(),
            recomputing(context),
            registering(context, registered),
            watched(elsewhere),
        )
        for entered in around:
            stack.enter_context(entered)
        try:
            dry = program(device=DryDevice(), **params)
            asked, _ = dry.effective()
            refuse_compiled(asked.get("compile", "off"))
            learn(dry, context, registered, [ref() for ref in made])
            dry.drive(pace)
        except Done:
            pass
        except TooLong:
            raise NoDryRun(f"it computes for more than {LIMIT_S:.0f} s") from None
    if tracker.stopped:
        raise tracker.stopped
    if pace.account is None:
        raise NoDryRun(f"{program.__name__} took no step")
    kept: dict[str, dict[str, int]] = {}
    for (path, part), size in sorted(pace.leaked.items()):
        if size > 0:
            kept.setdefault(path, {})[part] = size
    leaked_bytes = max(0, sum(pace.leaked.values()))
    after: dict[str, Any] = {"leaked_bytes": leaked_bytes, "kept": kept if leaked_bytes else {}, "steps": pace.steps}
    if tracker.syncs:
        after |= {"predicted_host_syncs": tracker.syncs.found.total(), "host_syncs": tracker.syncs.table()}
    return dry, pace.account | after


def learn(program: Any, context: DryContext, registered: list[Allocation], made: list[Any]) -> None:
    """After the set-up, sort all living allocations into weights, optimizer state and data."""
    tracker = context.tracker
    for prefix, network in networks_of(program).items():
        tracker.watch(network, prefix)
        mark_gradients(network, context)
    for optimizer in filter(None, made):
        name_state(optimizer, context)
    for allocation in registered:
        allocation.part = allocation.part or "weights"
    for _, allocation in tracker.storages.living.values():
        if allocation.part is None:
            allocation.part, allocation.path = "activations", allocation.path or "inputs"


def mark_gradients(network: Any, context: DryContext) -> None:
    """Mark each gradient as a gradient as soon as it is complete."""
    tracker = context.tracker
    for parameter in network.parameters():
        if parameter.requires_grad:
            owner = tracker.owners.get(id(parameter), "")
            parameter.register_post_accumulate_grad_hook(
                lambda p, owner=owner: tracker.storages.name([p.grad], "gradients", owner)
            )


@contextmanager
def registering(context: DryContext, registered: list[Allocation]) -> Iterator[None]:
    """Note the parameters of every module that is built, and replace real tensors read from a file by fake ones."""
    storages = context.tracker.storages

    def parameter(_: Any, name: str, given: Any) -> Any:
        del name
        if given is None:
            return None
        if not isinstance(given, FakeTensor):
            with exact_modes():
                fake = context.fake.from_tensor(given.detach())
            given = torch.nn.Parameter(fake, given.requires_grad)
        registered.append(storages.see(given, None, ""))
        return given

    def buffer(_: Any, name: str, given: Any) -> Any:
        del name
        if given is None or isinstance(given, FakeTensor):
            return None
        with exact_modes():
            fake = context.fake.from_tensor(given)
        storages.see(fake, None, "")
        return context.tracker.known.know(fake, given)

    hooks = (
        modules.register_module_parameter_registration_hook(parameter),
        modules.register_module_buffer_registration_hook(buffer),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def optimizing(context: DryContext, made: list[Any]) -> Iterator[None]:
    """Mark the state of every torch optimizer, and let optimizers work on lists if the device's rules say so."""
    tracker, rules = context.tracker, context.rules
    open_sections: list[ExitStack] = []
    keep = torch.optim.Optimizer.__init__

    def begin(self: Any, *arguments: Any, **keywords: Any) -> None:
        keep(self, *arguments, **keywords)
        made.append(weakref.ref(self))

    def before(optimizer: Any, *_: Any) -> None:
        stack = ExitStack()
        stack.enter_context(tracker.within("optimizer"))
        stack.enter_context(rules.stepping(optimizer))
        open_sections.append(stack)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                tracker.storages.name([parameter.grad], "gradients", tracker.owners.get(id(parameter), ""))

    def after(optimizer: Any, *_: Any) -> None:
        open_sections.pop().close()
        name_state(optimizer, context)

    torch.optim.Optimizer.__init__ = begin
    hooks = (
        optimizers.register_optimizer_step_pre_hook(before),
        optimizers.register_optimizer_step_post_hook(after),
    )
    try:
        yield
    finally:
        torch.optim.Optimizer.__init__ = keep
        for hook in hooks:
            hook.remove()


def name_state(optimizer: Any, context: DryContext) -> None:
    """Mark the tensors that an optimizer keeps from step to step as optimizer state."""
    tracker, rules = context.tracker, context.rules
    for parameter, state in optimizer.state.items():
        tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
        for tensor in rules.elsewhere(tensors, optimizer):
            tracker.storages.forget(tensor)
        owner = tracker.owners.get(id(parameter), "")
        tracker.storages.name(tensors_of(list(state.values())), "optimizer_state", owner)


@contextmanager
def clipping() -> Iterator[None]:
    """Make torch clip fake gradients on lists, as it does with real ones, and not one by one."""
    keep = clip_grad._has_foreach_support
    clip_grad._has_foreach_support = lambda tensors, device: _device_has_foreach_support(device)
    try:
        yield
    finally:
        clip_grad._has_foreach_support = keep


@contextmanager
def recomputing(context: DryContext) -> Iterator[None]:
    """Let the device's rules hold when checkpointing recomputes, because torch turns function modes off in backward."""
    name = next(name for name in CHECKPOINTING if hasattr(checkpoints, name))
    keep = getattr(checkpoints, name)
    signature = inspect.signature(keep)

    def again(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        if given.arguments.get("context_fn", checkpoints.noop_context_fn) is checkpoints.noop_context_fn:
            given.arguments["context_fn"] = lambda: (nullcontext(), context.rules.recomputing())
        return keep(*given.args, **given.kwargs)

    setattr(checkpoints, name, again)
    try:
        yield
    finally:
        setattr(checkpoints, name, keep)
