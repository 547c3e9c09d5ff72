"""The power limit of a device: what it is, and how it is read and set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from perfgate.shared.errors import UserError


@dataclass(frozen=True)
class PowerLimit:
    """What a device's driver tells of its power limit, in watts.

    Attributes:
        set_w: the limit that was set.
        enforced_w: the limit in force; lower where something else, such as the board, limits the device more.
        least_w: the smallest limit that can be set.
        most_w: the largest one.
    """

    set_w: float
    enforced_w: float
    least_w: float
    most_w: float


class PowerControl(Protocol):
    """Reads and sets the power limit of one device."""

    def read(self) -> PowerLimit:
        """The limit now.

        Raises:
            UserError: the driver does not tell it.
        """

    def set(self, limit_w: float) -> None:
        """Set the limit, for everybody who uses the device.

        Raises:
            UserError: this user may not set it, or the device has none that can be set.
        """


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
