"""Settings that exclude each other, or the device: refused before anything is started, with the sentence why."""

from collections.abc import Callable, Mapping

from perfgate.errors import UserError
from perfgate.workload import Json

Settings = Mapping[str, Json]


def flash_in_full_precision(settings: Settings) -> str:
    """FlashAttention has kernels for half precision alone (https://github.com/Dao-AILab/flash-attention)."""
    if str(settings.get("attention")).startswith("flash") and settings.get("precision", "fp32") == "fp32":
        return f"attention={settings['attention']!r} has no kernels for fp32; add precision='bf16'"
    return ""


RULES: tuple[Callable[[Settings], str], ...] = (flash_in_full_precision,)


def check_possible(settings: Settings) -> None:
    """Refuse settings that cannot be in force together, wherever they run.

    Raises:
        UserError: the first reason.
    """
    if reason := next(filter(None, (rule(settings) for rule in RULES)), ""):
        raise UserError(reason)
