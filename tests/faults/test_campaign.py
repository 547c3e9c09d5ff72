"""Faults are injected into real runs; nothing that was stored may be lost, and nothing may be left behind."""

import pytest

from benchmarks.faults.table import faults
from benchmarks.faults.world import World

FAULTS = {fault.name: fault for fault in faults()}
# Signals, jumps and interruptions alike to these are left to ``python -m benchmarks.faults``.
SIGNALS = ("gets_sigterm", "gets_sigkill", "gets_sigsegv", "gets_sigstop")
CLOCKS = ("the clock jumps a day back", "the clock jumps ten years ahead", "a run whose clock is ten years ahead")
ALIKE = ("signals", "clocks", "Ctrl-C", "servers", "collections")
POINTS = [name for kind in ("Ctrl-C", "servers") for name in [n for n, f in FAULTS.items() if f.kind == kind][:6]]
CHOSEN = [name for name, fault in FAULTS.items() if name in (*SIGNALS, *CLOCKS, *POINTS) or fault.kind not in ALIKE]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return World.new(tmp_path_factory.mktemp("faults") / "template")


@pytest.mark.slice
@pytest.mark.parametrize("name", CHOSEN)
def test_a_fault_loses_nothing_leaves_nothing_and_the_next_run_works(template, tmp_path, name):
    if lacks := FAULTS[name].lacks:
        pytest.skip(f"this machine lacks {lacks}")
    assert FAULTS[name].complaints(template.copy(tmp_path / "suite")) == []


def test_the_campaign_has_a_hundred_faults_with_names_of_their_own():
    assert len(FAULTS) == len(list(faults()))
    assert len(CHOSEN) >= 100
