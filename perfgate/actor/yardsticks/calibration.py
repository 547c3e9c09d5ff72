"""A small program without torch, by which ``perfgate doctor`` measures the spread between launches."""

import numpy as np

from perfgate.actor.devices.base import Device
from perfgate.actor.programs.base import Program


class Calibration(Program):
    """A step takes about 10 ms, with other work than the yardstick's: sorting, a Fourier transform, a Python loop.

    If it did the same work as the yardstick, their ratio would hide influences that slow down one kind of work more
    than another.
    """

    def __init__(self, device: Device) -> None:
        del device
        self.numbers = np.resize(np.linspace(-1, 1, 1021), 1 << 17)
        self.words = [str(number) for number in range(20_000)]

    def step(self) -> None:
        """Sort, transform, and count words."""
        np.sort(self.numbers)
        np.fft.rfft(self.numbers)
        counts: dict[str, int] = {}
        for word in self.words:
            counts[word[:2]] = counts.get(word[:2], 0) + len(word)
