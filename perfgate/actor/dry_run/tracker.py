"""Accounts for every operator of a step: its work by group and module, and the memory of its results."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from perfgate.actor.dry_run.calls import Calls
from perfgate.actor.dry_run.cpu_rules import CpuRules
from perfgate.actor.dry_run.host_syncs import HostSyncs
from perfgate.actor.dry_run.known_values import KnownValues, exact_modes, name_of, replaced, tensors_of, written_by
from perfgate.actor.dry_run.operators import (
    flops_of,
    group_of,
    is_composite,
    is_free,
    is_in_place_on_lists,
    multiplies,
    python_body,
    traffic_of,
)
from perfgate.actor.dry_run.refusals import NoDryRun
from perfgate.actor.dry_run.results import result_of
from perfgate.actor.dry_run.storages import BACKWARD, FORWARD, OPTIMIZER, Frame, Storages

NORMALIZING = "norm"
LIFTING = ("lift_fresh", "lift_fresh_copy", "lift")  # the argument of these is freed right after the call
WHERE = torch.ops.prim.device.default
CONVERTING = ("_to_copy", "copy_")  # these change the data type of a tensor
READING = ("_local_scalar_dense", "item")
# These return their first argument with its shape unchanged.
IN_PLACE = {"add_", "addcdiv_", "addcmul_", "copy_", "div_", "fill_", "lerp_", "mul_", "sqrt_", "sub_", "zero_"}


class Tracker(TorchDispatchMode):
    """Sees operators as they are dispatched, below autograd, on fake tensors and on real ones.

    Work in the backward pass is charged to the module whose forward pass recorded it. Both have the same sequence
    number, as in torch.fx.traceback.

    Args:
        block_bytes: the size to whose multiples the allocator rounds up.
        speeds: peak FLOP/s by dtype, and ``bytes_per_s``, for the roofline; ``None`` for no roofline.
        dry: whether tensors are fake. Known values are then followed, and in-place operators are not run.
        traced: whether to keep the work of each operator, for ``trace_of``.
    """

    def __init__(
        self, block_bytes: int, speeds: Mapping[str, float] | None = None, dry: bool = True, traced: bool = False
    ) -> None:
        super().__init__()
        self.dry = dry
        self.traced = traced
        self.storages = Storages(block_bytes)
        self.known = KnownValues()
        self.speeds = dict(speeds or {})
        self.normalizing: set[str] = set()
        self.calls = Calls(self._outside)
        self.section = ""
        self.failed_at = ""
        self.stopped: NoDryRun | None = None
        self.syncs: HostSyncs | None = None
        self.rules = CpuRules()
        self.takes_in = False
        # The last event before the first matrix product of each pass, by whether it is the backward pass.
        self.multiplying: dict[bool, int] = {}
        self.biased: dict[bool, int] = {}  # the same for products to which a bias is added
        self._stand_in: int | None = None
        self.made_by: dict[int, str] = {}
        self.owners: dict[int, str] = {}
        self.restart()

    def restart(self) -> None:
        """Set all counts back to zero and begin a step."""
        self.work: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0, 0, 0, 0.0])
        self.operators: Counter[str] = Counter()
        self.typed_operators: Counter[str] = Counter()
        self.conversions: Counter[tuple[str, str]] = Counter()
        self.charges: list[tuple[str, int, int, str]] = []
        self.since = self.storages.begin()

    def watch(self, model: Any, prefix: str = "") -> None:
        """Learn the names of a model's modules and parameters. Several models are told apart by a prefix."""
        self.calls.learn(model, prefix)
        for path, module in model.named_modules(prefix=prefix, remove_duplicate=True):
            if NORMALIZING in type(module).__name__.lower():
                self.normalizing.add(path)
            for parameter in module.parameters(recurse=False):
                self.owners.setdefault(id(parameter), path)
                self.storages.name([parameter], "weights", path)
            self.storages.name(module.buffers(recurse=False), "buffers", path)

    @contextmanager
    def within(self, section: str) -> Iterator[None]:
        """Within the block, charge work outside of modules to a section such as ``optimizer`` or ``clipping``."""
        before, self.section = self.section, section
        try:
            yield
        finally:
            self.section = before

    @contextmanager
    def reading(self, number: int) -> Iterator[None]:
        """Within the block, a read of an unknown value returns this number."""
        self._stand_in = number
        try:
            yield
        finally:
            self._stand_in = None

    def stop(self, why: str) -> NoDryRun:
        """Make the exception that ends the dry run, even if the program catches it. It names the running module."""
        self.stopped = self.stopped or NoDryRun(f"{self.path() or 'the program'} {why}")
        return self.stopped

    @contextmanager
    def hooked(self) -> Iterator["Tracker"]:
        """Follow the calls of modules within the block."""
        with self.calls.followed():
            yield self

    @property
    def frames(self) -> list[Frame]:
        """The module calls that are running."""
        return self.calls.frames

    def path(self) -> str:
        """The path of the running module: the innermost one that was called, or the one whose backward pass runs."""
        frame = self.calls.innermost
        return frame.path if frame else self._outside()

    def _outside(self) -> str:
        node = torch._C._current_autograd_node()
        if node is None:
            return self.section
        if (variable := getattr(node, "variable", None)) is not None:
            return self.owners.get(id(variable), self.section)
        return self.made_by.get(node._sequence_nr(), self.section)

    def _phase(self) -> str:
        """The phase of the step; empty if it is not known, as between the backward pass and the optimizer."""
        if self.section == OPTIMIZER:
            return OPTIMIZER
        if torch._C._current_autograd_node() is not None:
            return BACKWARD
        return FORWARD if self.calls.innermost else ""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tell torch that nothing is compiled here; its own check would take a tenth of the time."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, then account for it."""
        kwargs = kwargs or {}
        if func is WHERE and isinstance(args[0], FakeTensor):
            return args[0].fake_device  # asked so often that going through the fake mode takes a tenth of the time
        if func.namespace == "prim":
            return func(*args, **kwargs)
        given = tensors_of((args, kwargs))
        if self.takes_in and name_of(func) not in LIFTING:
            self._take_in(given)
        answer = self.known.look(func, args) if self.dry else None
        if answer is None and self._stand_in is not None and name_of(func) in READING:
            answer = float(self._stand_in) if args[0].dtype.is_floating_point else self._stand_in
        if answer is None:
            if is_composite(func):
                with self:
                    return func.decompose(*args, **kwargs)
            if body := python_body(func):
                with self:
                    return body(*args, **kwargs)
            try:
                out = self._run(func, args, kwargs)
            except Exception:
                # The path is kept now, because the module calls have ended by the time the error is handled.
                self.failed_at = self.failed_at or self.path()
                raise
        else:
            out = answer
        made = tensors_of(out)
        if self.dry and answer is None:
            self.known.follow(func, args, kwargs, given, made)
        path, frame = self.path(), self.calls.innermost
        if frame:
            self.made_by.setdefault(torch.autograd._get_sequence_nr() - 1, path)
        if self.syncs:
            self.syncs.seen(func, args, kwargs, out, given)
        if phase := self._phase():
            self.storages.enter(phase)
        for tensor in made:
            self.storages.see(tensor, frame, path)
        self._pass_by(name_of(func), args, out, frame, path)
        if not is_free(func):
            written = made or list(written_by(func, args, kwargs))
            self._charge(func, args, kwargs, out, path, traffic_of(func, given, written))
        return out

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operator. The fake kernel of grouped products refuses float32, although the real one accepts it."""
        if self.dry and name_of(func) in IN_PLACE:
            return args[0]
        if self.dry and is_in_place_on_lists(name_of(func)):
            return None
        if self.dry and name_of(func) == "_grouped_mm" and args[0].dtype == args[1].dtype == torch.float32:
            low = [args[0].to(torch.bfloat16), args[1].to(torch.bfloat16)]
            with _disable_current_modes(), args[0].fake_mode:
                found = func(*low, *args[2:], **kwargs)
                return torch.empty_strided(found.shape, found.stride(), dtype=torch.float32)
        try:
            return result_of(func, args, kwargs) if self.dry else func(*args, **kwargs)
        except DynamicOutputShapeException:
            # The size of the result depends on values, which may be known.
            if not self.dry or any(self.known.of(tensor) is None for tensor in tensors_of((args, kwargs))):
                raise
            with exact_modes():
                real = func(*replaced(args, self.known.of), **replaced(kwargs, self.known.of))
                fake = next(x.fake_mode for x in tensors_of((args, kwargs)) if isinstance(x, FakeTensor))
                return self.known.know(fake.from_tensor(real), real)

    def _pass_by(self, name: str, args: Any, out: Any, frame: Frame | None, path: str) -> None:
        """Account for the memory that an operator takes only while it runs."""
        if reduction := self.rules.reduction(name, args):
            self.storages.pass_by(reduction.scratch_bytes, frame, path, reduction)
        elif scratch_bytes := self.rules.scratch_bytes(name, args, out):
            self.storages.pass_by(scratch_bytes, frame, path)

    def _take_in(self, given: Sequence[Any]) -> None:
        """Account for real tensors, which were made from an array or read from a file."""
        for tensor in given:
            if not isinstance(tensor, FakeTensor):
                self.storages.see(tensor, None, "inputs")
                self.storages.name([tensor], "activations")

    def _charge(self, func: Any, args: Any, kwargs: Any, out: Any, path: str, traffic: tuple[int, int]) -> None:
        group = group_of(func, path in self.normalizing)
        if group == "contractions" and multiplies(name_of(func)):
            backward = torch._C._current_autograd_node() is not None
            self.multiplying.setdefault(backward, self.storages.clock)
            if name_of(func) == "addmm":
                self.biased.setdefault(backward, self.storages.clock)
        flops = flops_of(func, args, kwargs, out, group)
        read, written = traffic
        entry = self.work[path, group]
        entry[0] += 1
        entry[1] += flops
        entry[2] += read
        entry[3] += written
        if self.speeds or self.traced:
            dtype = dtype_of(group, args)
            entry[4] += self._roofline_s(dtype, flops, read + written)
            if self.traced:
                self.charges.append((group, flops, read + written, dtype))
        name = name_of(func)
        self.operators[name] += 1
        result = type_of(out)
        self.typed_operators[f"{name} of {result}" if result else name] += 1
        if name in CONVERTING and result and (source := source_type(name, args)) not in ("", result):
            self.conversions[path, f"{source} to {result}"] += 1

    def _roofline_s(self, dtype: str, flops: int, moved_bytes: int) -> float:
        if not self.speeds:
            return 0.0
        peak = self.speeds.get(dtype) or self.speeds["float32"]
        return max(flops / peak, moved_bytes / self.speeds["bytes_per_s"])


def type_of(value: Any) -> str:
    """The data type of the first tensor in a value, such as ``float32``; empty if there is none."""
    first = next(iter(tensors_of(value)), None)
    return "" if first is None else str(first.dtype).rpartition(".")[2]


def source_type(name: str, args: Any) -> str:
    """The data type that a conversion reads."""
    return type_of(args[1:] if name == "copy_" else args[:1])


def dtype_of(group: str, args: Any) -> str:
    """The number type whose peak rate limits an operator; only contractions have other rates than 32 bits."""
    first = next(iter(tensors_of(args)), None) if group == "contractions" else None
    return "float32" if first is None else str(first.dtype).rpartition(".")[2]
