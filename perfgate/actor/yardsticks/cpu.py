"""The CPU's yardstick: fixed work with NumPy only, whose time shows how fast the machine is at the moment."""

import itertools
import time
from typing import Any

import numpy as np

from perfgate.actor.devices.base import Device
from perfgate.actor.pace import Pace
from perfgate.actor.programs.base import Program
from perfgate.shared.device_kinds import DEVICE_KINDS

VERSION = DEVICE_KINDS["cpu"].yardstick_version
PARTS = ("matmul", "python", "copy")


class Yardstick(Program):
    """A step consists of three parts that a model's step has too, each timed separately: matrix products with weights
    that do not fit into the core's own caches, calls of small array functions from a Python loop, and a copy of memory.

    Baselines store ratios to the time of this step. If one of its sizes changes, the yardstick needs a new version in
    ``perfgate.shared.device_kinds``, because ratios to different versions are not compared.
    """

    def __init__(self, device: Device, version: int) -> None:
        del device
        if version != VERSION:
            raise ValueError(f"yardstick {version} was asked for, this is {VERSION}")
        self.inputs = numbers(96, 384)
        self.weights = itertools.cycle(numbers(24, 384, 384))
        self.outputs = np.empty_like(self.inputs)
        self.small = numbers(256)
        self.source = numbers(1 << 21)
        self.target = np.empty_like(self.source)

    def drive(self, pace: Pace) -> None:
        """On each turn take one step, and report the times of its parts in wall time and in processor time."""
        while True:
            pace.begin()
            wall, computed = [time.perf_counter()], [time.process_time()]
            for work in (self.multiply, self.call, self.copy):
                work()
                wall.append(time.perf_counter())
                computed.append(time.process_time())
            pace.end(None, spans("{}_s", wall) | spans("process_{}_s", computed))

    def multiply(self) -> None:
        """Six products, each with the next of 24 matrices (14 MB in all)."""
        for weight in itertools.islice(self.weights, 6):
            np.matmul(self.inputs, weight, out=self.outputs)

    def call(self) -> None:
        """Calls so small that the interpreter and NumPy's dispatch take most of the time."""
        values = self.small
        for _ in range(500):
            values = np.tanh(values + self.small)

    def copy(self) -> None:
        """A copy of 8 MiB."""
        np.copyto(self.target, self.source)


def spans(name: str, marks: list[float]) -> dict[str, float]:
    """The seconds of each part, between one mark and the next."""
    return {name.format(part): end - begin for part, (begin, end) in zip(PARTS, itertools.pairwise(marks), strict=True)}


def numbers(*shape: int) -> Any:
    """An array of ordinary numbers between -1 and 1, made faster than by a random generator."""
    return np.resize(np.linspace(-1, 1, 1021, dtype=np.float32), shape)
