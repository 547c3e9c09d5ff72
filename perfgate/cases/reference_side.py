"""The reference's side of a case: its library versions, its launches without times, and whether it can run the case."""

from collections.abc import Sequence
from typing import Any

from perfgate.cases.duets import Progress
from perfgate.cases.lines import Case
from perfgate.gate.versions import DECIDING, SAME, Upgrade, differing
from perfgate.measure.schedule import MEMORY, untimed
from perfgate.measure.stage import Stage
from perfgate.records.launch import Launch
from perfgate.reference.interpreter import Interpreter
from perfgate.reference.reference import Reference
from perfgate.shared.workload import Workload


def upgrade_from(reference: Interpreter, tolerance: float) -> Upgrade:
    """The step from the reference's library versions to the candidate's.

    Args:
        reference: the reference of the run.
        tolerance: the largest acceptable change of counted metrics if versions differ.
    """
    if not isinstance(reference, Reference):
        return SAME
    before, now = ({name: versions[side] for name, versions in reference.moved.items()} for side in (0, 1))
    # Two interpreters differ in nothing but packages, so each package counts.
    names = DECIDING if reference.commit else tuple(reference.moved)
    return Upgrade(differing(before, now, names), tolerance)


def both_untimed(stage: Stage, case: str, workload: Workload, progress: Progress) -> tuple[list[Launch], list[Launch]]:
    """The untimed launches of the reference and of the candidate.

    One launch a side is enough if both agree; a difference in memory is measured again before it counts.
    """
    now = untimed(stage, case, workload, progress, agreeing=1)
    before = untimed(stage, case, workload, progress, "reference", agreeing=1)
    if peaks(now) != peaks(before):
        now += untimed(stage, case, workload, progress, passes=[MEMORY.name], agreeing=1)
        before += untimed(stage, case, workload, progress, "reference", passes=[MEMORY.name], agreeing=1)
    return before, now


def peaks(launches: Sequence[Launch]) -> list[Any]:
    """The peak memory of each launch in the memory pass."""
    return [launch.metrics.get("peak_memory_bytes") for launch in launches if launch.pass_name == MEMORY.name]


def without_program(case: Case, reference: Interpreter, before: Sequence[Launch], now: Sequence[Launch]) -> str:
    """A sentence about a reference interpreter that lacks a program of the candidate; empty if it has the program.

    A revision may lack the program, because it has its own code.
    """
    absent = next((launch.invalid for launch in before if launch.without_program), None)
    if not absent or reference.path or any(launch.without_program for launch in now):
        return ""
    return (
        f"{case.id} cannot be held against the reference: {absent}; {reference.python} finds programs in the folder "
        f"of the run, in pytest's pythonpath, and among its own packages ({reference.python} -m pip install ...)"
    )


def unable(before: Sequence[Launch], now: Sequence[Launch]) -> Launch | None:
    """The launch that shows that the reference cannot run a case; ``None`` if it can.

    Its program fails there, or a library of it lacks something that the candidate's library has.
    """
    lacks_too = any(launch.unsupported for launch in now)
    return next((launch for launch in before if launch.fault or (launch.unsupported and not lacks_too)), None)
