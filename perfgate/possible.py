"""Settings that exclude each other, or the device: refused before anything is started, with the sentence why."""

from collections.abc import Callable, Mapping

from perfgate.errors import UserError
from perfgate.workload import Json

Settings = Mapping[str, Json]
LOW_RANK = ("galore_adamw", "apollo_adamw")


def flash_in_full_precision(settings: Settings) -> str:
    """FlashAttention has kernels for half precision alone (https://github.com/Dao-AILab/flash-attention)."""
    if str(settings.get("attention")).startswith("flash") and settings.get("precision", "fp32") == "fp32":
        return f"attention={settings['attention']!r} has no kernels for fp32; add precision='bf16'"
    return ""


def training_quantized_weights(settings: Settings) -> str:
    """Weights of 4 bits have no gradients (https://huggingface.co/docs/peft/developer_guides/quantization)."""
    if settings.get("quantization", "off") != "off" and not settings.get("lora_rank"):
        return f"quantization={settings['quantization']!r} leaves no weights to train; add lora_rank=8"
    return ""


def rank_of_another_optimizer(settings: Settings) -> str:
    """Only GaLore and APOLLO project gradients."""
    optimizer = settings.get("optimizer", "adamw_torch")
    if settings.get("optimizer_rank") and optimizer not in LOW_RANK:
        return f"optimizer={optimizer!r} has no rank; leave optimizer_rank out, or choose {' or '.join(LOW_RANK)}"
    return ""


def accumulation_without_gradients(settings: Settings) -> str:
    """LOMO updates each weight as its gradient comes, and keeps none (https://arxiv.org/abs/2306.09782)."""
    pieces = settings.get("gradient_accumulation", 1)
    if settings.get("optimizer") == "lomo" and pieces != 1:
        return f"optimizer='lomo' keeps no gradients to accumulate; leave gradient_accumulation={pieces} out"
    return ""


def two_losses(settings: Settings) -> str:
    """Both put a loss of their own in place of the model's."""
    if settings.get("liger") and settings.get("chunked_loss"):
        return "liger=True has a chunked loss of its own; leave chunked_loss=True out"
    return ""


RULES: tuple[Callable[[Settings], str], ...] = (
    flash_in_full_precision,
    training_quantized_weights,
    rank_of_another_optimizer,
    accumulation_without_gradients,
    two_losses,
)


def check_possible(settings: Settings) -> None:
    """Refuse settings that cannot be in force together, wherever they run.

    Raises:
        UserError: the first reason.
    """
    if reason := next(filter(None, (rule(settings) for rule in RULES)), ""):
        raise UserError(reason)
