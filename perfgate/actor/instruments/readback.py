"""The settings that were asked for, and those that were in force when the last step was done."""

from typing import Any

from perfgate.actor.instrument import Instrument


class Settings(Instrument):
    """Findings ``asked`` and ``effective``: values by name of the setting."""

    passes = frozenset({"counters"})

    def built(self, program: Any) -> None:
        """Keep the program, to ask it at the end."""
        self._program = program

    def findings(self) -> dict[str, Any]:
        """Ask the program."""
        asked, effective = self._program.effective()
        return {"asked": asked, "effective": effective}


INSTRUMENT = Settings
