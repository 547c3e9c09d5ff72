"""Lists the values that the host read in a step although an emulated card had not computed them."""

from collections import Counter
from typing import Any

from perfgate.actor.instrument import Instrument


class Assumed(Instrument):
    """Reads the finding ``assumed`` of the last step: the reads by operator and value. Only emulated cards have it."""

    passes = frozenset({"counters"})
    innermost = True

    def start(self) -> None:
        """Check whether there is something to list."""
        self._emulated = self.device.name == "emulated"
        self._found: Counter[str] = Counter()

    def begin_step(self) -> None:
        """Remember earlier reads."""
        if self._emulated:
            self._before = self._so_far()

    def end_step(self) -> dict[str, float]:
        """Keep the reads of this step."""
        if self._emulated:
            self._found = self._so_far() - self._before
        return {}

    def findings(self) -> dict[str, Any]:
        """The last step's reads."""
        return {"assumed": dict(sorted(self._found.items()))} if self._found else {}

    def _so_far(self) -> Counter[str]:
        from perfgate.actor.devices.assumed import assumed_values

        return assumed_values()


INSTRUMENT = Assumed
