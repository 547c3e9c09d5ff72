"""Emptying the allocator's cache every few steps: memory that no tensor uses goes back to the device, and must be asked
for again.

From https://huggingface.co/docs/transformers/perf_train_gpu_one (``torch_empty_cache_steps``): a GPU reserves less, and
a step is about 10% slower. A CPU has no such cache: with the setting in force, the step calls the same operators and
has the same losses.
"""

import pytest

from fixtures.models import models

GPT2, GPT2_124M = models()["gpt2-quick"], models()["gpt2"]


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("steps", [1])
def test_empty_cache(perf, training, steps):
    perf(training(GPT2, empty_cache_steps=steps))


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("model", [GPT2_124M], ids=lambda model: model.name)
def test_empty_cache_larger(perf, training, model, steps):
    perf(training(model, empty_cache_steps=steps))


@pytest.mark.perf(tier="quick")
def test_less_is_reserved_for_more_time(effect, training):
    effect(
        training(GPT2),
        training(GPT2, empty_cache_steps=1),
        peak_reserved_bytes={"cuda": "< 1.001x"},
        step_time_s={"cuda": "> 1.02x"},
    )
