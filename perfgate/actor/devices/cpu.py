"""The CPU: one core and one thread, unless told otherwise, so that two actors can take turns on the same core."""

import sys
import time
from collections.abc import Mapping
from typing import Any


class DeviceName(str):
    """The name in torch of the device under test. In a program's code, a plain ``"cpu"`` means the host instead.

    On a CPU both names mean the same memory. Only the type of the name shows which tensors would be on a GPU.
    """

    __slots__ = ()


class Cpu:
    """The CPU as a device. Work is done when a call returns, so there is nothing to wait for, and a mark is a time."""

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
        """Return at once, because no work is ever pending."""

    def begin_burst(self) -> None:
        """Do nothing: a CPU takes single steps."""

    def stepped(self) -> None:
        """Do nothing: a CPU takes single steps."""

    def spans_s(self) -> list[float]:
        """Empty: the time of the device is the step's wall time."""
        return []

    def between_s(self, begin: float, end: float) -> float:
        """Marks are times."""
        return end - begin

    def begin_record(self, host: bool = False) -> None:
        """Do nothing: there is no device beside the host."""
        del host

    def end_record(self) -> None:
        """``None``: there is no device beside the host."""

    def reset_peaks(self) -> None:
        """The CPU allocator keeps no count."""

    def peaks(self) -> dict[str, float]:
        """The CPU allocator keeps no count."""
        return {}

    def segments(self) -> list[dict[str, Any]]:
        """Empty: the CPU allocator does not list its memory."""
        return []

    def prove(self, compiled: bool) -> None:
        """Do nothing: every process can use the CPU."""
