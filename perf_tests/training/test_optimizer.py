"""Optimizers: AdamW keeps two numbers of 4 bytes for each weight. Others keep one number, a factored, quantized or
projected form, or nothing; in exchange their step takes longer, or training converges differently.

From https://huggingface.co/docs/transformers/optimizers and
https://huggingface.co/docs/transformers/perf_train_gpu_one. Bytes of state for each weight: AdamW 8 (fused or not),
Adafactor about 0, SGD 0, SGD with momentum 4, Muon 4 in hidden matrices, 8-bit AdamW 2, 8-bit Lion 1; bitsandbytes does
not quantize the state of embeddings. GaLore and APOLLO keep a state of low rank, and LOMO keeps neither state nor
gradients. These sizes are the same on a CPU and on a GPU. Paged state needs a GPU, whose peak falls by the whole state,
which moves to the host when memory runs out. On a CPU, steps with quantized state are slower.
"""

import pytest

from fixtures.models import models

LLAMA = models()["llama-quick"]
QWEN3 = models()["Qwen3-0.6B"]
QUICK = ["adafactor", "muon", "adamw_bnb_8bit", "lomo"]
LOW_RANK = ["galore_adamw", "apollo_adamw"]
# The optimizer's library compiles the first step; with a GPU's cold cache that takes minutes.
COMPILED = pytest.param("adamw_torch_8bit", marks=pytest.mark.perf(timeout_s=600))
FURTHER = ["adamw_torch_fused", "sgd", "sgd_momentum", COMPILED, "lion_8bit", "paged_adamw_8bit", *LOW_RANK]
RANK = 16


def rank(optimizer):
    """The rank of a low-rank optimizer's projection. The library's default is as wide as the small model."""
    return {"optimizer_rank": RANK} if optimizer in LOW_RANK else {}


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("optimizer", QUICK)
def test_optimizer(perf, training, optimizer):
    perf(training(LLAMA, optimizer=optimizer))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("optimizer", FURTHER)
def test_further_optimizer(perf, training, optimizer):
    perf(training(LLAMA, optimizer=optimizer, **rank(optimizer)))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("optimizer", ["adamw_torch", *QUICK, *FURTHER])
def test_optimizer_of_a_large_model(perf, training, optimizer):
    perf(training(QWEN3, optimizer=optimizer, precision="bf16", batch_size=1, sequence_length=512))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize(
    ("optimizer", "ratio"),
    [
        ("adafactor", "< 0.1x"),
        ("sgd", "< 0.001x"),
        ("sgd_momentum", "> 0.49x and < 0.51x"),
        ("muon", "> 0.5x and < 0.8x"),
    ],
)
def test_less_state(effect, training, optimizer, ratio):
    effect(training(LLAMA), training(LLAMA, optimizer=optimizer), optimizer_state_bytes=ratio)


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize(
    ("optimizer", "ratio"),
    [
        # The optimizer's library compiles each step, which takes half a minute on a CPU.
        pytest.param("adamw_torch_8bit", "> 0.25x and < 0.3x", marks=pytest.mark.perf(tier="full", timeout_s=600)),
        ("adamw_bnb_8bit", "> 0.25x and < 0.5x"),
        ("lion_8bit", "> 0.12x and < 0.3x"),
        ("galore_adamw", "< 0.5x"),
        ("apollo_adamw", "< 0.5x"),
        ("lomo", "< 0.001x"),
    ],
)
def test_less_state_in_optimizers_of_other_libraries(effect, training, optimizer, ratio):
    setting = training(LLAMA, optimizer=optimizer, **rank(optimizer))
    effect(
        training(LLAMA),
        setting,
        measured_optimizer_state_bytes=ratio,
        peak_memory_bytes={"cpu": "< 0.95x"},
        peak_net_bytes={"cuda": "< 0.95x"},
    )


@pytest.mark.perf(tier="quick")
def test_paged_state_leaves_device_memory(effect, training):
    effect(training(LLAMA), training(LLAMA, optimizer="paged_adamw_8bit"), peak_net_bytes={"cuda": "< 0.9x"})
