"""The standard tier of inference, which a run on a GPU measures unless it names another tier.

Each row says why it is measured. Prefill is limited by arithmetic, decode by reading the weights, or by the host if
nothing is compiled. Sweeps around these rows are in the files of the techniques, in tier ``full``. Expect a GPU to be
busy in prefill, large batches and CUDA graphs, and to wait for the host in rows that are called ``host``.
"""

import pytest

from fixtures.models import models

GPT2, BERT, LLAMA, QWEN3 = (models()[name] for name in ("gpt2", "bert-large-uncased", "Llama-3.2-1B", "Qwen3-0.6B"))
T5, VIT, WHISPER = (models()[name] for name in ("t5-base", "vit-base", "whisper-small"))
BF16 = {"precision": "bf16"}
DECODE = {**BF16, "batch_size": 1, "prompt_length": 512, "new_tokens": 16}
STATIC = {**DECODE, "cache": "static"}
GENERATION = {
    # Prefill only: one token after a long prompt, read whole and in pieces.
    "llama-prefill-2048": (LLAMA, {**BF16, "batch_size": 1, "prompt_length": 2048, "new_tokens": 2}),
    "llama-prefill-4096-chunked": (
        LLAMA,
        {**BF16, "batch_size": 1, "prompt_length": 4096, "new_tokens": 2, "prefill_chunk_size": 1024},
    ),
    # Decode by cache and compilation, from host-bound to memory-bound. By default transformers compiles a
    # static cache into CUDA graphs; the modes between are in test_compile.py.
    "llama-decode": (LLAMA, DECODE),
    "llama-static": (LLAMA, {**STATIC, "compile_decode": "off"}),
    "llama-graphs": (LLAMA, {**STATIC, "compile_decode": "reduce-overhead"}),
    # Several sequences share each reading of the weights.
    "llama-batch-16": (LLAMA, {**DECODE, "batch_size": 16}),
    "qwen3-batch-32": (QWEN3, {**DECODE, "batch_size": 32}),
    # Weights with fewer bits.
    "llama-nf4": (LLAMA, {**DECODE, "quantization": "nf4"}),
    # Models with encoder and decoder, and sound.
    "t5-base": (T5, {**DECODE, "batch_size": 8}),
    "whisper-small": (WHISPER, {**BF16, "batch_size": 4, "new_tokens": 16}),
    # Witness of host-bound steps: a model so small that each token waits for the host.
    "host-generate": (GPT2, {**DECODE, "prompt_length": 64}),
}
FORWARD = {
    "bert-large": (BERT, {**BF16, "batch_size": 32, "sequence_length": 512}),
    "vit-base": (VIT, {**BF16, "batch_size": 64}),
    # Witness of host-bound steps: one short sequence.
    "host-forward": (BERT, {**BF16, "batch_size": 1, "sequence_length": 32}),
}


@pytest.mark.perf(tier="standard")
@pytest.mark.parametrize("name", GENERATION)
def test_generation_on_a_gpu(perf, generation, name):
    model, settings = GENERATION[name]
    perf(generation(model, **settings))


@pytest.mark.perf(tier="standard")
@pytest.mark.parametrize("name", FORWARD)
def test_forward_pass_on_a_gpu(perf, forward, name):
    model, settings = FORWARD[name]
    perf(forward(model, **settings))


@pytest.mark.perf(tier="standard")
def test_serving_on_a_gpu(perf, serving):
    """Witness of host-bound steps: requests enter and leave a batch between passes, which is the host's work."""
    perf(serving(GPT2, **BF16, batching="continuous", requests=8))
