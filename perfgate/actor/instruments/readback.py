"""Reads the settings that were asked for, and those that were in force after the last step."""

from typing import Any

from perfgate.actor.instrument import Instrument


class Settings(Instrument):
    """Reads the findings ``asked`` and ``effective``, which are values by the setting's name.

    A program whose calls of Python cannot be counted adds the finding ``repeats_calls``, which is false.
    """

    passes = frozenset({"counters"})

    def built(self, program: Any) -> None:
        """Keep the program, to ask it at the end."""
        self._program = program

    def findings(self) -> dict[str, Any]:
        """Ask the program."""
        asked, effective = self._program.effective()
        uncounted = {} if self._program.repeats_calls else {"repeats_calls": False}
        return {"asked": asked, "effective": effective, **uncounted}


INSTRUMENT = Settings
