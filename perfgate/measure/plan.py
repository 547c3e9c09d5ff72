"""The plan of a measurement."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MeasurementPlan:
    """How much is measured of a case.

    Attributes:
        launches: timed launches a case.
        memory_launches: launches of the memory pass, which must agree.
        steps_s: seconds to fill with timed steps, within the two bounds on their number.
        min_steps: the lower bound.
        max_steps: the upper bound.
        timeout_s: the longest that set-up or one step may take, in seconds.
        threads: how many threads an actor may compute with.
        instruments: import paths of the instruments that users added.
        device: the kind of the stage's device, or ``none`` for the dry run alone.
    """

    launches: int = 3
    memory_launches: int = 2
    steps_s: float = 0.8
    min_steps: int = 10
    max_steps: int = 60
    timeout_s: float = 120.0
    threads: int = 1
    instruments: tuple[str, ...] = ()
    device: str = "cpu"
