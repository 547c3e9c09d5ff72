"""Compilation: operators are fused into few kernels, once, at the first call; later calls are faster and need not wait
for Python.

From https://huggingface.co/docs/transformers/llm_optims#static-kv-cache-and-torchcompile and
https://huggingface.co/docs/transformers/perf_torch_compile. ``compile`` is ``torch.compile(model.forward)``;
``compile_decode`` passes a ``CompileConfig`` to ``generate``, which compiles only the steps after the prompt, with a
static cache. ``reduce-overhead`` replays CUDA graphs on a GPU, which helps small models most. Compile time, graphs,
graph breaks and recompilations are metrics of their own.
"""

import pytest

from fixtures.models import models

BERT = models()["bert-quick"]
LLAMA = models()["llama-quick"]
LARGE = models()["Llama-3.2-1B"]
MODES = ["default", "reduce-overhead"]


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_compiled_forward(perf, forward, mode):
    perf(forward(BERT, compile=mode))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("mode", ["default", pytest.param("reduce-overhead", marks=pytest.mark.perf(tier="full"))])
def test_compiled_decode(perf, generation, mode):
    perf(generation(LLAMA, cache="static", compile_decode=mode))


# A CUDA graph must not return a tensor that the next call passes in again, as a growing cache is, so this mode only.
@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("mode", ["default"])
def test_compiled_generation(perf, generation, mode):
    perf(generation(LLAMA, compile=mode))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("mode", MODES)
def test_compiled_decode_in_bf16(perf, generation, mode):
    perf(generation(LARGE, cache="static", compile_decode=mode, precision="bf16"))


@pytest.mark.perf(tier="full")
def test_compiled_decode_is_faster(effect, generation):
    effect(
        generation(LLAMA, cache="static", compile_decode="off"),
        generation(LLAMA, cache="static", compile_decode="reduce-overhead"),
        time_per_output_token_s={"cpu": "< 0.95x", "cuda": "< 0.8x"},
        same="tokens",
    )
