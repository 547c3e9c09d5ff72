"""The messages by which the yardstick of Apple's GPUs reaches Metal, against scripted objects; no GPU has run it."""

import pytest

from perfgate.actor.devices.driver import DriverError
from perfgate.actor.yardsticks.cuda import COPIES, LAUNCHES
from perfgate.actor.yardsticks.mps import VERSION, MpsYardstick
from tests.support.metal import Scripted

NOTHING = ("newLibraryWithSource:options:error:", "newFunctionWithName:", "newCommandQueue", "commandBuffer")


@pytest.fixture
def on(monkeypatch):
    """Builds the yardstick on a scripted Metal."""

    def build(metal):
        monkeypatch.setattr(MpsYardstick, "runtime_of", lambda yardstick: metal)
        return MpsYardstick(device=None, version=VERSION)

    return build


def test_a_step_does_all_three_and_times_them_apart(on):
    metal = Scripted()
    yardstick = on(metal)
    metal.sent.clear()
    parts = yardstick.work()
    assert parts["arithmetic_s"] == parts["copy_s"] == 0.25
    assert parts["launches_s"] > 0
    assert metal.sent["dispatchThreadgroups:threadsPerThreadgroup:"] == 1 + LAUNCHES
    assert metal.sent["copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:"] == COPIES
    assert metal.sent["commit"] == metal.sent["waitUntilCompleted"] == metal.sent["endEncoding"] == 3
    assert metal.sent["pool"] == 1


@pytest.mark.parametrize("message", NOTHING)
def test_what_metal_refuses_is_named(on, message):
    with pytest.raises(DriverError, match=f"^Metal gives nothing for {message}$"):
        on(Scripted(**{message: None}))


def test_without_a_device_or_with_work_that_ends_otherwise_it_is_one_sentence(on):
    with pytest.raises(DriverError, match=r"^Metal cannot be used: "):
        MpsYardstick(device=None, version=VERSION)
    with pytest.raises(DriverError, match=r"^Metal gives nothing for a Metal device$"):
        on(Scripted(device=None))
    with pytest.raises(DriverError, match=r"^Metal did not complete the yardstick's work \(status 5\)$"):
        on(Scripted(status=5))
    with pytest.raises(ValueError, match="yardstick 99 was asked for"):
        MpsYardstick(device=None, version=99)


def test_a_device_that_computes_wrongly_is_refused(on):
    metal = Scripted()
    metal.sums[3] = 5.0
    with pytest.raises(RuntimeError, match="computes wrongly: 1 of "):
        on(metal)
