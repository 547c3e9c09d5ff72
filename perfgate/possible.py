"""Settings that exclude each other, or the device: refused before anything is started, with the sentence why."""

from collections.abc import Callable, Mapping

from perfgate.errors import UserError
from perfgate.workload import Json

Settings = Mapping[str, Json]


def flash_in_full_precision(settings: Settings) -> str:
    """FlashAttention has kernels for half precision alone (https://github.com/Dao-AILab/flash-attention)."""
    precision = settings.get("precision", "fp32")
    if "flash" in str(settings.get("attention")) and precision in ("fp32", "tf32"):
        return f"attention={settings['attention']!r} has no kernels for {precision}; add precision='bf16'"
    return ""


def cache_emptied_by_hand(settings: Settings) -> str:
    """The Trainer empties the allocator's cache (``torch_empty_cache_steps``); a plain loop has nobody who does."""
    if settings.get("empty_cache_steps") and settings.get("loop") == "accelerate":
        return "empty_cache_steps is an argument of the Trainer; leave loop='accelerate' out"
    return ""


def recipe_of_the_trainer(settings: Settings) -> str:
    """The recipe converts layers in ``Accelerator.prepare``, and ``TrainingArguments`` has no name for it."""
    if settings.get("precision") == "fp8-amp" and settings.get("loop") == "trainer":
        return "precision='fp8-amp' is a recipe of accelerate that the Trainer cannot name; add loop='accelerate'"
    return ""


RULES: tuple[Callable[[Settings], str], ...] = (
    flash_in_full_precision,
    cache_emptied_by_hand,
    recipe_of_the_trainer,
)


def check_possible(settings: Settings) -> None:
    """Refuse settings that cannot be in force together, wherever they run.

    Raises:
        UserError: the first reason.
    """
    if reason := next(filter(None, (rule(settings) for rule in RULES)), ""):
        raise UserError(reason)
