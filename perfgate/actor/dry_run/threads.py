"""Sees operators on threads that a program starts; torch's modes and CPU profilers see only one thread."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from perfgate.actor.dry_run.host_syncs import Watcher
from perfgate.actor.dry_run.known_values import name_of
from perfgate.actor.dry_run.tracker import READING

BEGINS = "_bootstrap_inner"  # every thread of ``threading`` runs this, even if its class overrides ``run``


class Elsewhere(Watcher):
    """Runs each operator of one thread, and then calls ``seen``. Failing operators are seen too.

    Reading a fake tensor, which has no value, gives 1: if the thread ended there, the program might wait for it
    forever.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and report it, also if it fails."""
        try:
            return super().__torch_dispatch__(func, types, args, kwargs)
        except Exception:
            self._seen(func, args, kwargs or {}, None)
            if name_of(func) in READING:
                return 1
            raise


@contextmanager
def watched(seen: Callable[[], None]) -> Iterator[None]:
    """Call ``seen`` after each operator on a thread that begins within the block, for as long as the thread lives."""
    keep = getattr(threading.Thread, BEGINS)

    def begin(thread: threading.Thread) -> None:
        mode: TorchDispatchMode = Elsewhere(lambda *_: seen())
        with mode:
            keep(thread)

    setattr(threading.Thread, BEGINS, begin)
    try:
        yield
    finally:
        setattr(threading.Thread, BEGINS, keep)
