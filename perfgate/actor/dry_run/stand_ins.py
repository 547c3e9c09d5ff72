"""Answers reads of unknown values with stand-ins, as long as nothing depends on them.

A loss that is only logged or printed may have any value, so a stand-in will do. A comparison, an ``if`` or a size that
depends on an unknown value ends the dry run, and the message names the line. Some functions, such as ``math.exp``, take
a stand-in without this module noticing. A second dry run with another stand-in finds these: both runs must do the same
work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode

from perfgate.actor.dry_run.known_values import exact_modes
from perfgate.actor.dry_run.places import place
from perfgate.actor.dry_run.refusals import NoDryRun
from perfgate.actor.dry_run.tracker import Tracker

Tensor = torch.Tensor
READS = {
    getattr(Tensor, name): name
    for name in ("item", "tolist", "numpy", "__array__", "__float__", "__int__", "__format__", "__repr__")
}
DECISIONS = {Tensor.__bool__: "bool", Tensor.__index__: "index", Tensor.is_nonzero: "bool", torch.is_nonzero: "bool"}
# A real run refuses a step with values that are not finite, so a dry run assumes that all values are finite.
FINITE = {
    **dict.fromkeys((torch.isnan, Tensor.isnan, torch.isinf, Tensor.isinf), False),
    **dict.fromkeys((torch.isfinite, Tensor.isfinite), True),
}
FINITE_ELEMENTS = 1 << 16


class StandIns(TorchFunctionMode):
    """Answers reads of unknown values while it is entered.

    Args:
        tracker: the tracker of the dry run, which has the known values.
        number: the number that stands in for every unknown value.
    """

    def __init__(self, tracker: Tracker, number: int) -> None:
        super().__init__()
        self._tracker = tracker
        self._number = number
        self.used_at = ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer a read, refuse a decision, and run any other function."""
        kwargs = kwargs or {}
        name = READS.get(func) or DECISIONS.get(func)
        if name is None or not isinstance(args[0], FakeTensor):
            found = func(*args, **kwargs)
            if func in FINITE and isinstance(found, FakeTensor) and found.numel() <= FINITE_ELEMENTS:
                with exact_modes():
                    self._tracker.known.know(found, torch.full(found.shape, FINITE[func]))
            return found
        tensor = args[0]
        real = self._tracker.known.of(tensor)
        if real is not None:
            return self._known(name, real, func, args, kwargs)
        if func in DECISIONS:
            raise self.refusal(name)
        self.used_at = self.used_at or place()
        if name in ("item", "__float__", "__int__"):
            with self._tracker.reading(self._number):
                found = func(*args, **kwargs)
            return unknown(found, self) if name == "item" else found
        if name == "tolist":
            return self._nested(tensor.shape, tensor.dtype)
        with exact_modes():
            value = torch.full(tensor.shape, self._number, dtype=tensor.dtype)
            return func(value, *args[1:], **kwargs)

    def _known(self, name: str, real: Any, func: Any, args: Any, kwargs: Any) -> Any:
        """Read known values from the real tensor; reads that call an operator pass through the tracker."""
        if name in ("tolist", "numpy", "__array__", "__format__", "__repr__"):
            with exact_modes():
                return func(real, *args[1:], **kwargs)
        return func(*args, **kwargs)

    def _nested(self, shape: Any, dtype: torch.dtype) -> Any:
        if not shape:
            return unknown(float(self._number) if dtype.is_floating_point else self._number, self)
        return [self._nested(shape[1:], dtype) for _ in range(shape[0])]

    def refusal(self, what: str) -> NoDryRun:
        """The exception that ends the dry run because something depends on an unknown value."""
        return self._tracker.stop(f"looks at values that depend on weights ({what} at {place()})")


def unknown(value: Any, source: StandIns) -> Any:
    """Wrap a number so that any decision that depends on it raises ``NoDryRun``."""
    made = UnknownFloat(value) if isinstance(value, float) else UnknownInt(value)
    made.source = source
    return made


class Unknown:
    """The base of both kinds of unknown number: arithmetic works, decisions raise an exception."""

    source: StandIns

    def _decide(self, *_: Any) -> NoReturn:
        raise self.source.refusal("a decision")

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _decide


class UnknownFloat(Unknown, float):
    """An unknown real number."""

    __hash__ = float.__hash__


class UnknownInt(Unknown, int):
    """An unknown whole number, or truth value."""

    __hash__ = int.__hash__


def spreading(kind: type, name: str) -> Any:
    """Make an operation of unknown numbers from one of plain numbers; its result is unknown too."""
    plain = getattr(kind, name)

    def operate(self: Any, *others: Any) -> Any:
        found = plain(self, *others)
        return unknown(found, self.source) if isinstance(found, int | float) else found

    return operate


TWO_SIDED = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
for number, own in ((UnknownFloat, float), (UnknownInt, int)):
    for operation in (*TWO_SIDED, *(f"r{side}" for side in TWO_SIDED), "neg", "pos", "abs", "round"):
        setattr(number, f"__{operation}__", spreading(own, f"__{operation}__"))


@contextmanager
def whole_lists() -> Iterator[None]:
    """Make ``tolist`` of a fake tensor one read, as it is for a real tensor, and not one read for each element."""
    keep = FakeTensor.tolist
    FakeTensor.tolist = lambda self: Tensor.tolist(self)
    try:
        yield
    finally:
        FakeTensor.tolist = keep
