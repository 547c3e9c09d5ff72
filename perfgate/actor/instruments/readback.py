"""Reads the requested settings, and those in force after the last step."""

from typing import Any

from perfgate.actor.instrument import Instrument


class Settings(Instrument):
    """Reads the findings ``asked`` and ``effective``, which are values by the setting's name.

    For a program whose Python calls cannot be counted, it adds the finding ``repeats_calls`` with the value false.
    """

    passes = frozenset({"counters"})

    def built(self, program: Any) -> None:
        """Keep the program until the end."""
        self._program = program

    def findings(self) -> dict[str, Any]:
        """Read the program's settings."""
        asked, effective = self._program.effective()
        uncounted = {} if self._program.repeats_calls else {"repeats_calls": False}
        return {"asked": asked, "effective": effective, **uncounted}


INSTRUMENT = Settings
