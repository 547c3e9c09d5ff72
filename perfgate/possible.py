"""Settings that exclude each other, the model or the device: refused before anything is started, with the sentence why.

A rule sees the settings with their defaults, and beside them the ``task`` and the model's ``config`` where a shape has
one.
"""

import re
from collections.abc import Callable, Mapping

from perfgate.errors import UserError
from perfgate.workload import Json

Settings = Mapping[str, Json]


def flash_in_full_precision(settings: Settings) -> str:
    """FlashAttention has kernels for half precision alone (https://github.com/Dao-AILab/flash-attention)."""
    if str(settings.get("attention")).startswith("flash") and settings.get("precision", "fp32") == "fp32":
        return f"attention={settings['attention']!r} has no kernels for fp32; add precision='bf16'"
    return ""


def quantized_cache_of_encoder_decoder(settings: Settings) -> str:
    """``generate`` has quantized caches for models that only decode (``_prepare_cache_for_generation``)."""
    cache = str(settings.get("cache"))
    if cache.startswith("quantized") and settings["task"] == "seq2seq-lm":
        return f"cache={cache!r} does not go with an encoder-decoder model; choose a static or an offloaded one"
    return ""


def cache_of_its_own(settings: Settings) -> str:
    """These keep their state in other ways, and ignore the cache that is asked for."""
    cache, kind = settings.get("cache", "default"), settings["config"].get("model_type")
    if cache not in ("default", "none") and kind in OWN_CACHES:
        return f"cache={cache!r} is ignored by a {kind} model, which keeps its state in its own way; leave it out"
    return ""


def chunk_of_no_prompt(settings: Settings) -> str:
    """Chunks are pieces of a prompt, and each needs the cache of those before it."""
    size = settings.get("prefill_chunk_size", 0)
    if not size:
        return ""
    if settings["task"] == "seq2seq-lm":
        return f"prefill_chunk_size={size} has no prompt to cut, as an encoder reads it at once; leave it out"
    if settings.get("cache") == "none":
        return f"prefill_chunk_size={size} needs a cache; leave out cache='none'"
    if size >= settings["prompt_length"]:
        return f"prefill_chunk_size={size} leaves a prompt of {settings['prompt_length']} whole; choose a smaller one"
    return ""


def compiled_twice(settings: Settings) -> str:
    """``generate`` compiles the steps after the prompt over caches of a fixed size alone."""
    mode = settings.get("compile_decode", "auto")
    if mode in ("auto", "off"):
        return ""
    if settings.get("compile", "off") != "off":
        return f"compile_decode={mode!r} and compile={settings['compile']!r} compile the same steps; choose one"
    if settings.get("cache") != "static":
        return f"compile_decode={mode!r} needs a cache of a fixed size; add cache='static'"
    return ""


def beyond_the_positions(settings: Settings) -> str:
    """A table of learned positions has no row for what is beyond its end."""
    # The last new token is not read any more.
    taken = settings.get("prompt_length", 0) + settings.get("new_tokens", 1) - 1
    limit = settings["config"].get("n_positions")
    if limit and taken > limit:
        return f"prompt_length and new_tokens take {taken} positions, and the model has {limit}; shorten the prompt"
    return ""


def misspelt_kernel(settings: Settings) -> str:
    """A layer of the model, a folder, and a class in the folder's package."""
    kernels = settings.get("kernels", "")
    if kernels and not KERNEL.fullmatch(kernels):
        return f"kernels={kernels!r} is not of the form 'LAYER=FOLDER:CLASS'"
    return ""


OWN_CACHES = ("minimax", "reformer", "rwkv", "xlnet", "xlstm")
KERNEL = re.compile(r"[^=:]+=[^=:]+:[^=:]+")
RULES: tuple[Callable[[Settings], str], ...] = (
    flash_in_full_precision,
    quantized_cache_of_encoder_decoder,
    cache_of_its_own,
    chunk_of_no_prompt,
    compiled_twice,
    beyond_the_positions,
    misspelt_kernel,
)


def check_possible(settings: Settings) -> None:
    """Refuse settings that cannot be in force together, wherever they run.

    Raises:
        UserError: the first reason.
    """
    if reason := next(filter(None, (rule(settings) for rule in RULES)), ""):
        raise UserError(reason)
