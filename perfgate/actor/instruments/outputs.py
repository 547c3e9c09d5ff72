"""What came of the steps: tokens, losses, logits, to be held against those of the same program with another setting."""

from typing import Any

from perfgate.actor.instruments.base import Instrument


class Outcome(Instrument):
    """Finding ``outcome``."""

    passes = frozenset({"counters"})

    def built(self, program: Any) -> None:
        """Keep the program, to ask it at the end."""
        self._program = program
        program.keeps_outcome = True

    def findings(self) -> dict[str, Any]:
        """Ask the program."""
        return {"outcome": self._program.outcome()}


INSTRUMENT = Outcome
