"""Turns the settings of generation into arguments of ``generate``, and reads them back from its calls of the model."""

from functools import wraps
from typing import Any

import torch

from perfgate.actor import versions
from perfgate.actor.compiled import compiles
from perfgate.actor.request import GenerationSettings
from perfgate.shared.settings.common import GRAPHED

CACHES: dict[str, dict[str, Any]] = {
    "default": {},
    "none": {"use_cache": False},
    "dynamic": {"cache_implementation": "dynamic"},
    "static": {"cache_implementation": "static"},
    "offloaded": {"cache_implementation": "offloaded"},
    "offloaded_static": {"cache_implementation": "offloaded_static"},
    "quantized-fp8": {"cache_implementation": "quantized", "cache_config": {"backend": "fp8"}},
    "quantized-quanto": {"cache_implementation": "quantized", "cache_config": {"backend": "quanto", "nbits": 4}},
}


def generate_options(chosen: GenerationSettings) -> dict[str, Any]:
    """The keyword arguments of ``generate`` for these settings."""
    options = {"num_beams": chosen.beams, "use_cache": True, **CACHES[chosen.cache]}
    if chosen.prefill_chunk_size:
        options["prefill_chunk_size"] = chosen.prefill_chunk_size
    # generate can compile the decoding itself. A model that is already compiled would be compiled twice.
    if chosen.compile_decode == "off" or chosen.compile != "off":
        options["disable_compile"] = True
    elif chosen.compile_decode != "auto":
        make = versions.need("CompileConfig", f"compile_decode={chosen.compile_decode!r}")
        config = make(mode=chosen.compile_decode)
        config._compile_all_devices = True  # on a CPU too
        options["compile_config"] = config
    return options


def compiled_forward(network: Any, mode: str) -> Any:
    """The network's forward pass as a compiled program.

    A cache of a fixed size allocates its memory at the first write. If that happened inside a CUDA graph, its next run
    would overwrite the memory, and torch 2.14 would crash with a SIGSEGV when it is passed in again; so it is
    allocated before the call.
    """
    compiled = torch.compile(network.forward, mode=mode)
    if mode not in GRAPHED:
        return compiled

    @wraps(network.forward)
    def forward(*arguments: Any, **keywords: Any) -> Any:
        make_room(network, keywords.get("past_key_values"), keywords.get("input_ids"))
        return compiled(*arguments, **keywords)

    return forward


def make_room(network: Any, cache: Any, ids: Any) -> None:
    """Make a new cache of a fixed size allocate its memory now, if the library versions can."""
    kind = versions.find("StaticCache")
    new = kind is not None and isinstance(cache, kind) and not getattr(cache, "is_initialized", True)
    shape_of = getattr(network, "_get_static_cache_init_shape", None)
    if new and ids is not None and shape_of is not None and (shape := shape_of()) is not None:
        heads, width = shape
        kept = {"dtype": network.dtype, "device": network.device}
        cache.early_initialization(batch_size=ids.shape[0], num_heads=heads, head_dim=width, **kept)


class Prefill:
    """Records the first call of the model: its cache, and the number of prompt tokens that it reads."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self.cache: Any = None
        self.length = 0

    def watch(self) -> None:
        """Record the next call and none after it: later calls may be compiled, and must not carry the hook."""

        def look(_: Any, arguments: Any, keywords: dict[str, Any]) -> None:
            del arguments
            handle.remove()
            self.cache = keywords.get("past_key_values")
            ids = keywords.get("input_ids")
            self.length = 0 if ids is None else ids.shape[1]

        handle = self._network.register_forward_pre_hook(look, with_kwargs=True)

    def in_force(self, prompt_length: int) -> dict[str, Any]:
        """The settings, by name, that the recorded call and the model's compiled call show."""
        compiled = hasattr(self._network, "_compiled_call") and compiles()
        return {
            "cache": kind_of(self.cache),
            "prefill_chunk_size": self.length if self.length < prompt_length else 0,
            "compile_decode": self._network._last_compile_config.mode if compiled else "off",
        }


def kind_of(cache: Any) -> str:
    """The name that a cache has in ``CACHES``, or else the name of its class."""
    if cache is None:
        return "none"
    cache = getattr(cache, "self_attention_cache", cache)
    name = type(cache).__name__.removesuffix("Cache").lower()
    if name == "quantized":
        return f"quantized-{type(cache.layers[0]).__name__.removesuffix('QuantizedLayer').lower()}"
    if getattr(cache, "offloading", False):
        return "offloaded_static" if name == "static" else "offloaded"
    return name
