"""Examines the GPU that a run would use: whether forks can use it, and what its driver reports."""

from collections.abc import Iterator

from perfgate.doctor.finding import Finding
from perfgate.measure.devices.base import Device
from perfgate.measure.devices.find import find_device
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.stage import Stage
from perfgate.shared.device_kinds import DEVICE_KINDS, built_for
from perfgate.shared.errors import UserError
from perfgate.system.provenance import software
from perfgate.system.temporary import temporary_folder

VISIBLE = "docker run --pid=host ... (outside of a container: run as the user who may see all processes)"


def find(wanted: str) -> tuple[Device | None, list[Finding]]:
    """The GPU that a run measures on, or ``None`` for the CPU; and findings on why a requested GPU is missing.

    Args:
        wanted: a value of ``--perf-device``.
    """
    try:
        device = find_device(wanted)
    except UserError as error:
        return None, [Finding("gpu", "problem", f"{error}.")]
    kind = built_for(software().get("torch", ""))
    if wanted == "auto" and kind.never_run:
        text = f"torch is built for {kind.title}, which has never run, so a run takes it only where it is named."
        return None, [Finding("gpu", "note", text, f"perfgate doctor --device {kind.name}")]
    return (device if device.bursts else None), []


def told(device: Device) -> Iterator[Finding]:
    """Findings about the driver's reports, which runs need in order to notice disturbances."""
    name, kind = device.machine.name, DEVICE_KINDS[device.kind]
    if kind.never_run:
        yield Finding("gpu", "note", f"{kind.untested}.")
    status = device.status()
    if status is None:
        yield Finding("gpu", "note", f"The driver of {name} tells nothing, so no disturbance of it is seen.")
        return
    if status.pids is None or (not status.pids and status.busy is None):
        text = f"Which processes use {name} is not visible, so runs say 'cannot tell' in place of 'contended'."
        yield Finding("gpu", "note", text, VISIBLE)
    elif status.pids:
        pids = ", ".join(map(str, sorted(status.pids)))
        text = f"Process {pids} has a context on {name}; launches are rejected where such a process computes."
        yield Finding("gpu", "note", text, f"ps -fp {','.join(map(str, sorted(status.pids)))}")
    else:
        yield Finding("gpu", "ok", f"No other process uses {name}, and runs would see one.")
    if not status.slowdown_ns and kind.timed and not kind.scripted:
        text = (
            f"The driver of {name} does not count how long clocks are held down, so runs go by its momentary reasons."
        )
        yield Finding("gpu", "note", text, "" if kind.never_run else "update the driver")
    if status.reasons:
        text = f"The clock of {name} is held down now: {', '.join(sorted(status.reasons))}."
        yield Finding("gpu", "note", text, "" if kind.never_run else "nvidia-smi -q -d PERFORMANCE")


def reached(device: Device) -> Finding:
    """Whether a fork of a server can use the device, tried in the way of a run."""
    kind, name = DEVICE_KINDS[device.kind], device.machine.name
    with temporary_folder("perfgate-doctor-") as folder:
        preload = [] if kind.scripted else ["torch"]
        stage = Stage(preload, folder, MeasurementPlan(device=device.kind), servers=1, device=device)
        try:
            stage.start()
            reason = stage.pool.next().unreached(device.order, compiled=False)
        except UserError as error:
            return Finding("gpu", "problem", f"No program can be started for {name}: {error}.")
        finally:
            stage.close()
    if reason:
        text = f"A fork does not reach {name} ({reason}), so each launch imports all libraries anew."
        return Finding("gpu", "note", text)
    return Finding("gpu", "ok", f"A fork reaches {name} and computes there.")
