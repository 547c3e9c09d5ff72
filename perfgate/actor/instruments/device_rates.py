"""Measures the device's current rates of arithmetic and of memory traffic, to compare an operator's rates with."""

import itertools
from typing import Any

from perfgate.actor.devices.base import Device
from perfgate.actor.instrument import Instrument

MIB = 1 << 20
# Side of the square matrices, bytes of each of two tensors that fit in no cache, and number of measurements. In 32 bits
# there are no tensor cores, and products as large as those of 16 bits would heat a GPU for 90 ms beside each burst.
ON_CPU, ON_GPU, ON_GPU_IN_32_BITS = (512, 64 * MIB, 1), (8192, 512 * MIB, 4), (4096, 512 * MIB, 4)
WARMUPS = 3


class Rates(Instrument):
    """Measures ``peak_flops_per_s`` of a large product and ``peak_bytes_per_s`` of a large sum, if a program sets
    ``rates_of``.

    The sum is added in place, because a separate result would first be read into the cache, which counts of bytes do
    not include. Both are measured right after each step or burst, outside of its time, so a machine that slows down
    slows them too.
    """

    passes = frozenset({"time"})

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._wanted = False

    def built(self, program: Any) -> None:
        """Make the tensors. Those of the product have the program's number type."""
        dtype = program.rates_of
        self._wanted = dtype is not None
        if not self._wanted:
            return
        import torch  # imported already by any program that asks for rates

        self._side, self._added_bytes, self._times = sizes(self.device.torch_device, dtype.itemsize)
        place = self.device.torch_device
        self._left, self._right = (torch.randn(self._side, self._side, dtype=dtype, device=place) for _ in range(2))
        self._product = torch.empty_like(self._left)
        self._multiply = torch.matmul
        self._source, self._target = (torch.zeros(self._added_bytes // 4, device=place) for _ in range(2))
        for _ in range(WARMUPS):
            self._measure()

    def end_step(self) -> dict[str, Any]:
        """Measure both."""
        return self._measure() if self._wanted else {}

    def _measure(self) -> dict[str, float]:
        begin, computed = self.device.mark(), [self.device.processor_s()]
        for _ in range(self._times):
            self._multiply(self._left, self._right, out=self._product)
        between = self.device.mark()
        computed.append(self.device.processor_s())
        for _ in range(self._times):
            self._target.add_(self._source)
        end = self.device.mark()
        computed.append(self.device.processor_s())
        self.device.synchronize()
        spans_s = {"": [self.device.between_s(begin, between), self.device.between_s(between, end)]}
        marks = [mark for mark in computed if mark is not None]
        if marks:
            spans_s["process_"] = [after - before for before, after in itertools.pairwise(marks)]
        found = {}
        for clock, (multiplied_s, added_s) in spans_s.items():
            # A multiply-add is two operations. A sum in place reads two tensors and writes one.
            found[f"{clock}peak_flops_per_s"] = self._times * 2 * self._side**3 / multiplied_s
            found[f"{clock}peak_bytes_per_s"] = self._times * 3 * self._added_bytes / added_s
        return found


def sizes(device: str, number_bytes: int) -> tuple[int, int, int]:
    """The sizes to measure on a device, for numbers of this size."""
    if device == "cpu":
        return ON_CPU
    return ON_GPU if number_bytes <= 2 else ON_GPU_IN_32_BITS


INSTRUMENT = Rates
