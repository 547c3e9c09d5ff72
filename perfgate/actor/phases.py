"""Times the phases of a step, such as the forward pass; the program marks their beginnings and ends."""

from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

from perfgate.actor.devices.base import Device

HOST_PHASES = ("data_wait",)
UNTIMED: AbstractContextManager[None] = nullcontext()


class Phases:
    """Times the phases between ``begin`` and ``end``: by the device's marks, but waiting for data by the host clock."""

    def __init__(self) -> None:
        self._device: Device | None = None
        self._spans: list[tuple[str, Any, Any]] = []

    def begin(self, device: Device) -> None:
        """Time phases from now on."""
        self._device = device

    def end(self) -> dict[str, float]:
        """Stop, and return the seconds of each phase. The device must have finished its work."""
        device, self._device = self._device, None
        spans, self._spans = self._spans, []
        found: dict[str, float] = {}
        if device is not None:
            for name, begin, end in spans:
                took_s = end - begin if name in HOST_PHASES else device.between_s(begin, end)
                found[name] = found.get(name, 0.0) + took_s
        return found

    def span(self, name: str) -> AbstractContextManager[None]:
        """A context around a phase, which is ``data_wait``, ``forward``, ``backward`` or ``optimizer``."""
        if self._device is None:
            return UNTIMED
        return Span(self._spans, name, self._device.now_s if name in HOST_PHASES else self._device.mark)


class Span:
    """One phase, from entering to leaving."""

    def __init__(self, spans: list[tuple[str, Any, Any]], name: str, mark: Any) -> None:
        self._spans, self._name, self._mark = spans, name, mark

    def __enter__(self) -> None:
        self._begin = self._mark()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spans.append((self._name, self._begin, self._mark()))
