"""What an emulated card assumed, as a remark of the case: nothing that was not computed looks like a value."""

from collections.abc import Sequence

from perfgate.records.launch import Launch

SHOWN = 3


def assumed_in(launches: Sequence[Launch]) -> str:
    """A clause that names the values that the host read in a step and nobody computed; empty where there are none."""
    found = next((launch.details.findings.assumed for launch in launches if launch.details.findings.assumed), {})
    often = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    named = [f"{what} ({times:,} times)" if times > 1 else what for what, times in often[:SHOWN]]
    more = [f"{len(often) - SHOWN} more"] if len(often) > SHOWN else []
    return f"assumed in a step, as nothing is computed: {', '.join(named + more)}" if found else ""
