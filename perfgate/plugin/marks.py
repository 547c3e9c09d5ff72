"""Checks the arguments of ``@pytest.mark.perf``."""

from typing import Any

from perfgate.shared.errors import UserError, nearest
from perfgate.shared.metrics import METRICS, check_gated
from perfgate.shared.parsing import positive
from perfgate.workloads.models.model import TIERS

MARKER_KEYS = ("tier", "tolerance", "launches", "timeout_s", "dry")


def check_marker(where: str, arguments: tuple[Any, ...], values: dict[str, Any]) -> None:
    """Refuse arguments that ``@pytest.mark.perf`` does not have.

    Raises:
        UserError: the message has the case and the argument.
    """
    if arguments:
        raise UserError(f"{where}: mark perf takes named arguments only: {', '.join(MARKER_KEYS)}")
    for name, value in values.items():
        if name not in MARKER_KEYS:
            raise UserError(f"{where}: mark perf has no argument {name!r}{nearest(name, MARKER_KEYS)}")
        if name == "tier" and value not in TIERS:
            raise UserError(f"{where}: tier is {value!r}{nearest(str(value), TIERS)}")
        if name == "tolerance":
            read_tolerance(where, value)
        if name == "dry" and not isinstance(value, bool):
            raise UserError(f"{where}: dry is {value!r}; it is True where a case only runs dry")
        if name in ("launches", "timeout_s"):
            positive(f"{where}: {name}", value, whole=name == "launches")


def read_tolerance(where: str, value: Any) -> dict[str, float]:
    """Read a tolerance: one number for all times, or a mapping from metric to number.

    Raises:
        UserError: a metric that is not gated, or a number that is no share.
    """
    tolerances = value if isinstance(value, dict) else {"step_time_s": value}
    check_gated(tolerances, f"{where}: tolerance")
    for name, number in tolerances.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < 10:
            raise UserError(f"{where}: tolerance of {name} is {number!r}; it is a share above 0, like 0.05 for 5%")
    if isinstance(value, dict):
        return {name: float(number) for name, number in value.items()}
    return {name: float(value) for name, row in METRICS.items() if row.noisy}
