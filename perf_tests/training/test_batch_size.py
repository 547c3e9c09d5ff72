"""Batch size: a larger batch does more work at once. Throughput grows until the device is busy; activations grow in
proportion, weights and optimizer state not at all.

From https://huggingface.co/docs/transformers/perf_train_gpu_one. On a CPU one core is busy early, so throughput gains
little beyond small batches; on a GPU it gains much, best at multiples of 8.
"""

import pytest

from fixtures.models import models, swept

GPT2 = models()["gpt2-quick"]


@pytest.mark.parametrize(("model", "batch_size"), swept("training", [1, 2, 4, 8], few=[8]))
def test_batch_size(perf, training, model, batch_size):
    perf(training(model, batch_size=batch_size))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("batch_size", [7, 9, 16])
def test_batch_size_around_a_multiple_of_8(perf, training, batch_size):
    perf(training(GPT2, batch_size=batch_size))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize(("model", "batch_size"), swept("training", [1, 8]))
def test_batch_size_accelerate(perf, training, model, batch_size):
    perf(training(model, loop="accelerate", batch_size=batch_size))


@pytest.mark.perf(tier="quick")
def test_larger_batches_share_what_a_step_costs(effect, training):
    effect(
        training(GPT2, batch_size=1),
        training(GPT2, batch_size=8),
        samples_per_s={"cpu": "> 1.3x", "cuda": "> 2x"},
        weights_bytes="< 1.001x",
        optimizer_state_bytes="< 1.001x",
        activations_bytes="> 7x and < 8.1x",
    )


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize(
    ("neighbour", "growth", "speed"),
    [
        (7, "> 1.13x and < 1.15x", {"samples_per_s": {"cuda": "> 0.97x"}}),
        # A step that waits for the host takes as long with 8 samples as with 9.
        (9, "> 0.88x and < 0.9x", {"step_time_s": {"cuda": "< 1.03x"}}),
    ],
    ids=["7-> 1.13x and < 1.15x", "9-> 0.88x and < 0.9x"],
)
def test_a_multiple_of_8_is_not_slower_than_its_neighbours(effect, training, neighbour, growth, speed):
    effect(training(GPT2, batch_size=neighbour), training(GPT2, batch_size=8), activations_bytes=growth, **speed)
