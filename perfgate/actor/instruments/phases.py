"""Measures the phases of a step, in steps that are not timed, if the program marks its phases."""

from typing import Any

from perfgate.actor.instrument import Instrument


class StepPhases(Instrument):
    """Reads ``forward_s``, ``backward_s``, ``optimizer_s``, ``data_wait_s`` and ``data_wait_share`` of a step.

    Reading clocks within a step takes time, so this is done in separate steps after the timed ones.
    """

    passes = frozenset({"time"})
    by_itself = "phases"

    def built(self, program: Any) -> None:
        """Keep the program's phases."""
        self._phases = program.phases

    def begin_step(self) -> None:
        """Time the phases from here on."""
        self._begin_s = self.device.now_s()
        if self._phases is not None:
            self._phases.begin(self.device)

    def end_step(self) -> dict[str, Any]:
        """Read the seconds of each phase."""
        took_s = self.device.now_s() - self._begin_s
        found = self._phases.end() if self._phases is not None else {}
        shares = {"data_wait_share": found["data_wait"] / took_s} if "data_wait" in found else {}
        return {f"{name}_s": seconds for name, seconds in found.items() if seconds > 0} | shares


INSTRUMENT = StepPhases
