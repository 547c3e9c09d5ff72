"""Faults are injected into real runs; nothing that was stored may be lost, and nothing may be left behind."""

import pytest

from benchmarks.faults.table import faults
from benchmarks.faults.world import World

FAULTS = {fault.name: fault for fault in faults()}
# Of rows that are alike some are here, and all in ``python -m benchmarks.faults``.
SIGNALS = ("gets_sigterm", "gets_sigkill", "gets_sigsegv", "gets_sigstop")
CLOCKS = ("the clock jumps a day back", "the clock jumps ten years ahead", "a run whose clock is ten years ahead")
FEW = {"signals": 0, "clocks": 0, "Ctrl-C": 3, "servers": 2, "disks": 2, "collections": 0, "set-up": 5, "exit": 5}
SOME = {name for kind, count in FEW.items() for name in [n for n, f in FAULTS.items() if f.kind == kind][:count]}
# What is read where nothing is stored is read, too, where something is.
READ_TWICE = {name.removesuffix(", stored over") for name in FAULTS if name.endswith(", stored over")}
CHOSEN = [name for name, f in FAULTS.items() if f.kind not in FEW or name in (*SIGNALS, *CLOCKS, *SOME)]
CHOSEN = [name for name in CHOSEN if name not in READ_TWICE]


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
