"""Counts waits for a GPU that torch reports: explicit calls, and those that it warns of."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from perfgate.actor.devices import cuda
from perfgate.actor.dry_run.places import place

WAITED = "called a synchronizing CUDA operation"
DEBUG_MODE = "ynchronization debug mode"
EXPLICIT = ((torch.cuda, "synchronize"), (torch.cuda.Stream, "synchronize"), (torch.cuda.Event, "synchronize"))
Noted = Callable[[str], None]


def at_place(what: str) -> str:
    """The waiting call, with the running line."""
    return " at ".join(filter(None, [what, place()]))


@contextmanager
def explicit_waits(note: Noted) -> Iterator[None]:
    """Within the block, note calls that only wait; Perfgate's own do not count."""
    before = [(owner, name, getattr(owner, name)) for owner, name in EXPLICIT]

    def noting(call: Any) -> Any:
        def wait(*arguments: Any, **named: Any) -> Any:
            if sys._getframe(1).f_code.co_filename != cuda.__file__:
                note("synchronize")
            return call(*arguments, **named)

        return wait

    for owner, name, call in before:
        setattr(owner, name, noting(call))
    try:
        yield
    finally:
        for owner, name, call in before:
            setattr(owner, name, call)


@contextmanager
def warned_waits(note: Noted) -> Iterator[None]:
    """Within the block, note waits that torch warns of; this does not disturb compiled programs.

    The warnings are those of ``torch.cuda.set_sync_debug_mode``
    (https://docs.pytorch.org/docs/stable/generated/torch.cuda.set_sync_debug_mode.html).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        shown = warnings.showwarning

        def show(message: Any, *more: Any, **named: Any) -> None:
            if WAITED in str(message):
                note("wait")
            elif DEBUG_MODE not in str(message):
                shown(message, *more, **named)

        warnings.showwarning = show
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)
