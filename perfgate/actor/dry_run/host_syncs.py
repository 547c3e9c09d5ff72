"""Tells of every operator that real tensors are put through."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from perfgate.actor.dry_run.known_values import name_of, tensors_of

# Operators that need a value, or whose result's size depends on values, by the names that they are shown under
# (https://docs.pytorch.org/docs/stable/notes/cuda.html#asynchronous-execution).
WAITING = {
    **{name: name for name in ("equal", "nonzero", "masked_select", "unique_dim", "unique_consecutive", "bincount")},
    # What reads one value ends in the first of these; in inference mode the others arrive whole.
    **dict.fromkeys(("_local_scalar_dense", "item", "is_nonzero"), "item"),
    "_unique2": "unique",
}
# Indexing waits where a mask tells which elements, for their number.
MASKED = {"index", "index_put", "index_put_"}


class Watcher(TorchDispatchMode):
    """Calls back with each operator and its arguments, then lets it run."""

    def __init__(self, seen: Callable[[Any, tuple[Any, ...]], None]) -> None:
        super().__init__()
        self._seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See and pass on."""
        self._seen(func, args)
        return func(*args, **(kwargs or {}))


def host_wait(func: Any, args: tuple[Any, ...]) -> str | None:
    """What the host waits for, if an operator makes it wait for a value that a GPU has yet to compute."""
    name = name_of(func)
    if name in MASKED and any(index.dtype in (torch.bool, torch.uint8) for index in tensors_of(args[1])):
        return "masked index"
    if name == "repeat_interleave" and func._overloadname in ("Tensor", "self_Tensor"):
        return name
    return WAITING.get(name)
