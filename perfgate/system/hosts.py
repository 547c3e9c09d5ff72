"""The hosts of a distributed run, from which further ranks join launches."""

import json
import os
from dataclasses import dataclass

JOIN = "PERFGATE_JOIN"


@dataclass(frozen=True)
class Hosts:
    """The meeting point of the ranks of a launch, and how many ranks and hosts there are.

    Attributes:
        address: address of the host that runs pytest.
        port: the port on which a launch waits for its ranks.
        ranks: the number of workers that torchrun started; the first of them runs pytest.
        count: the number of hosts.
    """

    address: str
    port: int
    ranks: int
    count: int

    def to_json(self) -> dict[str, str | int]:
        """The value of the variable ``PERFGATE_JOIN``, and the form in which actors get it."""
        return {"address": self.address, "port": self.port, "ranks": self.ranks, "count": self.count}


def find_hosts() -> Hosts | None:
    """The hosts of this run; ``None`` if this host is the only one."""
    told = os.environ.get(JOIN)
    return Hosts(**json.loads(told)) if told else None
