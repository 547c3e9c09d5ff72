"""The timesheet of a stage."""

from dataclasses import asdict, dataclass, field


@dataclass
class Timesheet:
    """How the stage spent its time, in seconds. A run file has a line of it.

    Attributes:
        servers_s: starting servers.
        waiting_s: waiting for the lock of the device.
        programs_s: inside the cases' programs, for set-up, steps and their last answer.
        setups_s: the part of ``programs_s`` that is set-up.
        dry_s: the part of ``programs_s`` that is waiting for dry runs.
        yardstick_s: inside the yardstick.
        fork_s: for each launch, from its beginning to its set-up.
    """

    servers_s: float = 0.0
    waiting_s: float = 0.0
    programs_s: float = 0.0
    setups_s: float = 0.0
    dry_s: float = 0.0
    yardstick_s: float = 0.0
    fork_s: list[float] = field(default_factory=list)

    def to_json(self) -> dict[str, float]:
        """The object that the run file holds, with ``fork_s`` summed over the launches."""
        return {name: sum(value) if isinstance(value, list) else value for name, value in asdict(self).items()}
