"""The side that a case is held against in a run with a reference: its versions, and whether it can run the case."""

from collections.abc import Sequence

from perfgate.cases.lines import Case
from perfgate.gate.versions import DECIDING, SAME, Upgrade, differing
from perfgate.records.launch import Launch
from perfgate.reference.interpreter import Interpreter
from perfgate.reference.reference import Reference


def upgrade_from(reference: Interpreter, tolerance: float) -> Upgrade:
    """The way from the reference's versions to the candidate's.

    Args:
        reference: that the candidate is held against.
        tolerance: largest acceptable change of what is counted, where versions differ.
    """
    if not isinstance(reference, Reference):
        return SAME
    before, now = ({name: versions[side] for name, versions in reference.moved.items()} for side in (0, 1))
    # Between two interpreters nothing but packages differs, so each of them counts.
    names = DECIDING if reference.commit else tuple(reference.moved)
    return Upgrade(differing(before, now, names), tolerance)


def without_program(case: Case, reference: Interpreter, before: Sequence[Launch], now: Sequence[Launch]) -> str:
    """The sentence for an interpreter that lacks a program which the candidate has; empty where it does not.

    A revision may lack a program: it has code of its own.
    """
    absent = next((launch.invalid for launch in before if launch.without_program), None)
    if not absent or reference.path or any(launch.without_program for launch in now):
        return ""
    return (
        f"{case.id} cannot be held against the reference: {absent}; {reference.python} finds programs in the folder "
        f"of the run, in pytest's pythonpath, and among its own packages ({reference.python} -m pip install ...)"
    )


def unable(before: Sequence[Launch], now: Sequence[Launch]) -> Launch | None:
    """The launch that shows that the reference cannot run a case: its program fails there, or a library of it lacks
    something that the candidate's has; ``None`` where it can."""
    lacks_too = any(launch.unsupported for launch in now)
    return next((launch for launch in before if launch.fault or (launch.unsupported and not lacks_too)), None)
