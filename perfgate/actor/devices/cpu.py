"""The CPU: one core and one thread, unless told otherwise, so that two actors can take turns on the same core."""

import sys
import time
from collections.abc import Mapping
from typing import Any


class DeviceName(str):
    """The device under test by torch's name for it: not the same as ``"cpu"`` in somebody's code, which means the host.

    On a CPU both name the same memory, and only so can it be told what would lie on a GPU.
    """

    __slots__ = ()


class Cpu:
    """Work is done when a call returns, so there is nothing to wait for, and a mark is a time."""

    name = "cpu"
    torch_device: str = DeviceName("cpu")
    now_s = staticmethod(time.perf_counter)
    processor_s = staticmethod(time.process_time)
    mark = staticmethod(time.perf_counter)

    def __init__(self, threads: int) -> None:
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(threads)

    @classmethod
    def opened(cls, device: Mapping[str, Any], pass_name: str, threads: int) -> "Cpu":
        """The CPU, for a process whose order names it."""
        del device, pass_name
        return cls(threads)

    def synchronize(self) -> None:
        """Nothing is ever pending."""

    def begin_burst(self) -> None:
        """Nothing is kept of a burst."""

    def stepped(self) -> None:
        """Nothing is kept of a step."""

    def spans_s(self) -> list[float]:
        """The step's time on the wall is the device's time."""
        return []

    def between_s(self, begin: float, end: float) -> float:
        """Marks are times."""
        return end - begin

    def reset_peaks(self) -> None:
        """The CPU allocator keeps no count."""

    def peaks(self) -> dict[str, float]:
        """The CPU allocator keeps no count."""
        return {}

    def segments(self) -> list[dict[str, Any]]:
        """The CPU allocator tells nothing."""
        return []

    def prove(self, compiled: bool) -> None:
        """Every process reaches the CPU."""
