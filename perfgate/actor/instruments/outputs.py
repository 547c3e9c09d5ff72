"""Reads the results of steps (tokens, losses, logits), to compare them with those under other settings."""

from typing import Any

from perfgate.actor.instrument import Instrument


class Outcome(Instrument):
    """Reads the finding ``outcome``: the program's results by name."""

    passes = frozenset({"counters"})

    def built(self, program: Any) -> None:
        """Keep the program until the end."""
        self._program = program
        program.keeps_outcome = True

    def findings(self) -> dict[str, Any]:
        """Read the program's results."""
        self._program.keeps_outcome = False
        return {"outcome": self._program.outcome()}


INSTRUMENT = Outcome
