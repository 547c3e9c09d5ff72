"""Gradient accumulation: the same effective batch in smaller pieces. Peak memory is near that of one piece; each step
takes a little more time.

From https://huggingface.co/docs/transformers/perf_train_gpu_one. Every case here has an effective batch of 8.
"""

import pytest

from fixtures.models import models, swept

GPT2 = models()["gpt2-quick"]
EFFECTIVE_BATCH = 8


@pytest.mark.parametrize(("model", "pieces"), swept("training", [1, 2, 4, 8]))
def test_gradient_accumulation(perf, training, model, pieces):
    perf(training(model, batch_size=EFFECTIVE_BATCH // pieces, gradient_accumulation=pieces))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize(("model", "pieces"), swept("training", [4]))
def test_gradient_accumulation_accelerate(perf, training, model, pieces):
    perf(training(model, loop="accelerate", batch_size=EFFECTIVE_BATCH // pieces, gradient_accumulation=pieces))


@pytest.mark.perf(tier="quick")
def test_pieces_save_memory_and_cost_time(effect, training):
    effect(
        training(GPT2, batch_size=EFFECTIVE_BATCH),
        training(GPT2, batch_size=1, gradient_accumulation=EFFECTIVE_BATCH),
        step_time_s={"cpu": "< 2.5x", "cuda": "< 8x"},
        peak_memory_bytes={"cpu": "< 0.7x"},
        peak_net_bytes={"cuda": "< 0.6x"},
        activations_bytes="< 0.3x",
        flops="< 1.1x",
        near={"losses": 0.01},
    )
