"""Batch size: a larger batch does more work at once. Throughput grows until the device is busy; activations grow in
proportion, weights and optimizer state not at all.

From https://huggingface.co/docs/transformers/perf_train_gpu_one. On a CPU one core is busy early, so throughput gains
little beyond small batches; on a GPU it gains much, best at multiples of 8.
"""

import pytest


@pytest.mark.parametrize("batch_size", [1, 2, 4, 8])
def test_batch_size(perf, training, model, batch_size):
    perf(training(model, batch_size=batch_size))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("batch_size", [1, 8])
def test_batch_size_accelerate(perf, training, model, batch_size):
    perf(training(model, loop="accelerate", batch_size=batch_size))
