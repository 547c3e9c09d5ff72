"""The actor's side of the tokens: a program asks for the next step here and hands in what came of it."""

import time
from collections.abc import Mapping
from typing import Any

from perfgate.actor.devices import Device
from perfgate.actor.instruments import Instrument
from perfgate.wire import Channel


class Done(BaseException):
    """The stage wants no more steps."""


class NotFinite(ArithmeticError):  # noqa: N818  named as the stage names the reason
    """A loss or a logit is NaN or infinite."""


class Pace:
    """Waits for tokens, and measures what happens between ``begin`` and ``end``."""

    def __init__(self, channel: Channel, instruments: list[Instrument], device: Device, slowdown: float = 0.0) -> None:
        self._channel = channel
        self._instruments = instruments
        self._device = device
        self._slowdown = slowdown
        self._began_s = 0.0

    def begin(self) -> None:
        """Block until the stage allows a step, then start the instruments.

        Raises:
            Done: there will be no further step.
        """
        message = self._channel.receive()
        if message is None:
            raise Done
        if message.get("finish"):
            metrics: dict[str, Any] = {}
            findings: dict[str, Any] = {}
            for instrument in reversed(self._instruments):
                metrics |= instrument.finish()
                findings |= instrument.findings()
            self._channel.send({"metrics": metrics, "findings": findings})
            raise Done
        self._device.synchronize()
        for instrument in self._instruments:
            instrument.begin_step()
        self._began_s = time.perf_counter()

    def end(self, outcome: Any = None, metrics: Mapping[str, float] | None = None) -> None:
        """Stop the instruments and report the step.

        Args:
            outcome: tensor, or list of tensors, that must be finite (the loss or the logits), or a function that
                returns such, called when the step's time is over; ``None`` where there is nothing to check.
            metrics: what the program itself measured in this step.

        Raises:
            NotFinite: the outcome holds NaN or infinity.
        """
        self._device.synchronize()
        if self._slowdown:
            self._spin()
        measured: dict[str, float] = {}
        for instrument in reversed(self._instruments):
            measured |= instrument.end_step()
        found = outcome() if callable(outcome) else outcome
        for tensor in found if isinstance(found, list) else [found]:
            if tensor is not None and not bool(tensor.isfinite().all()):
                raise NotFinite("the step's loss or logits are not finite")
        self._channel.send({"metrics": measured | dict(metrics or {})})

    def _spin(self) -> None:
        """Be slower than the program is, by the share that was asked for."""
        now = time.perf_counter()
        end = now + self._slowdown * (now - self._began_s)
        while time.perf_counter() < end:
            pass
