"""Reads peak memory from the device's allocator."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from perfgate.actor.instrument import Instrument
from perfgate.actor.techniques.components import around, bring

PEAK = "peak_memory_bytes"


class DeviceMemory(Instrument):
    """Reads ``peak_memory_bytes`` and related metrics of each step; none on a CPU, whose allocator keeps no count.

    Of a pipeline it reads ``NAME_peak_bytes`` too: the peak of all memory while a component is at work.
    """

    passes = frozenset({"memory"})

    def built(self, program: Any) -> None:
        """Watch the components."""
        self._highest: dict[str, float] = {}
        self._by_component: dict[str, float] = {}
        for name, part in program.components.items():
            around(part, partial(self._begun, part), partial(self._ended, f"{name}_peak_bytes"))

    def begin_step(self) -> None:
        """Forget the peaks so far."""
        self._highest, self._by_component = {}, {}
        self.device.reset_peaks()

    def end_step(self) -> dict[str, Any]:
        """Read the step's peaks."""
        self._read()
        return self._highest | self._by_component

    def _begun(self, part: Any) -> None:
        bring(part)
        self._read()

    def _ended(self, name: str) -> None:
        peak = self._read().get(PEAK)
        if peak is not None:
            self._by_component[name] = max(peak, self._by_component.get(name, 0))

    def _read(self) -> Mapping[str, float]:
        """The peaks since they were read last; the step's are the highest of them."""
        found = self.device.peaks()
        self.device.reset_peaks()
        before = {name: value for name, value in self._highest.items() if name.startswith("peak_")}
        self._highest |= {name: max(value, before.get(name, value)) for name, value in found.items()}
        return found


INSTRUMENT = DeviceMemory
