"""Whether a case that ended with a fault cannot run here at all, and never did."""

from collections.abc import Sequence

from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch


def never_ran_here(
    launches: Sequence[Launch], faulty: Sequence[Launch], held: Sequence[Baseline | None], beside_reference: bool
) -> bool:
    """Whether a case cannot run here and never did, so that it is skipped and does not fail.

    It does not fit into memory, or needs what an emulated card does not have. By a baseline it ran here before; one
    of another device does not tell what an emulated card has.

    Args:
        launches: all launches of the case.
        faulty: those of the code under test that ended with a fault.
        held: the baseline of this machine, and that of all machines.
        beside_reference: whether the case is held against a reference.
    """
    if all(launch.out_of_memory for launch in faulty):
        return not any(held) and not beside_reference
    there = not beside_reference or any(launch.not_emulated for launch in launches if launch.side == "reference")
    return all(launch.not_emulated for launch in faulty) and not any(held[:1]) and there
