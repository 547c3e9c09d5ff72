"""Mixture of experts: a few of many experts compute each token, and there are several ways to multiply by their
weights. ``eager`` takes one expert after the other, ``batched_mm`` copies an expert's weights for each token, and
``grouped_mm`` sorts tokens by expert and multiplies them in one kernel.

From https://huggingface.co/docs/transformers/experts_interface. The result is the same. On a GPU ``grouped_mm`` is the
fastest, except for few tokens, for which ``batched_mm`` is. On a CPU ``grouped_mm`` is a little faster than ``eager``,
and the copies of ``batched_mm`` take most of the memory. Weights are in bfloat16, which ``grouped_mm`` is made for.
``eager`` has no dry run, because the number of its operators depends on which experts the tokens choose.
"""

import pytest

from fixtures.models import beyond, moe_models

QUICK, FULL = moe_models().values()
EXPERTS = ["eager", "grouped_mm", *beyond("full", "batched_mm")]


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("experts", EXPERTS)
def test_moe(perf, training, experts):
    perf(training(QUICK, experts=experts, precision="bf16"))


@pytest.mark.parametrize("experts", ["eager", "grouped_mm"])
@pytest.mark.parametrize("model", [FULL], ids=lambda model: model.name)
def test_moe_at_length(perf, training, model, experts):
    settings = {"precision": "bf16", "optimizer": "adafactor", "activation_checkpointing": True}
    perf(training(model, experts=experts, batch_size=2, sequence_length=1024, **settings))


@pytest.mark.perf(tier="quick")
def test_groups_copy_no_weights(effect, training):
    effect(
        training(QUICK, experts="batched_mm", precision="bf16"),
        training(QUICK, experts="grouped_mm", precision="bf16"),
        activations_bytes="< 0.3x",
        flops="> 0.9x and < 1.1x",
        near={"losses": 0.01},
    )


@pytest.mark.perf(tier="quick")
def test_one_kernel_is_faster_than_many(effect, training):
    effect(
        training(QUICK, experts="eager", precision="bf16"),
        training(QUICK, experts="grouped_mm", precision="bf16"),
        step_time_s={"cpu": "< 0.97x", "cuda": "< 0.8x"},
        near={"losses": 0.01},
    )
