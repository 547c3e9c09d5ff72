"""The actor's side of the turns: a program asks here for its next step, and reports the step's results."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from perfgate.actor import coverage_data
from perfgate.actor.devices.base import Device
from perfgate.actor.failures import NotFinite
from perfgate.actor.instrument import Instrument
from perfgate.shared.wire import Channel

Told = Mapping[str, float] | Callable[[], Mapping[str, float]]


class Done(BaseException):
    """The stage wants no more steps."""


class Pace:
    """Waits for its turn, and measures everything between ``begin`` and ``end``.

    A turn is one step or, on a device that works later, a burst: some steps to discard, then ``steps`` without waiting
    in between, and one wait at the end. Either way the program calls ``begin`` and ``end`` around each step.
    """

    def __init__(self, channel: Channel, instruments: list[Instrument], device: Device, slowdown: float = 0.0) -> None:
        self._channel = channel
        self._instruments = instruments
        self._device = device
        self._slowdown = slowdown
        self._began_s = self._now_s()
        self._active: list[Instrument] = []
        self._steps = self._left = self._discard = 0
        self._told: list[Told] = []

    def begin(self, prepare: Callable[[], None] | None = None) -> None:
        """Block until the stage allows a step, then start the instruments; within a burst continue at once.

        Args:
            prepare: called when the step is allowed, before it is measured; within a burst its time counts.

        Raises:
            Done: there will be no further step.
        """
        if self._left:
            if prepare:
                prepare()
            return
        message = self._channel.receive()
        while message and message.get("finish"):
            self._finish(message.get("but", ""))
            message = self._channel.receive() if self._instruments else None
        if message is None:
            raise Done
        self._steps = self._left = message.get("steps", 1)
        self._discard = message.get("discard", 0)
        by_itself = message.get("by_itself", "")
        self._active = [instrument for instrument in self._instruments if instrument.by_itself == by_itself]
        if prepare:
            prepare()
        if not self._discard:
            self._start()

    def _finish(self, but: str) -> None:
        """Let the instruments finish, except those that take steps of their own named ``but``."""
        staying = [instrument for instrument in self._instruments if but and instrument.by_itself == but]
        metrics: dict[str, Any] = {}
        findings: dict[str, Any] = {}
        for instrument in reversed(self._instruments):
            if instrument not in staying:
                metrics |= instrument.finish()
                findings |= instrument.findings()
        self._instruments = staying
        coverage_data.save()
        self._channel.send({"metrics": metrics, "findings": findings})

    def _start(self) -> None:
        self._device.synchronize()
        for instrument in self._active:
            instrument.steps = self._steps
        self._device.begin_burst()
        for instrument in self._active:
            instrument.begin_step()
        self._began_s = self._now_s()

    def end(self, outcome: Any = None, metrics: Told | None = None) -> None:
        """Report the step, or at its end the burst.

        Args:
            outcome: a tensor, or list of tensors, that must be finite (the loss or the logits), or a function that
                returns it after the step's time is over; ``None`` if there is nothing to check. In a burst only the
                last step's is checked.
            metrics: the metrics that the program itself measured in this step, or a function that returns them once
                the device is done.

        Raises:
            NotFinite: the outcome holds NaN or infinity.
        """
        self._device.stepped()
        if self._discard:
            self._discard -= 1
            if not self._discard:
                self._start()
            return
        self._left -= 1
        if self._left:
            if metrics:
                self._told.append(metrics)
            return
        self._device.synchronize()
        if self._slowdown:
            self._spin()
        measured: dict[str, Any] = {}
        for instrument in reversed(self._active):
            measured |= instrument.end_step()
        found = outcome() if callable(outcome) else outcome
        for tensor in found if isinstance(found, list) else [found]:
            if tensor is not None and not bool(tensor.isfinite().all()):
                raise NotFinite("the step's loss or logits are not finite")
        self._channel.send({"metrics": measured | self._means(metrics)})

    def _means(self, last: Told | None) -> dict[str, float]:
        steps, self._told = [*self._told, *([last] if last else [])], []
        told = [step() if callable(step) else step for step in steps]
        return {name: statistics.fmean(row[name] for row in told) for name in (told[0] if told else ())}

    def _spin(self) -> None:
        """Be slower than the program is, by the requested share."""
        now = self._now_s()
        end = now + self._slowdown * (now - self._began_s)
        while self._now_s() < end:
            pass

    def _now_s(self) -> float:
        """The time of which an injected slowdown is a share: processor time if the process computes the step itself.

        The slowdown is then the same share, whatever else uses the core.
        """
        computed_s = self._device.processor_s()
        return time.perf_counter() if computed_s is None else computed_s
