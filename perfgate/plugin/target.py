"""The device that a run measures on, and everything that depends on it: machine, tier, noise, store of baselines."""

import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfgate.plugin.options import Options
from perfgate.shared.device_kinds import DEVICE_KINDS, DeviceKind, built_for
from perfgate.shared.errors import UserError
from perfgate.shared.workload import Workload

if TYPE_CHECKING:
    from perfgate.gate.noise import Noise
    from perfgate.measure.devices.base import Device
    from perfgate.records.store import Store


class Target:
    """The device of this process. It is looked for only when it is needed, because a run may only collect tests.

    Args:
        options: the run's options.
        root: the folder that ``--perf-baselines`` is relative to.
        worker: xdist's name of this process, or ``None``.

    Raises:
        UserError: the options name a device that cannot be used.
    """

    def __init__(self, options: Options, root: Path, worker: str | None) -> None:
        self._options = options
        self._root = root
        self._worker = worker
        if options.device not in ("auto", "cpu", "none"):
            self.device  # noqa: B018  a device that is named must be there

    @cached_property
    def device(self) -> "Device":
        """The device that this process measures on; xdist's workers divide the visible devices among themselves.

        Raises:
            UserError: no device can be used.
        """
        from perfgate.measure.devices.find import find_device

        return find_device(self._options.device, int(self._worker.removeprefix("gw")) if self._worker else 0)

    @property
    def kind(self) -> str:
        """The kind of the device, or ``none`` in a run that measures nothing."""
        return "none" if self._options.device == "none" else self.device.kind

    @property
    def _left_out(self) -> str:
        """A remark if the run chose the CPU although torch was built for a GPU; else empty."""
        from perfgate.system.provenance import software

        kind = built_for(software().get("torch", ""))
        if self._options.device != "auto" or self.kind != "cpu" or not kind.handles:
            return ""
        untested = f" ({kind.title} has never run and must be named: --perf-device {kind.name})"
        return untested if kind.never_run else " (no GPU is visible)"

    @property
    def timed(self) -> bool:
        """Whether this run takes times: not if it only runs dry, is on an emulated card, or has no timed launches."""
        return self.kind != "none" and DEVICE_KINDS[self.kind].timed and self._options.launches > 0

    @cached_property
    def default_tier(self) -> str:
        """The tier of a run that names none: ``standard`` on a GPU, else the suite's default."""
        on_gpu = self.kind_found is not None and self.kind_found.gpu
        return "standard" if on_gpu or self._options.plan else self._options.default_tier

    @cached_property
    def kind_found(self) -> DeviceKind | None:
        """The kind of the device; ``None`` in a run that measures nothing or finds no device."""
        try:
            return None if self._options.device == "none" else DEVICE_KINDS[self.device.kind]
        except UserError:  # the same error is raised again when something is to be measured
            return None

    @property
    def on_gpu(self) -> bool:
        """Whether the device works while the host goes on, so that a step has two times."""
        return self.kind_found is not None and self.kind_found.bursts

    @property
    def tier(self) -> str:
        """The tier of this run."""
        return self._options.tier or self.default_tier

    @cached_property
    def noise(self) -> "Noise":
        """The noise of duets on this machine, as ``perfgate calibrate`` stored it in the working tree."""
        from perfgate.cases.noise_file import read_noise

        return read_noise(self._root / self._options.baselines / self.device.machine.name)

    def machine(self, software: Mapping[str, str]) -> dict[str, Any]:
        """The machine for the run file; a run that only runs dry has its pair of library versions instead."""
        from perfgate.records.portable import pair_of
        from perfgate.records.store import PORTABLE

        if self._options.device == "none":
            return {"name": f"{PORTABLE}/{pair_of(software)}", "device": "none"}
        untested = DEVICE_KINDS[self.device.kind].untested
        return self.device.machine.to_json() | ({"untested": untested} if untested else {})

    def stored_step_s(self, case: str, workload: Workload) -> float | None:
        """The median of a workload's stored step times on this run's GPU; ``None`` without a GPU or stored times."""
        from perfgate.records.store import Store

        if self.kind == "none" or not DEVICE_KINDS[self.kind].gpu:
            return None
        store = Store(self._root / self._options.baselines, self.device.machine.name)
        found = store.get(case)
        if found is None or found.workload != workload.sha256:
            return None
        values = [value for session in found.values("step_time_s").values() for value in session]
        return statistics.median(values) if values else None

    @contextmanager
    def store(self) -> Iterator["Store"]:
        """The baselines of this run's machine.

        Raises:
            UserError: there is no device, or the baselines cannot be opened.
        """
        from perfgate.records.store import Store, open_root

        with open_root(self._options.baselines, self._root) as root:
            yield Store(root, self.device.machine.name)

    def headline(self, software: Mapping[str, str]) -> str:
        """The header's words for the machine.

        Args:
            software: the library versions, which take the machine's place if nothing is measured.
        """
        if self._options.device == "none":
            from perfgate.records.portable import pair_of

            return f"no device, {pair_of(software)}"
        try:
            return f"machine {self.device.machine.name}{DEVICE_KINDS[self.device.kind].remark}{self._left_out}"
        except UserError as error:
            # A run that only collects needs no device; a run that measures will fail with the same sentence.
            return str(error)

    def check_writable(self, software: Mapping[str, str]) -> None:
        """Check before the first case that the run's baselines can be written.

        Raises:
            UserError: they cannot.
        """
        from perfgate.records.portable import PortableStore, pair_of
        from perfgate.records.store import Store

        root = self._root / self._options.baselines
        if self._options.device == "none":
            PortableStore(root, pair_of(software)).check_writable()
        else:
            Store(root, self.device.machine.name).check_writable()
