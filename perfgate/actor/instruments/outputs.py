"""The outputs of the steps (tokens, losses, logits), to compare with those of the same program with other settings."""

from typing import Any

from perfgate.actor.instrument import Instrument


class Outcome(Instrument):
    """Finding ``outcome``: numbers by name, as the program tells them."""

    passes = frozenset({"counters"})

    def built(self, program: Any) -> None:
        """Keep the program, to ask it at the end."""
        self._program = program
        program.keeps_outcome = True

    def findings(self) -> dict[str, Any]:
        """Ask the program."""
        self._program.keeps_outcome = False
        return {"outcome": self._program.outcome()}


INSTRUMENT = Outcome
