"""The phases of a step, of programs that tell them, read in steps that are not timed."""

from typing import Any

from perfgate.actor.instrument import Instrument


class StepPhases(Instrument):
    """``forward_s``, ``backward_s``, ``optimizer_s``, ``data_wait_s`` and ``data_wait_share`` of a step.

    Reading clocks within a step costs time, so these steps come after those that are timed and gated.
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
        """Seconds of each phase."""
        took_s = self.device.now_s() - self._begin_s
        found = self._phases.end() if self._phases is not None else {}
        shares = {"data_wait_share": found["data_wait"] / took_s} if "data_wait" in found else {}
        return {f"{name}_s": seconds for name, seconds in found.items() if seconds > 0} | shares


INSTRUMENT = StepPhases
