"""A scripted Metal, and a torch that claims to have Apple's ``mps``: for tests on machines without such a GPU."""

import ctypes
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from perfgate.actor.yardsticks.cuda import SETTLED, THREADS
from perfgate.actor.yardsticks.mps import BLOCKS, COMPLETED


class Scripted:
    """A Metal that answers every message with an object, counts them, and has always finished computing."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"GPUStartTime": 1.0, "GPUEndTime": 1.25, "status": COMPLETED, **answers}
        self.sent: Counter[str] = Counter()
        self.sums: Any = (ctypes.c_float * (BLOCKS * THREADS))(*[SETTLED] * (BLOCKS * THREADS))

    def device(self) -> Any:
        """The default device."""
        return self.answers.get("device", 7)

    def text(self, words: bytes) -> Any:
        """A string."""
        return 11 + len(words)

    def send(self, to: Any, message: str, *arguments: Any, returns: Any = ctypes.c_void_p) -> Any:
        """Answer a message, which must have as many arguments as colons."""
        assert to, message
        assert message.count(":") == len(arguments), message
        self.sent[message] += 1
        if message == "contents":
            return ctypes.addressof(self.sums)
        return self.answers.get(message, 5 if returns else None)

    @contextmanager
    def pool(self) -> Iterator[None]:
        """A pool, which frees nothing."""
        self.sent["pool"] += 1
        yield


class Event:
    """A mark on the host's clock."""

    def __init__(self, enable_timing: bool = False) -> None:
        assert enable_timing

    def record(self) -> None:
        """Note the time."""
        self.at_s = time.perf_counter()

    def elapsed_time(self, end: "Event") -> float:
        """Milliseconds until another mark."""
        return (end.at_s - self.at_s) * 1e3


def fakes(waits: list[int]) -> list[tuple[Any, str, Any]]:
    """The patches for torch: object, attribute, and replacement.

    Args:
        waits: gets an item for each wait for the device.
    """
    return [
        (torch.backends.mps, "is_built", lambda: True),
        (torch.backends.mps, "is_available", lambda: True),
        (torch.mps, "Event", Event),
        (torch.mps, "synchronize", lambda: waits.append(1)),
        (torch.mps, "current_allocated_memory", lambda: 1000),
        (torch.mps, "driver_allocated_memory", lambda: 4096),
    ]
