"""The measurement plan of a case: the numbers of launches and steps."""

from dataclasses import dataclass

from perfgate.shared.device_kinds import DEVICE_KINDS


@dataclass(frozen=True)
class MeasurementPlan:
    """The amount of measurement for a case.

    Attributes:
        launches: the number of timed launches of a case; 0 if no times are taken.
        memory_launches: number of launches of the memory pass, whose results must agree.
        steps_s: seconds to fill with timed steps, within the bounds on their number.
        min_steps: the lower bound on the number of timed steps.
        max_steps: the upper bound on the number of timed steps.
        timeout_s: the longest time that set-up or one step may take.
        threads: number of threads that an actor may compute with on a CPU; beside a GPU it has all of the GPU's cores.
        instruments: import paths of the instruments that users added.
        device: the kind of the stage's device, or ``none`` if there are only dry runs.
        power_limit_w: the power limit that is set for this case; ``None`` for the machine's usual one.
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
    power_limit_w: float | None = None

    @property
    def emulated(self) -> bool:
        """Whether the device is emulated: it has no times, and computes no values that could be compared."""
        return self.device in DEVICE_KINDS and bool(DEVICE_KINDS[self.device].emulates)

    @property
    def timed(self) -> bool:
        """Whether times are taken: not in dry runs, not on an emulated device, and not without timed launches."""
        return self.launches > 0 and self.device in DEVICE_KINDS and DEVICE_KINDS[self.device].timed
