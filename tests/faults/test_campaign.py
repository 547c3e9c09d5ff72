"""Faults are injected into real runs; nothing that was stored may be lost, and nothing may be left behind."""

import pytest

from benchmarks.faults.table import faults
from benchmarks.faults.world import World

WRITES = (("baselines", 2), ("perf_output", 1), ("perf_output", 4), ("perf_output", 6))
FAULTS = {fault.name: fault for fault in faults()}
# Of rows that are alike some are here, and all in ``python -m benchmarks.faults``. Of these kinds the first so many:
FEW = {"signals": 0, "clocks": 0, "Ctrl-C": 3, "servers": 2, "disks": 2, "collections": 0, "set-up": 5, "exit": 5}
FEW |= {"passes": 0, "writes": 0, "weights": 0}  # weights are loaded in test_parsers.py
AND = (
    *("gets_sigterm", "gets_sigkill", "gets_sigsegv", "gets_sigstop"),
    *("the clock jumps a day back", "the clock jumps ten years ahead", "a run whose clock is ten years ahead"),
    *(f"the disk of {name} is full at write {first} of a process" for name, first in WRITES),
    *(name for name, fault in FAULTS.items() if fault.kind == "passes" and name.startswith("gets_sigkill")),
)
ALIKE = {
    *("exits_well", "recurses", "aborts", "leaves_children", "spins", "changes_folder", "clears_environment"),
    *("gets_sigkill in launch 2", "gets_sigkill in launch 3", "SIGHUP while it measures", "two runs store at once"),
    *("ten runs store where flock keeps nobody out", "run file empty", "run file with a deep line", "run file doubled"),
    *("a model's folder that vanishes 0 s into its first launch", "disk of baselines full", "disk of output full"),
    *("a model's folder that vanishes 1 s into its first launch", "run file with garbage in front"),
    # What is read where nothing is stored is read, too, where something is.
    *(name.removesuffix(", stored over") for name in FAULTS if name.endswith(", stored over")),
}
SOME = {name for kind, count in FEW.items() for name in [n for n, f in FAULTS.items() if f.kind == kind][:count]}
CHOSEN = [name for name, f in FAULTS.items() if name in (*AND, *SOME) or (f.kind not in FEW and name not in ALIKE)]


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
    assert {*AND, *ALIKE} <= set(FAULTS)
