"""Key-value cache: keys and values of earlier tokens stay in memory, so that they need not be computed again.

From https://huggingface.co/docs/transformers/kv_cache. A ``dynamic`` cache grows with each token. A ``static`` one has
its full length from the beginning, so that steps can be compiled; on a GPU ``generate`` compiles them by itself, unless
``compile_decode="off"``. A ``quantized`` one stores numbers in 8 or 4 bits in place of 32 or 16. An ``offloaded`` one
keeps only the layer that is running on the GPU, and all others in the host's memory. Without a cache, the work for each
token grows with the length of the text, on every device.
"""

import pytest

from fixtures.models import models

GPT2 = models()["gpt2-quick"]
LLAMA = models()["llama-quick"]
LARGE = models()["Llama-3.2-1B"]
CACHES = ["none", "static", "quantized-fp8"]
MORE = ["dynamic", "offloaded", "offloaded_static", "quantized-quanto"]
MANY = {"batch_size": 8, "prompt_length": 512, "prefill_chunk_size": 32}


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize(
    "cache", [*CACHES, *(pytest.param(cache, marks=pytest.mark.perf(tier="full")) for cache in MORE)]
)
def test_kv_cache(perf, generation, cache):
    perf(generation(LLAMA, cache=cache))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("cache", CACHES + MORE)
def test_kv_cache_in_bf16(perf, generation, cache):
    perf(generation(LARGE, cache=cache, precision="bf16", prompt_length=512))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("model", [LLAMA, LARGE], ids=lambda model: model.name)
def test_static_cache_without_compiling(perf, generation, model):
    perf(generation(model, cache="static", compile_decode="off"))


@pytest.mark.perf(tier="quick")
def test_without_a_cache_all_is_computed_again(effect, generation):
    effect(
        generation(LLAMA),
        generation(LLAMA, cache="none"),
        flops="> 10x and < 20x",
        activations_bytes="< 1.2x",
        same="tokens",
    )


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize(("cache", "growth"), [("none", "> 2x"), ("dynamic", "< 1.8x")])
def test_time_for_a_token_grows_with_the_length_where_nothing_is_kept(effect, generation, cache, growth):
    effect(
        generation(LLAMA, cache=cache, prompt_length=128),
        generation(LLAMA, cache=cache, prompt_length=512),
        flops="> 3x",
        time_per_output_token_s={"cpu": growth},
    )


@pytest.mark.perf(tier="quick")
def test_static_cache_is_attended_to_in_its_full_length(effect, generation):
    settings = {"batch_size": 8, "new_tokens": 32}
    effect(
        generation(LLAMA, **settings),
        generation(LLAMA, cache="static", **settings),
        flops="> 1.02x and < 1.2x",
        predicted_peak_bytes="< 1.1x",
        time_per_output_token_s={"cuda": "< 0.9x"},
        same="tokens",
    )


@pytest.mark.perf(tier="quick")
def test_quantized_cache_is_smaller(effect, generation):
    effect(
        generation(GPT2, **MANY),
        generation(GPT2, cache="quantized-fp8", **MANY),
        # Activations are tensors that outlive a module's call; here that is mostly the cache.
        activations_bytes="< 0.45x",
        predicted_peak_bytes="< 0.97x",
        moved_bytes="> 1.1x",
        near={"logits": 0.05},
    )


@pytest.mark.perf(tier="full")
def test_offloaded_cache_leaves_the_device(effect, generation):
    settings = {"precision": "bf16", "batch_size": 8, "prompt_length": 1024, "prefill_chunk_size": 128}
    effect(
        generation(LARGE, **settings),
        generation(LARGE, cache="offloaded", **settings),
        peak_memory_bytes={"cuda": "< 0.97x"},
        same="tokens",
    )
