"""The messages by which the yardstick of Apple's GPUs reaches Metal, against scripted objects; no GPU has run it."""

import ctypes
from collections import Counter
from contextlib import contextmanager

import pytest

from perfgate.actor.devices.driver import DriverError
from perfgate.actor.yardsticks.cuda import COPIES, LAUNCHES, SETTLED, THREADS
from perfgate.actor.yardsticks.mps import BLOCKS, COMPLETED, VERSION, MpsYardstick

SUMS = ctypes.c_float * (BLOCKS * THREADS)
NOTHING = ("newLibraryWithSource:options:error:", "newFunctionWithName:", "newCommandQueue", "commandBuffer")


class Scripted:
    """A Metal that answers every message with an object, counts them, and has computed already."""

    def __init__(self, **answers):
        self.answers = {"GPUStartTime": 1.0, "GPUEndTime": 1.25, "status": COMPLETED, **answers}
        self.sent = Counter()
        self.sums = SUMS(*[SETTLED] * (BLOCKS * THREADS))

    def device(self):
        return self.answers.get("device", 7)

    def text(self, words):
        return 11 + len(words)

    def send(self, to, message, *arguments, returns=ctypes.c_void_p):
        assert to, message
        self.sent[message] += 1
        assert message.count(":") == len(arguments), message
        if message == "contents":
            return ctypes.addressof(self.sums)
        return self.answers.get(message, 5 if returns else None)

    @contextmanager
    def pool(self):
        self.sent["pool"] += 1
        yield


def test_a_step_does_all_three_and_times_them_apart():
    metal = Scripted()
    yardstick = MpsYardstick(device=None, version=VERSION, runtime=lambda: metal)
    metal.sent.clear()
    parts = yardstick.work()
    assert parts["arithmetic_s"] == parts["copy_s"] == 0.25
    assert parts["launches_s"] > 0
    assert metal.sent["dispatchThreadgroups:threadsPerThreadgroup:"] == 1 + LAUNCHES
    assert metal.sent["copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:"] == COPIES
    assert metal.sent["commit"] == metal.sent["waitUntilCompleted"] == metal.sent["endEncoding"] == 3
    assert metal.sent["pool"] == 1


@pytest.mark.parametrize("message", NOTHING)
def test_what_metal_refuses_is_named(message):
    with pytest.raises(DriverError, match=f"^Metal gives nothing for {message}$"):
        MpsYardstick(device=None, version=VERSION, runtime=lambda: Scripted(**{message: None}))


def test_without_a_device_or_with_work_that_ends_otherwise_it_is_one_sentence():
    with pytest.raises(DriverError, match=r"^Metal gives nothing for a Metal device$"):
        MpsYardstick(device=None, version=VERSION, runtime=lambda: Scripted(device=None))
    with pytest.raises(DriverError, match=r"^Metal did not complete the yardstick's work \(status 5\)$"):
        MpsYardstick(device=None, version=VERSION, runtime=lambda: Scripted(status=5))
    with pytest.raises(DriverError, match=r"^Metal cannot be used: "):
        MpsYardstick(device=None, version=VERSION)
    with pytest.raises(ValueError, match="yardstick 99 was asked for"):
        MpsYardstick(device=None, version=99)


def test_a_device_that_computes_wrongly_is_refused():
    metal = Scripted()
    metal.sums[3] = 5.0
    with pytest.raises(RuntimeError, match="computes wrongly: 1 of "):
        MpsYardstick(device=None, version=VERSION, runtime=lambda: metal)
