"""Where a run measures: its device, and what follows from it."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from perfgate.plugin.options import Options
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.errors import UserError

if TYPE_CHECKING:
    from perfgate.gate.noise import Noise
    from perfgate.measure.devices.base import Device


class Target:
    """The device of this process. It is looked for when it is first needed, as a run may only collect.

    Args:
        options: of the run.
        root: the folder that ``--perf-baselines`` is relative to.
        worker: name of this process among xdist's workers, or ``None``.

    Raises:
        UserError: a device is named that cannot be used.
    """

    def __init__(self, options: Options, root: Path, worker: str | None) -> None:
        self._options = options
        self._root = root
        self._worker = worker
        if options.device not in ("auto", "cpu", "none"):
            self.device  # noqa: B018  what is named must be there

    @cached_property
    def device(self) -> "Device":
        """The device that this process measures on; xdist's workers share out those that the caller sees.

        Raises:
            UserError: none can be used.
        """
        from perfgate.measure.devices.find import find_device

        return find_device(self._options.device, int(self._worker.removeprefix("gw")) if self._worker else 0)

    @property
    def kind(self) -> str:
        """The kind of the device, or ``none`` in a run that measures nothing."""
        return "none" if self._options.device == "none" else self.device.kind

    @cached_property
    def default_tier(self) -> str:
        """The tier of a run that names none: larger shapes where there is a GPU."""
        try:
            on_gpu = self._options.device != "none" and DEVICE_KINDS[self.device.kind].gpu
        except UserError:  # said where something is to be measured
            on_gpu = False
        return "standard" if on_gpu else self._options.default_tier

    @property
    def tier(self) -> str:
        """The largest tier that runs."""
        return self._options.tier or self.default_tier

    @cached_property
    def noise(self) -> "Noise":
        """How much duets vary on this machine, as calibration stored it; here even where baselines are a revision's."""
        from perfgate.cases.noise_file import read_noise

        return read_noise(self._root / self._options.baselines / self.device.machine.name)
