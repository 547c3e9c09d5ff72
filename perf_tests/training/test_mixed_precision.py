"""Mixed precision: arithmetic in 16 (or 8) bits, weights in 32. Activations take half the memory and tensor cores
compute several times faster; weights and optimizer state keep their size.

From https://huggingface.co/docs/transformers/perf_train_gpu_one and, for 8 bits,
https://huggingface.co/docs/accelerate/usage_guides/low_precision_training. ``bf16-amp`` and ``fp16-amp`` convert
tensors before each operator; ``tf32`` multiplies float32 with 10 bits of mantissa; ``bf16`` also stores the weights in
16 bits, which halves all parts. A CPU without instructions for 16 bits is slower with them, and has neither tf32, fp16
nor fp8; the memory is the same as on a GPU.
"""

import pytest

from fixtures.models import models

GPT2, LLAMA = models()["gpt2-quick"], models()["llama-quick"]
GPT2_124M, LLAMA_1B = models()["gpt2"], models()["Llama-3.2-1B"]
LONG = {"batch_size": 8, "sequence_length": 512}


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("precision", ["tf32", "bf16-amp", "fp16-amp", "bf16"])
def test_mixed_precision(perf, training, precision):
    perf(training(GPT2, precision=precision))


@pytest.mark.perf(tier="quick")
def test_fp8_by_recipe(perf, training):
    perf(training(LLAMA, loop="accelerate", precision="fp8-amp"))


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16-amp", "fp16-amp", "bf16"])
@pytest.mark.parametrize("model", [GPT2_124M, LLAMA_1B], ids=lambda model: model.name)
def test_mixed_precision_at_length(perf, training, model, precision):
    perf(training(model, precision=precision, **LONG))


@pytest.mark.parametrize("model", [LLAMA_1B], ids=lambda model: model.name)
def test_fp8_by_recipe_at_length(perf, training, model):
    perf(training(model, loop="accelerate", precision="fp8-amp", **LONG))


@pytest.mark.perf(tier="quick")
def test_autocast_shrinks_activations_and_not_weights(effect, training):
    effect(
        training(GPT2),
        training(GPT2, precision="bf16-amp"),
        activations_bytes="< 0.9x",
        weights_bytes="> 0.999x and < 1.001x",
        optimizer_state_bytes="> 0.999x and < 1.001x",
        near={"losses": 0.01},
    )


@pytest.mark.perf(tier="quick")
def test_weights_of_16_bits_halve_every_part(effect, training):
    effect(
        training(GPT2),
        training(GPT2, precision="bf16"),
        weights_bytes="< 0.51x",
        gradients_bytes="< 0.51x",
        optimizer_state_bytes="< 0.51x",
        activations_bytes="< 0.7x",
        near={"losses": 0.01},
    )


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("precision", ["tf32", "bf16-amp"])
def test_tensor_cores_are_faster(effect, training, precision):
    effect(
        training(GPT2_124M, **LONG),
        training(GPT2_124M, precision=precision, **LONG),
        step_time_s={"cuda": "< 0.75x"},
        weights_bytes="> 0.999x and < 1.001x",
        near={"losses": 0.01},
    )
