"""The settings of generation: as arguments of ``generate``, and read back from how it called the model."""

from typing import Any

from perfgate.actor import versions
from perfgate.actor.request import GenerationSettings

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
    """Keyword arguments of ``generate``."""
    options = {"num_beams": chosen.beams, "use_cache": True, **CACHES[chosen.cache]}
    if chosen.prefill_chunk_size:
        options["prefill_chunk_size"] = chosen.prefill_chunk_size
    # What compiles every forward pass would be compiled once more where generate compiles by itself.
    if chosen.compile_decode == "off" or chosen.compile != "off":
        options["disable_compile"] = True
    elif chosen.compile_decode != "auto":
        make = versions.need("CompileConfig", f"compile_decode={chosen.compile_decode!r}")
        config = make(mode=chosen.compile_decode)
        config._compile_all_devices = True  # on a CPU too
        options["compile_config"] = config
    return options


class Prefill:
    """Looks at how the model is called first: with which cache, and for how many tokens of the prompt."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self.cache: Any = None
        self.length = 0

    def watch(self) -> None:
        """Look at the next call, and at none after it, which might be compiled."""

        def look(_: Any, arguments: Any, keywords: dict[str, Any]) -> None:
            del arguments
            handle.remove()
            self.cache = keywords.get("past_key_values")
            ids = keywords.get("input_ids")
            self.length = 0 if ids is None else ids.shape[1]

        handle = self._network.register_forward_pre_hook(look, with_kwargs=True)

    def in_force(self, prompt_length: int) -> dict[str, Any]:
        """The settings that show in how the model was called, by their names; a compiled call is kept by the model."""
        compiled = hasattr(self._network, "_compiled_call")
        return {
            "cache": kind_of(self.cache),
            "prefill_chunk_size": self.length if self.length < prompt_length else 0,
            "compile_decode": self._network._last_compile_config.mode if compiled else "off",
        }


def kind_of(cache: Any) -> str:
    """A cache's kind as ``CACHES`` names it, or the name of its class."""
    if cache is None:
        return "none"
    cache = getattr(cache, "self_attention_cache", cache)
    name = type(cache).__name__.removesuffix("Cache").lower()
    if name == "quantized":
        return f"quantized-{type(cache.layers[0]).__name__.removesuffix('QuantizedLayer').lower()}"
    if getattr(cache, "offloading", False):
        return "offloaded_static" if name == "static" else "offloaded"
    return name
