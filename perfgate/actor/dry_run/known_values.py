"""Keeps the values of some fake tensors: token ids, masks, positions and counters.

Models look at such values: a mask of ones is dropped, and a position decides where a cache grows. Each fake tensor that
depends on nothing but the inputs therefore carries a real tensor with it, so that the dry run takes the same branches
as a real run. Values that depend on weights are not known, and a model that looks at them cannot run dry.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes

MAX_WHOLE = 1 << 22  # in elements; larger tensors of whole numbers are masks whose single values no model reads
MAX_REAL = 1 << 14  # in elements; some models make their masks of real numbers
DRAWN = ("randint", "randint_like", "randperm")
DRAWN_INTO = "random_"  # torch's samplers draw their seed with it into a tensor that is still empty
UNFILLED = ("empty", "new_empty")
SEQUENCES = (list, tuple)
LOOKS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default, torch.ops.aten.is_nonzero.default)


class KnownValues:
    """Stores real values on fake tensors, as an attribute, and carries them through operators."""

    def __init__(self) -> None:
        # Real storages with wrong values. They are kept alive, so that no other storage gets their address.
        self._wrong: dict[int, Any] = {}
        # Real storages that numbers were drawn into, by the fake storage, of which there may be views without values.
        self._drawn: dict[int, Any] = {}

    def know(self, fake: Any, real: Any) -> Any:
        """Set the values of a fake tensor, and return the tensor."""
        fake._known_value = real
        return fake

    def of(self, value: Any) -> Any:
        """The known values of a fake tensor, or ``None``; any other object is returned as it is."""
        if not isinstance(value, FakeTensor):
            return value
        real = getattr(value, "_known_value", None)
        return None if real is None or real.untyped_storage()._cdata in self._wrong else real

    def look(self, func: Any, args: tuple[Any, ...]) -> Any:
        """The result of an operator that reads values, such as ``item``; ``None`` if the values are not known."""
        real = [self.of(value) for value in args]
        if func not in LOOKS or any(value is None for value in real):
            return None
        with _disable_current_modes():
            return func(*real)

    def follow(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], given: Sequence[Any], made: Sequence[Any]
    ) -> None:
        """Compute the values of an operator's results if all its inputs are known; forget values that it overwrites.

        Args:
            func: the operator.
            args: its arguments.
            kwargs: its arguments by name.
            given: all tensors among them.
            made: all tensors that it returned.
        """
        mutable = func._schema.is_mutable
        # Views are always followed: they cost nothing, and a later write to a view must reach its base.
        if not mutable and not func.is_view and not any(map(is_small, made)):
            return
        drawn = name_of(func) == DRAWN_INTO and is_small(args[0]) and not args[0].dtype.is_floating_point
        if drawn and self.of(args[0]) is None:
            self._begin(args[0])
        if (drawn or is_certain(func)) and all(self.of(tensor) is not None for tensor in given):
            with exact_modes():
                result = func(*replaced(args, self.of), **replaced(kwargs, self.of))
            for fake, real in zip(made, tensors_of(result), strict=True):
                if isinstance(fake, FakeTensor) and (func.is_view or is_small(fake)):
                    self.know(fake, real)
        elif mutable:
            for tensor in written_by(func, args, kwargs):
                self._forget(tensor)

    def _begin(self, tensor: Any) -> None:
        """Give a tensor values, which are about to be drawn."""
        self._forget(tensor)
        with exact_modes():
            real = torch.empty(tensor.shape, dtype=tensor.dtype)
        self._drawn[tensor.untyped_storage()._cdata] = real.untyped_storage()
        self.know(tensor, real)

    def _forget(self, tensor: Any) -> None:
        """Forget the values of a tensor, and of all other views of the same memory."""
        real = getattr(tensor, "_known_value", None)
        drawn = self._drawn.pop(tensor.untyped_storage()._cdata, None)
        for storage in (drawn, None if real is None else real.untyped_storage()):
            if storage is not None:
                self._wrong[storage._cdata] = storage


@cache
def is_certain(func: Any) -> bool:
    """Whether the values of an operator's result may be kept.

    Random real numbers are weights and uninitialized memory has no values, so neither is kept. Random whole numbers are
    data, such as tokens and orders of samples, and are kept.
    """
    if name_of(func) in DRAWN:
        return True
    return torch.Tag.nondeterministic_seeded not in func.tags and not name_of(func).startswith(UNFILLED)


def is_small(tensor: Any) -> bool:
    """Whether a tensor's values are worth keeping. Branches depend on whole numbers, and hardly ever on real ones."""
    return bool(tensor.numel() <= (MAX_REAL if tensor.dtype.is_floating_point else MAX_WHOLE))


def written_by(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
    """The arguments of an in-place operator that it writes to."""
    for position, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[position] if position < len(args) else kwargs.get(argument.name)
            yield from tensors_of(value)


@cache
def name_of(func: Any) -> str:
    """An operator's name without namespace and overload."""
    return str(func._schema.name).rpartition("::")[2]


@contextmanager
def exact_modes() -> Iterator[None]:
    """Within the block there are no fake tensors, no tracking and no gradients."""
    with _disable_current_modes(), torch.no_grad():
        yield


def tensors_of(value: Any) -> list[Any]:
    """All tensors in nested tuples, lists and mappings, in order."""
    found: list[Any] = []
    gather(value, found)
    return found


def gather(value: Any, found: list[Any]) -> None:
    """Append all tensors in a value to a list."""
    if isinstance(value, torch.Tensor):
        found.append(value)
    elif isinstance(value, SEQUENCES):
        for part in value:
            gather(part, found)
    elif isinstance(value, dict):
        for part in value.values():
            gather(part, found)


def replaced(values: Any, change: Any) -> Any:
    """A copy of nested tuples, lists and mappings in which ``change`` was applied to every leaf."""
    if isinstance(values, dict):
        return {name: replaced(part, change) for name, part in values.items()}
    if isinstance(values, SEQUENCES):
        return type(values)(replaced(part, change) for part in values)
    return change(values)
