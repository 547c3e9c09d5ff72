"""Finds the power control of a device, in any process."""

from collections.abc import Mapping
from typing import Any

from perfgate.measure.devices.base import PowerControl
from perfgate.shared.device_kinds import DEVICE_KINDS, load
from perfgate.shared.errors import UserError


def control_of(order: Mapping[str, Any]) -> PowerControl:
    """The power control of a device, in any process.

    Args:
        order: the part of an order that names the device, as in ``Device.order``.

    Raises:
        UserError: the device has no power limit that can be set here.
    """
    if place := DEVICE_KINDS[order["kind"]].power:
        control: PowerControl = load(place)(order)
        return control
    raise UserError(
        f"--perf-power-limits needs a GPU, and this run measures on {order['kind']}; use --perf-device cuda"
    )


def of_gpu(order: Mapping[str, Any]) -> PowerControl:
    """The power control of an NVIDIA GPU."""
    uuid = order["uuid"]
    if uuid.startswith("MIG-"):
        raise UserError(f"{uuid} is a slice of a GPU (MIG), which has no power limit of its own; use a whole GPU")
    try:
        from perfgate.measure.devices.nvml import NvmlPower

        return NvmlPower(uuid)
    except (ImportError, AttributeError, OSError, RuntimeError):
        raise UserError("--perf-power-limits sets the limit through NVML; pip install 'perfgate[gpu]'") from None
