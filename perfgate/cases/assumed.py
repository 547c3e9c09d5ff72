"""Remarks on values that an emulated card assumed, so that nothing uncomputed looks like a measured value."""

from collections.abc import Sequence

from perfgate.records.launch import Launch

SHOWN = 3


def assumed_in(launches: Sequence[Launch]) -> str:
    """A clause with the values that a step read although nothing had computed them; empty if there are none."""
    found = next((launch.details.findings.assumed for launch in launches if launch.details.findings.assumed), {})
    often = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    named = [f"{what} ({times:,} times)" if times > 1 else what for what, times in often[:SHOWN]]
    more = [f"{len(often) - SHOWN} more"] if len(often) > SHOWN else []
    return f"assumed in a step, as nothing is computed: {', '.join(named + more)}" if found else ""
