"""Tests that run programs on the emulated card need a torch that is built for CUDA; the others run everywhere."""

import sys
from pathlib import Path

import pytest

from perfgate.measure.emulator.build import built
from perfgate.shared.errors import UserError


@pytest.fixture(scope="session")
def emulation() -> Path:
    """The folder of the emulated driver for this interpreter's torch; the test is skipped where it cannot be built."""
    try:
        return built(sys.executable)
    except UserError as error:
        pytest.skip(str(error))
