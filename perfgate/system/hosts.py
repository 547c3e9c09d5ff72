"""The hosts of a run: where further ranks join launches."""

import json
import os
from dataclasses import dataclass

JOIN = "PERFGATE_JOIN"


@dataclass(frozen=True)
class Hosts:
    """Where further ranks join launches.

    Attributes:
        address: of the host that runs pytest.
        port: on which a launch waits for them.
        ranks: of torchrun, of which pytest's is the first.
        count: how many hosts there are.
    """

    address: str
    port: int
    ranks: int
    count: int

    def to_json(self) -> dict[str, str | int]:
        """As the variable ``PERFGATE_JOIN`` and orders to actors hold it."""
        return {"address": self.address, "port": self.port, "ranks": self.ranks, "count": self.count}


def find_hosts() -> Hosts | None:
    """The hosts of this run; ``None`` where it is this one alone."""
    told = os.environ.get(JOIN)
    return Hosts(**json.loads(told)) if told else None
