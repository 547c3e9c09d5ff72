"""The timesheet of a stage: the seconds that it spent on each kind of work."""

from dataclasses import asdict, dataclass, field


@dataclass
class Timesheet:
    """The seconds that a stage spent on each kind of work; one line of a run file.

    Attributes:
        servers_s: starting servers.
        waiting_s: waiting for the lock of the device.
        programs_s: inside the cases' programs, for set-up, steps and their last answer.
        setups_s: the part of ``programs_s`` that is set-up.
        dry_s: the part of ``programs_s`` that is waiting for dry runs.
        yardstick_s: inside the yardstick.
        fork_s: from the beginning of each launch to its set-up.
    """

    servers_s: float = 0.0
    waiting_s: float = 0.0
    programs_s: float = 0.0
    setups_s: float = 0.0
    dry_s: float = 0.0
    yardstick_s: float = 0.0
    fork_s: list[float] = field(default_factory=list)

    def to_json(self) -> dict[str, float]:
        """The object for the run file, with ``fork_s`` summed over the launches."""
        return {name: sum(value) if isinstance(value, list) else value for name, value in asdict(self).items()}
