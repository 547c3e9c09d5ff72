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


def speculation_for_several(settings: Settings) -> str:
    """A draft is checked for one sequence at a time (https://huggingface.co/docs/transformers/assisted_decoding)."""
    speculating = [name for name in ("assistant_layers", "prompt_lookup_tokens") if settings.get(name)]
    if len(speculating) > 1:
        return f"{' and '.join(speculating)} both write drafts; choose one"
    if speculating and settings.get("batch_size", 1) != 1:
        return f"{speculating[0]} works on one sequence at a time; leave out batch_size={settings['batch_size']}"
    if speculating and settings.get("task") == "seq2seq-lm":
        return f"{speculating[0]} is for causal language models here; leave it out for task='seq2seq-lm'"
    return ""


def paging_in_padded_batches(settings: Settings) -> str:
    """Shared prefixes and overlapped batches are of continuous batching alone."""
    for name in ("prefix_sharing", "asynchronous"):
        if settings.get(name) and settings.get("batching") != "continuous":
            return f"{name} is a setting of continuous batching; add batching='continuous'"
    return ""


def prefix_of_the_whole_prompt(settings: Settings) -> str:
    """A prompt needs tokens of its own after those that it shares with others."""
    prefix, length = settings.get("shared_prefix", 0), settings.get("prompt_length")
    if isinstance(prefix, int) and isinstance(length, int) and prefix >= length:
        return f"shared_prefix={prefix} leaves nothing of prompt_length={length}; make it shorter"
    return ""


RULES: tuple[Callable[[Settings], str], ...] = (
    flash_in_full_precision,
    speculation_for_several,
    paging_in_padded_batches,
    prefix_of_the_whole_prompt,
)


def check_possible(settings: Settings) -> None:
    """Refuse settings that cannot be in force together, wherever they run.

    Args:
        settings: those that were chosen, and ``task``.

    Raises:
        UserError: the first reason.
    """
    if reason := next(filter(None, (rule(settings) for rule in RULES)), ""):
        raise UserError(reason)
