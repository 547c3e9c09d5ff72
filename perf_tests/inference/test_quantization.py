"""Quantization: weights in 8 or 4 bits take a half to an eighth of the memory. In return results are a little less
exact, and if no kernel can multiply by packed weights, unpacking them takes time.

From https://huggingface.co/docs/transformers/quantization/overview, with bitsandbytes (LLM.int8 and NF4) and torchao.
The embedding and the output layer are not quantized; they are two fifths of the small models here, and little of a
large one. On a CPU each token becomes slower. On a GPU, where reading weights limits decoding, torchao's models become
faster once they are compiled. Four bits in torchao and activations in float8 need a GPU, and MXFP4 and NVFP4 a
Blackwell GPU.
"""

import pytest

from fixtures.models import beyond, models

GPT2 = models()["gpt2-quick"]
LLAMA = models()["llama-quick"]
LARGE = models()["Llama-3.2-1B"]

# The model, the precision of the rest, the bytes of all weights, and the largest distance of logits. LLM.int8
# computes in fp16; the CPU's kernel for NF4 in bf16, on widths that are multiples of 64.
QUICK = {
    "llm-int8": (GPT2, "fp16", "> 0.6x and < 0.75x", 0.05),
    "nf4": (GPT2, "bf16", "> 0.5x and < 0.6x", 0.3),
    "torchao-int8": (LLAMA, "fp32", "> 0.5x and < 0.6x", 0.05),
    "torchao-int8-dynamic": (LLAMA, "fp32", "> 0.5x and < 0.6x", 0.05),
    "torchao-float8": (LLAMA, "fp32", "> 0.5x and < 0.6x", 0.1),
}
LARGE_WEIGHTS = {
    "torchao-int4": "< 0.5x",
    "torchao-float8-dynamic": "< 0.65x",
    "torchao-mxfp4": "< 0.5x",
    "torchao-nvfp4": "< 0.5x",
}


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize(
    "quantization", ["llm-int8", "nf4", "torchao-int8", *beyond("full", "torchao-int8-dynamic", "torchao-float8")]
)
def test_quantization(perf, generation, quantization):
    model, precision, *_ = QUICK[quantization]
    perf(generation(model, precision=precision, quantization=quantization))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("quantization", [*QUICK, *LARGE_WEIGHTS])
def test_quantization_of_a_billion_weights(perf, generation, quantization):
    precision = "fp16" if quantization == "llm-int8" else "bf16"
    perf(generation(LARGE, precision=precision, quantization=quantization))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("quantization", QUICK)
def test_weights_take_less_and_logits_stay_near(effect, generation, quantization):
    model, precision, weights, distance = QUICK[quantization]
    effect(
        generation(model, precision=precision),
        generation(model, precision=precision, quantization=quantization),
        measured_weights_bytes=weights,
        near={"logits": distance},
    )


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("quantization", LARGE_WEIGHTS)
def test_weights_take_less_on_a_gpu(effect, generation, quantization):
    effect(
        generation(LARGE, precision="bf16"),
        generation(LARGE, precision="bf16", quantization=quantization),
        measured_weights_bytes=LARGE_WEIGHTS[quantization],
    )
