"""The stage's account of its own time."""

from dataclasses import asdict, dataclass, field


@dataclass
class Timesheet:
    """Where the stage's time went, in seconds; a run file has a line of it.

    Attributes:
        servers_s: until the servers were up.
        waiting_s: for the lock of the device.
        programs_s: inside the cases' programs: set-up, steps, and what they tell at the end.
        setups_s: of ``programs_s``, the set-ups.
        dry_s: of ``programs_s``, waiting for dry runs.
        yardstick_s: inside the yardstick.
        fork_s: of each launch, until its set-up began.
    """

    servers_s: float = 0.0
    waiting_s: float = 0.0
    programs_s: float = 0.0
    setups_s: float = 0.0
    dry_s: float = 0.0
    yardstick_s: float = 0.0
    fork_s: list[float] = field(default_factory=list)

    def to_json(self) -> dict[str, float]:
        """As the run file holds it, the launches' shares added up."""
        return {name: sum(value) if isinstance(value, list) else value for name, value in asdict(self).items()}
