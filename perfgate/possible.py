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


def ranks_and_strategy(settings: Settings) -> str:
    """Several processes share a step in some way, and one process shares it with nobody."""
    strategy, ranks = settings.get("strategy", "none"), settings.get("ranks", 1)
    if strategy != "none" and ranks == 1:
        return f"strategy={strategy!r} shares a step among several processes; add ranks=2"
    if strategy == "none" and ranks != 1:
        return f"ranks={ranks} needs to be told how they share a step; add strategy='ddp' or 'fsdp'"
    return ""


RULES: tuple[Callable[[Settings], str], ...] = (flash_in_full_precision, ranks_and_strategy)


def check_possible(settings: Settings) -> None:
    """Refuse settings that cannot be in force together, wherever they run.

    Raises:
        UserError: the first reason.
    """
    if reason := next(filter(None, (rule(settings) for rule in RULES)), ""):
        raise UserError(reason)
