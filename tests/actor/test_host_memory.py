"""The peak of the host counts what a step holds at once, in Python, NumPy and Arrow, and nothing from before it."""

import numpy as np
import pyarrow

from perfgate.actor.devices import open_device
from perfgate.actor.instruments.host_memory import HostMemory
from perfgate.actor.programs.base import Program

MIB = 2**20


class Holds(Program):
    """Keeps some memory for good, and takes some in each step."""

    host_work = True

    def __init__(self) -> None:
        self.kept = np.zeros(8 * MIB, dtype=np.uint8)

    def step(self) -> None:
        for _ in range(3):
            bytearray(MIB)
        np.ones(MIB, dtype=np.uint8)
        pyarrow.allocate_buffer(2 * MIB)


def measured(program: Program) -> dict[str, int]:
    instrument = HostMemory(open_device({"kind": "cpu"}, "memory", None, 1))
    instrument.built(program)
    for _ in range(2):
        instrument.begin_step()
        program.step()
        instrument.end_step()
    return instrument.finish()


def test_what_is_held_at_once_counts_and_what_was_there_before_does_not() -> None:
    peak = measured(Holds())["peak_host_bytes"]
    assert 3 * MIB <= peak < 3.1 * MIB


def test_a_program_whose_work_is_not_the_host_s_alone_has_no_such_peak() -> None:
    program = Holds()
    program.host_work = False
    assert measured(program) == {}
