"""Finds what controls the power limit of a device, in whichever process."""

from collections.abc import Mapping
from typing import Any

from perfgate.measure.devices.base import PowerControl
from perfgate.shared.errors import UserError


def control_of(order: Mapping[str, Any]) -> PowerControl:
    """The control of a device's power limit, in whichever process.

    Args:
        order: names the device, as in ``Device.order``.

    Raises:
        UserError: the device has no power limit that can be set here.
    """
    if order["kind"] == "cuda":
        return of_gpu(order["uuid"])
    if order["kind"] == "fake":
        from perfgate.measure.devices.fake import FakePower

        return FakePower(order["script"], order["uuid"])
    raise UserError(
        f"--perf-power-limits needs a GPU, and this run measures on {order['kind']}; use --perf-device cuda"
    )


def of_gpu(uuid: str) -> PowerControl:
    """The control of an NVIDIA GPU's limit."""
    if uuid.startswith("MIG-"):
        raise UserError(f"{uuid} is a slice of a GPU (MIG), which has no power limit of its own; use a whole GPU")
    try:
        from perfgate.measure.devices.nvml import NvmlPower

        return NvmlPower(uuid)
    except (ImportError, AttributeError, OSError, RuntimeError):
        raise UserError("--perf-power-limits sets the limit through NVML; pip install 'perfgate[gpu]'") from None
