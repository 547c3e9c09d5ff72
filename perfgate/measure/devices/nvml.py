"""Reads the GPUs through NVML's Python binding (https://docs.nvidia.com/deploy/nvml-api/)."""

from collections.abc import Callable
from typing import Any

import pynvml

from perfgate.measure.devices.base import PowerLimit, Status
from perfgate.records.gpu import GpuIdentity, gpu_from
from perfgate.shared.errors import UserError

REASONS = {
    "sw_power_cap": pynvml.nvmlClocksEventReasonSwPowerCap,
    "hw_slowdown": pynvml.nvmlClocksEventReasonHwSlowdown,
    "sw_thermal_slowdown": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
    "hw_thermal_slowdown": pynvml.nvmlClocksEventReasonHwThermalSlowdown,
    "hw_power_brake_slowdown": pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
}
# Fields that count nanoseconds. Their numbers changed: bindings of release 575 to 580.65 use the first, later ones
# the second. In other releases the same numbers are settings, which do not change during a launch, so sums are right.
COUNTERS = {
    "sw_power_cap": (74,),
    "sw_thermal_slowdown": (251, 269),
    "hw_thermal_slowdown": (252, 270),
    "hw_power_brake_slowdown": (253, 271),
}
# Counters of drivers without those fields; both kinds of thermal violation are in one counter.
VIOLATIONS = {
    "sw_power_cap": pynvml.NVML_PERF_POLICY_POWER,
    "hw_thermal_slowdown": pynvml.NVML_PERF_POLICY_THERMAL,
}


class Nvml:
    """Calls the library, which takes well under a millisecond.

    Raises:
        RuntimeError: there is no driver.
    """

    look_s = 0.0

    def __init__(self) -> None:
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise RuntimeError(str(error)) from None
        # By UUID: the handle of the device and, if it is a slice, the handle of the whole GPU.
        self._handles: dict[str, tuple[Any, Any]] = {}
        # By UUID: the time of the newest sample of process utilization that was read, in microseconds.
        self._sampled_us: dict[str, int] = {}

    def gpus(self) -> list[GpuIdentity]:
        """All GPUs. A GPU that is divided into slices (MIG) is replaced by its slices.

        Raises:
            RuntimeError: the driver has lost a GPU.
        """
        try:
            return self._found()
        except pynvml.NVMLError as error:
            raise RuntimeError(str(error)) from None

    def _found(self) -> list[GpuIdentity]:
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            whole = pynvml.nvmlDeviceGetHandleByIndex(index)
            for handle in slices(whole) or [whole]:
                gpu = identify(handle, whole, index)
                self._handles[gpu.uuid] = handle, whole
                found.append(gpu)
        return found

    def status(self, uuid: str) -> Status:
        """The driver's report. For a slice, only the processes are its own; everything else is about the whole GPU."""
        handle, whole = self._handles[uuid]
        energy_mj = told(pynvml.nvmlDeviceGetTotalEnergyConsumption, whole)
        power_mw = told(pynvml.nvmlDeviceGetPowerUsage, whole)
        limit_mw = told(pynvml.nvmlDeviceGetEnforcedPowerLimit, whole)
        active = told(pynvml.nvmlDeviceGetCurrentClocksEventReasons, whole) or 0
        return Status(
            slowdown_ns=counters(whole),
            reasons=frozenset(name for name, bit in REASONS.items() if active & bit),
            energy_j=None if energy_mj is None else energy_mj / 1e3,
            energy_from="nvml",
            power_w=None if power_mw is None else power_mw / 1e3,
            power_limit_w=None if limit_mw is None else limit_mw / 1e3,
            clock_mhz=told(pynvml.nvmlDeviceGetClockInfo, whole, pynvml.NVML_CLOCK_SM),
            pids=processes(handle),
            busy=self._busy(uuid, handle),
        )

    def _busy(self, uuid: str, handle: Any) -> dict[int, float] | None:
        """The share of the multiprocessors' time by process, in the samples since the last question.

        The driver takes about one sample a second, and none for slices.
        """
        since_us = self._sampled_us.get(uuid, 0)
        try:
            samples = pynvml.nvmlDeviceGetProcessUtilization(handle, since_us)
        except pynvml.NVMLError as error:
            # NVML reports "not found" if nothing has computed since then.
            return {} if error.value == pynvml.NVML_ERROR_NOT_FOUND else None
        newer = [sample for sample in samples if sample.timeStamp > since_us]
        self._sampled_us[uuid] = max((sample.timeStamp for sample in newer), default=since_us)
        return {sample.pid: sample.smUtil / 100 for sample in newer}


