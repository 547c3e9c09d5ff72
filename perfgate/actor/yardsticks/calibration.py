"""A small program that needs no torch, to learn from how much launches vary on a machine."""

import numpy as np

from perfgate.actor.devices.base import Device
from perfgate.actor.programs.base import Program


class Calibration(Program):
    """A step of some 10 ms of what the yardstick does not do: sorting, a Fourier transform, a loop over Python objects.

    Were it the yardstick itself, the ratio of the two would hide what slows one kind of work more than another.
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
