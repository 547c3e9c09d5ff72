"""Reads the settings that were asked for, and those that were in force after the last step."""

from typing import Any

from perfgate.actor.instrument import Instrument


class Settings(Instrument):
    """Reads the findings ``asked`` and ``effective``: values by the setting's name."""

    passes = frozenset({"counters"})

    def built(self, program: Any) -> None:
        """Keep the program, to ask it at the end."""
        self._program = program

    def findings(self) -> dict[str, Any]:
        """Ask the program."""
        asked, effective = self._program.effective()
        return {"asked": asked, "effective": effective}


INSTRUMENT = Settings
