"""A fixed reference that contains nothing of what is under test: it tells how fast the machine is at this moment."""

import itertools
import time

import numpy as np

from perfgate.actor.devices import Device
from perfgate.actor.pace import Pace
from perfgate.actor.programs.base import Program

VERSION = 1
PARTS = ("matmul", "python", "copy")


class Yardstick(Program):
    """A step is a few small matrix products, a Python loop and copies of memory, each timed apart.

    The three are sized to take about the same time, a millisecond or two each. Their sizes are the unit in which
    baselines are stored: a change of any of them needs a new ``VERSION``.
    """

    def __init__(self, device: Device) -> None:
        del device
        source = np.random.default_rng(0)
        self.left = source.standard_normal((160, 160), dtype=np.float32)
        self.right = source.standard_normal((160, 160), dtype=np.float32)
        self.product = np.empty_like(self.left)
        self.source = source.standard_normal(1 << 19, dtype=np.float32)
        self.target = np.empty_like(self.source)

    def drive(self, pace: Pace) -> None:
        """Take one step a token, and report its parts."""
        while True:
            pace.begin()
            marks = [time.perf_counter()]
            for work in (self.multiply, self.count, self.copy):
                work()
                marks.append(time.perf_counter())
            spans = zip(PARTS, itertools.pairwise(marks), strict=True)
            pace.end(None, {f"{part}_s": end - begin for part, (begin, end) in spans})

    def multiply(self) -> None:
        """Matrix products that fit the second-level cache."""
        for _ in range(12):
            np.matmul(self.left, self.right, out=self.product)

    def count(self) -> None:
        """A loop of the interpreter."""
        total = 0
        for number in range(30_000):
            total += number & 7

    def copy(self) -> None:
        """Copies of 2 MiB."""
        for _ in range(8):
            np.copyto(self.target, self.source)
