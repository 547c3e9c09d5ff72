"""The card of the tests here: a real one, or the emulated one in a process that was started on it."""

import importlib.metadata
import os

import pytest

from perfgate.measure.devices.base import Device
from perfgate.measure.devices.find import find_device

WHERE = "run pytest tests -m gpu on a machine that has one, or ci/emulated-gpu --tests"
EMULATED = "EMU_PROFILE" in os.environ


@pytest.fixture(scope="session")
def gpu() -> Device:
    """The card that this process may use; the test is skipped where there is none."""
    if EMULATED:
        return find_device("emulated")
    device = find_device("auto")
    if device.kind != "cuda" or "+cpu" in importlib.metadata.version("torch"):
        pytest.skip(f"needs a CUDA device: {WHERE}")
    return device


@pytest.fixture(scope="session")
def timed_gpu(gpu: Device) -> Device:
    """The card, for what is decided by times or by the driver's sensors: the emulated one has neither."""
    if EMULATED:
        pytest.skip("needs a real card: the emulated one takes no times and has no sensors")
    return gpu
