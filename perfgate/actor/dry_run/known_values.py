"""Values that a dry run knows although its tensors are fake: token ids, masks, positions, counters.

Models look at such values: a mask of ones is dropped, a position decides where a cache grows. A real tensor goes along
with each fake one that follows from the inputs alone, so that the dry run takes the way that the real one takes. What
depends on weights is not known, and a model that looks at it cannot run dry.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes

MAX_WHOLE = 1 << 22  # elements; what is larger is masks, at which nobody looks one by one
MAX_REAL = 16
DRAWN = ("randint", "randint_like", "randperm")
UNFILLED = ("empty", "new_empty")
LOOKS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default, torch.ops.aten.is_nonzero.default)


class KnownValues:
    """Carries real values along with fake tensors, on the fake tensors themselves."""

    def __init__(self) -> None:
        # Kept alive, so that their addresses are not taken by others.
        self._wrong: dict[int, Any] = {}

    def know(self, fake: Any, real: Any) -> Any:
        """Say what a fake tensor's values are; returns it."""
        fake._known_value = real
        return fake

    def of(self, value: Any) -> Any:
        """The real tensor of a fake one, itself of a real one, ``None`` where nothing is known."""
        if not isinstance(value, FakeTensor):
            return value
        real = getattr(value, "_known_value", None)
        return None if real is None or real.untyped_storage()._cdata in self._wrong else real

    def look(self, func: Any, args: tuple[Any, ...]) -> Any:
        """Answer a question about values; ``None`` where they are not known."""
        real = [self.of(value) for value in args]
        if func not in LOOKS or any(value is None for value in real):
            return None
        with _disable_current_modes():
            return func(*real)

    def follow(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Carry values over an operation whose inputs are all known; forget what it overwrites with unknown ones."""
        mutable = func._schema.is_mutable
        # A view costs nothing, and what is written through it later must reach the tensor that it is a view of.
        if not mutable and not func.is_view and not any(map(is_small, tensors_of(out))):
            return
        if is_certain(func) and all(self.of(tensor) is not None for tensor in tensors_of((args, kwargs))):
            with exact_modes():
                result = func(*replaced(args, self.of), **replaced(kwargs, self.of))
            for fake, real in zip(tensors_of(out), tensors_of(result), strict=True):
                if isinstance(fake, FakeTensor) and (func.is_view or is_small(fake)):
                    self.know(fake, real)
        elif mutable:
            for tensor in written_by(func, args, kwargs):
                self._forget(tensor)

    def _forget(self, tensor: Any) -> None:
        """Values were overwritten by unknown ones, also under the tensor's other views."""
        real = getattr(tensor, "_known_value", None)
        if real is not None:
            storage = real.untyped_storage()
            self._wrong[storage._cdata] = storage


@cache
def is_certain(func: Any) -> bool:
    """Whether an operator's result may be carried along: not so random weights, nor room that is not filled.

    Random whole numbers are data, tokens and orders of samples: they are drawn.
    """
    if name_of(func) in DRAWN:
        return True
    return torch.Tag.nondeterministic_seeded not in func.tags and not name_of(func).startswith(UNFILLED)


def is_small(tensor: Any) -> bool:
    """Whether values are worth carrying along: whole numbers decide the way, real ones hardly ever."""
    return bool(tensor.numel() <= (MAX_REAL if tensor.dtype.is_floating_point else MAX_WHOLE))


def written_by(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
    """The tensors that an in-place operator writes to."""
    for position, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[position] if position < len(args) else kwargs.get(argument.name)
            yield from tensors_of(value)


@cache
def name_of(func: Any) -> str:
    """The operator's name without namespace and overload."""
    return str(func._schema.name).rpartition("::")[2]


@contextmanager
def exact_modes() -> Iterator[None]:
    """No fake tensors, no tracking, no gradients."""
    with _disable_current_modes(), torch.no_grad():
        yield


def tensors_of(value: Any) -> Iterable[Any]:
    """All tensors in nested tuples, lists and mappings, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_of(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors_of(part)


def replaced(values: Any, change: Any) -> Any:
    """The same nesting with every leaf changed."""
    if isinstance(values, dict):
        return {name: replaced(part, change) for name, part in values.items()}
    if isinstance(values, list | tuple):
        return type(values)(replaced(part, change) for part in values)
    return change(values)
