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


def gradients_in_place(settings: Settings) -> str:
    """What is overwritten has no gradient (https://docs.pytorch.org/docs/stable/notes/autograd.html)."""
    if settings.get("in_place") and settings.get("direction", "forward") != "forward":
        return f"in_place=True overwrites what direction={settings['direction']!r} needs; leave one of them out"
    return ""


RULES: tuple[Callable[[Settings], str], ...] = (flash_in_full_precision, gradients_in_place)


def check_possible(settings: Settings) -> None:
    """Refuse settings that cannot be in force together, wherever they run.

    Raises:
        UserError: the first reason.
    """
    if reason := next(filter(None, (rule(settings) for rule in RULES)), ""):
        raise UserError(reason)