class NvmlPower:
    """Reads and sets the power limit of one GPU. Only root may set it.

    Raises:
        RuntimeError: there is no driver, or no such GPU.
    """

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid
        try:
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        except pynvml.NVMLError as error:
            raise RuntimeError(str(error)) from None

    def read(self) -> PowerLimit:
        """The present limit.

        Raises:
            UserError: the driver does not tell it.
        """
        try:
            set_mw = pynvml.nvmlDeviceGetPowerManagementLimit(self._handle)
            enforced_mw = pynvml.nvmlDeviceGetEnforcedPowerLimit(self._handle)
            least_mw, most_mw = pynvml.nvmlDeviceGetPowerManagementLimitConstraints(self._handle)
        except pynvml.NVMLError as error:
            raise UserError(f"the driver does not tell the power limit of {self._uuid}: {error}") from None
        return PowerLimit(set_mw / 1e3, enforced_mw / 1e3, least_mw / 1e3, most_mw / 1e3)

    def set(self, limit_w: float) -> None:
        """Set the limit, for everybody who uses the GPU.

        Raises:
            UserError: this user may not set it, or the GPU has none that can be set.
        """
        try:
            pynvml.nvmlDeviceSetPowerManagementLimit(self._handle, round(limit_w * 1e3))
        except pynvml.NVMLError as error:
            may_not = error.value == pynvml.NVML_ERROR_NO_PERMISSION
            why = "this user may not set it, only root may" if may_not else str(error)
            raise UserError(f"the power limit of {self._uuid} cannot be set: {why}") from None


def told(ask: Callable[..., Any], *arguments: Any) -> Any:
    """The driver's answer; ``None`` if the driver, the binding or the device does not support the question."""
    try:
        return ask(*arguments)
    except pynvml.NVMLError:
        return None


def slices(whole: Any) -> list[Any]:
    """Handles of the slices of a GPU in MIG mode; empty for any other GPU."""
    mode = told(pynvml.nvmlDeviceGetMigMode, whole)
    if not mode or not mode[0]:
        return []
    places = range(told(pynvml.nvmlDeviceGetMaxMigDeviceCount, whole) or 0)
    found = [told(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, whole, place) for place in places]
    return [handle for handle in found if handle is not None]


def identify(handle: Any, whole: Any, index: int) -> GpuIdentity:
    """The identity of a GPU, or of a slice of one."""
    limit_mw = told(pynvml.nvmlDeviceGetEnforcedPowerLimit, whole)
    ecc = told(pynvml.nvmlDeviceGetEccMode, whole)
    capability = told(pynvml.nvmlDeviceGetCudaComputeCapability, whole)
    sliced = told(pynvml.nvmlDeviceGetAttributes, handle) if handle is not whole else None
    return gpu_from(
        {
            "uuid": text(pynvml.nvmlDeviceGetUUID(handle)),
            "index": index,
            "name": text(pynvml.nvmlDeviceGetName(handle)),
            "memory_bytes": pynvml.nvmlDeviceGetMemoryInfo(handle).total,
            "power_limit_w": None if limit_mw is None else limit_mw / 1e3,
            "mig_profile": sliced and f"{sliced.gpuInstanceSliceCount}g.{round(sliced.memorySizeMB / 1024)}gb",
            "ecc": None if ecc is None else bool(ecc[0]),
            "capability": None if capability is None else tuple(capability),
        }
    )


def text(value: Any) -> str:
    """A string, even if an older version of the binding returned bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def counters(whole: Any) -> dict[str, int]:
    """By reason, the nanoseconds for which clocks were held down, for the reasons that the driver counts."""
    found: dict[str, int] = {}
    fields = [(name, number) for name, numbers in COUNTERS.items() for number in numbers]
    values = told(pynvml.nvmlDeviceGetFieldValues, whole, [number for _, number in fields]) or []
    for (name, _), value in zip(fields, values, strict=False):
        if value.nvmlReturn == pynvml.NVML_SUCCESS:
            found[name] = found.get(name, 0) + int(value.value.ullVal)
    for name, policy in VIOLATIONS.items():
        violation = None if name in found else told(pynvml.nvmlDeviceGetViolationStatus, whole, policy)
        if violation is not None:
            found[name] = int(violation.violationTime)
    return found


def processes(handle: Any) -> frozenset[int] | None:
    """Processes that compute on the device, not those that only draw; ``None`` if the driver does not report them."""
    running = told(pynvml.nvmlDeviceGetComputeRunningProcesses, handle)
    return None if running is None else frozenset(process.pid for process in running)
