"""Tells the name of every operator that real tensors are put through."""

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from perfgate.actor.ledger.known import name_of


class Watcher(TorchDispatchMode):
    """Calls back with each operator's name, then lets it run."""

    def __init__(self, seen: Callable[[str], None]) -> None:
        super().__init__()
        self._seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See and pass on."""
        self._seen(name_of(func))
        return func(*args, **(kwargs or {}))
