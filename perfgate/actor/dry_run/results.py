"""Keeps the results of operators for tensors of certain shapes, so that torch computes each only once.

Torch has such a cache too, but takes many times as long to find an entry, because it compares every property of a
tensor. Here tensors are plain, and operators neither write to them nor read their values.
"""

from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor

from perfgate.actor.dry_run.known_values import SEQUENCES

PLAIN = (int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format)
PLAIN_TYPES = frozenset(PLAIN)
KEPT: dict[Hashable, Any] = {}  # for this process; shapes are the same for every target


class NotKept(Exception):  # noqa: N818  no error: torch is asked
    """An argument or result has a kind that is not compared here."""


@dataclass(frozen=True, slots=True)
class Made:
    """The recipe for a tensor of a result.

    Attributes:
        offset: its first element's position in its memory, in elements.
        view: whether it shares the memory of the operator's tensor.
    """

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype
    device: torch.device
    view: bool

    def again(self, base: FakeTensor) -> FakeTensor:
        """Make the tensor again, from the operator's first tensor."""
        with torch._C._DisableTorchDispatch():
            like = torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")
            if self.view:
                like.set_(base.untyped_storage(), self.offset, self.shape, self.stride)
            return FakeTensor(base.fake_mode, like, self.device)


def result_of(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operator on fake tensors."""
    if not is_of_shapes(func):
        return func(*args, **kwargs)
    given: list[FakeTensor] = []
    inference = torch.is_inference_mode_enabled()
    try:
        named = [(name, key_of(value, given)) for name, value in kwargs.items()]
        key = func, torch.get_default_dtype(), inference, key_of(args, given), *named
    except NotKept:
        return func(*args, **kwargs)
    # A view is an inference tensor only if its base is one; any other tensor is one if it was made in that mode.
    if not given or (func.is_view and given[0].is_inference() != inference):
        return func(*args, **kwargs)
    if (known := KEPT.get(key)) is not None:
        return made(known, given[0])
    out = func(*args, **kwargs)
    if type(out) not in PLAIN_TYPES:  # such a choice may also depend on torch's global switches
        with suppress(NotKept):
            KEPT[key] = recipe(out, given, func.is_view)
    return out


@cache
def is_of_shapes(func: Any) -> bool:
    """Whether an operator's result depends only on shapes and types, and it writes to nothing."""
    if not isinstance(func, OpOverload) or func.namespace != "aten" or func._schema.is_mutable:
        return False
    parts = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), torch._C.DispatchKey.CompositeImplicitAutograd)
    return torch.Tag.data_dependent_output not in func.tags and not (func.is_view and parts)


def key_of(value: Any, given: list[FakeTensor]) -> Hashable:
    """The part of an argument on which a result depends; its tensors are appended to a list.

    Raises:
        NotKept: the argument has a kind that is not compared here.
    """
    kind = type(value)
    if kind is FakeTensor:
        if not is_plain(value):
            raise NotKept
        given.append(value)
        return value.shape, value.stride(), value.storage_offset(), value.dtype, value.fake_device
    if kind in PLAIN_TYPES:
        return kind, value  # the type too, because 1, 1.0 and True are equal
    if kind in SEQUENCES:
        return kind, tuple(key_of(part, given) for part in value)
    raise NotKept


def recipe(out: Any, given: Sequence[FakeTensor], view: bool) -> Any:
    """The recipe for a result.

    Args:
        out: the result.
        given: the operator's tensors.
        view: whether the result is a view of the only tensor.

    Raises:
        NotKept: the result is not plain, or differs from torch's declaration of such operators.
    """
    kind = type(out)
    if kind is FakeTensor:
        found = Made(tuple(out.shape), out.stride(), out.storage_offset(), out.dtype, out.fake_device, view)
        alike = found.again(given[0]).untyped_storage()
        storage, shared = out.untyped_storage(), {tensor.untyped_storage()._cdata for tensor in given}
        if not is_plain(out) or (storage._cdata in shared) != view or (view and len(given) > 1):
            raise NotKept
        if storage.nbytes() != alike.nbytes() or (view and storage._cdata != alike._cdata):
            raise NotKept
        return found
    if kind in SEQUENCES:
        storages = [part.untyped_storage()._cdata for part in out if isinstance(part, torch.Tensor)]
        if not view and len(set(storages)) < len(storages):
            raise NotKept
        return kind(recipe(part, given, view) for part in out)
    if kind in PLAIN_TYPES:
        return out
    raise NotKept


def is_plain(tensor: FakeTensor) -> bool:
    """Whether shape, stride and data type describe a tensor completely."""
    return tensor.constant is None and tensor.layout is torch.strided and not tensor.is_conj() and not tensor.is_neg()


def made(found: Any, base: FakeTensor) -> Any:
    """Make a result from its recipe and the operator's first tensor."""
    kind = type(found)
    if kind is Made:
        return found.again(base)
    return kind(made(part, base) for part in found) if kind in SEQUENCES else found
