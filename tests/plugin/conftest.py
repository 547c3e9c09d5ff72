"""Suites whose programs run in torch."""

import pytest

from tests import SUPPORT


@pytest.fixture
def exact(suite):
    """A suite whose programs run dry."""
    programs = SUPPORT / "torch_programs.py"
    (suite.path / "torch_programs.py").write_text(programs.read_text())
    with (suite.path / "tox.ini").open("a") as ini:
        ini.write("\nperf_preload = torch_programs perfgate.actor.dry_run.run\n")
    return suite
