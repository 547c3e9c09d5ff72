"""The settings of generation and of forward passes."""

import re
from collections.abc import Mapping

from perfgate.shared.settings.common import (
    ATTENTION,
    COMPILE,
    COMPILE_MODES,
    GRAPHED,
    PRECISION,
    PROMPT_LENGTH,
    QUANTIZATION,
)
from perfgate.shared.settings.declaration import Kind, Need, Settings, choice, count, size, text
from perfgate.shared.settings.padding import IN_PROMPTS, MASK, PADDED
from perfgate.shared.workload import Json

OWN_CACHES = ("minimax", "reformer", "rwkv", "xlnet", "xlstm")
KERNEL = re.compile(r"[^=:]+=[^=:]+:[^=:]+")
DRAFTS = ("assistant_layers", "prompt_lookup_tokens")


def quantized_cache_of_encoder_decoder(settings: Settings) -> str:
    """``generate`` has quantized caches for models that only decode (``_prepare_cache_for_generation``)."""
    cache = str(settings.get("cache"))
    if cache.startswith("quantized") and settings["task"] == "seq2seq-lm":
        return f"cache={cache!r} does not go with an encoder-decoder model; choose a static or an offloaded one"
    return ""


def cache_of_its_own(settings: Settings) -> str:
    """These models keep their state in another form, and ignore the requested cache."""
    cache, kind = settings.get("cache", "default"), settings.get("config", {}).get("model_type")
    if cache not in ("default", "none") and kind in OWN_CACHES:
        return f"cache={cache!r} is ignored by a {kind} model, which keeps its state in its own way; leave it out"
    return ""


def chunk_of_no_prompt(settings: Settings) -> str:
    """Chunks are pieces of a prompt, and each one needs the cache of those before it."""
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
    """``generate`` compiles the steps after the prompt only over caches of a fixed size."""
    mode = settings.get("compile_decode", "auto")
    if mode in ("auto", "off"):
        return ""
    if settings.get("compile", "off") != "off":
        return f"compile_decode={mode!r} and compile={settings['compile']!r} compile the same steps; choose one"
    if settings.get("cache") != "static":
        return f"compile_decode={mode!r} needs a cache of a fixed size; add cache='static'"
    return ""


def graph_over_a_growing_cache(settings: Settings) -> str:
    """A CUDA graph overwrites the keys and values that it returned last, and a growing cache passes them in again
    (https://github.com/pytorch/pytorch/issues/175557).
    """
    mode = settings.get("compile", "off")
    if mode in GRAPHED and settings.get("cache") not in ("static", "none"):
        better = f"use compile_decode={mode!r} and cache='static'"
        return f"compile={mode!r} captures CUDA graphs, which need a cache of a fixed size; {better}"
    return ""


def misspelt_kernel(settings: Settings) -> str:
    """A kernel is named by a layer of the model, a folder, and a class of the package in that folder."""
    kernels = settings.get("kernels", "")
    if kernels and not KERNEL.fullmatch(kernels):
        return f"kernels={kernels!r} is not of the form 'LAYER=FOLDER:CLASS'"
    return ""


def speculation_for_several(settings: Settings) -> str:
    """A draft is checked for one sequence at a time (https://huggingface.co/docs/transformers/assisted_decoding)."""
    speculating = [name for name in DRAFTS if settings.get(name)]
    if len(speculating) > 1:
        return f"{' and '.join(speculating)} both write drafts; choose one"
    if speculating and settings.get("batch_size", 1) != 1:
        return f"{speculating[0]} works on one sequence at a time; leave out batch_size={settings['batch_size']}"
    if speculating and settings.get("task") == "seq2seq-lm":
        return f"{speculating[0]} is for causal language models here; leave it out for task='seq2seq-lm'"
    return ""


def speculation_and_other_loops(settings: Settings) -> str:
    """``generate`` checks drafts in a loop of its own, over a cache that can be cut back."""
    speculating = [name for name in DRAFTS if settings.get(name)]
    plain: Mapping[str, tuple[Json, ...]] = {
        "cache": ("default", "dynamic"),
        "beams": (1,),
        "prefill_chunk_size": (0,),
        "compile_decode": ("auto", "off"),
    }
    others = [name for name, values in plain.items() if settings.get(name, values[0]) not in values]
    if speculating and others:
        return f"{others[0]}={settings[others[0]]!r} does not go with {speculating[0]}; leave one of them out"
    return ""


KERNELS = text(
    "kernels",
    "`LAYER=FOLDER:CLASS`: a kernel of a local folder in place of a layer's forward pass",
    needs=(Need(package="kernels", extra="kernels", gpu=True, folder=True, dry=False),),
    conflicts=(misspelt_kernel,),
)
GENERATION = Kind(
    "generation",
    (
        size("batch_size", 1, "prompts of a batch", option="batch_size"),
        PROMPT_LENGTH,
        size("new_tokens", 16, "tokens to generate for each prompt", option="new_tokens"),
        PRECISION,
        choice(
            "cache",
            (
                "default", "none", "dynamic", "static", "offloaded", "offloaded_static", "quantized-fp8",
                "quantized-quanto",
            ),
            "cache of keys and values, as `cache_implementation` names it; `none` computes them again for each token",
            needs=(
                Need(("offloaded", "offloaded_static"), gpu=True),
                Need(("quantized-quanto",), package="optimum.quanto", extra="quanto", dry=False),
            ),
            conflicts=(quantized_cache_of_encoder_decoder, cache_of_its_own),
            left_open=True,
        ),
        choice("beams", (1, 2, 4, 8), "beams of the search; 1 is greedy"),
        count(
            "prefill_chunk_size",
            "tokens of the prompt that are read at a time; 0 reads all at once",
            conflicts=(chunk_of_no_prompt,),
        ),
        ATTENTION,
        QUANTIZATION,
        COMPILE.but(conflicts=(graph_over_a_growing_cache,)),
        choice(
            "compile_decode",
            ("auto", *COMPILE_MODES),
            "mode of `torch.compile` for the steps after the prompt alone; `auto` leaves it to `generate`",
            needs=(Need(COMPILE_MODES[1:], compiler=True, dry=False),),
            conflicts=(compiled_twice,),
            left_open=True,
        ),
        KERNELS,
        count(
            "assistant_layers",
            "first layers of the model that write drafts, which the whole model checks; 0 for no drafts",
            conflicts=(speculation_for_several, speculation_and_other_loops),
        ),
        count(
            "prompt_lookup_tokens",
            "longest draft that is copied from the text so far; 0 for no drafts",
            conflicts=(speculation_for_several, speculation_and_other_loops),
        ),
        PADDED.but(
            default=IN_PROMPTS,
            doc="share of a batch's prompts that is padding, before shorter prompts, or behind what an encoder reads",
        ),
        MASK,
    ),
)  # fmt: skip
FORWARD = Kind(
    "forward",
    (
        size("batch_size", 8, "samples of a batch", option="batch_size"),
        size("sequence_length", 128, "tokens of a sample, or of the longest sentence", option="seq_len"),
        PRECISION,
        ATTENTION,
        QUANTIZATION,
        COMPILE,
        KERNELS,
        PADDED,
        MASK,
    ),
)
