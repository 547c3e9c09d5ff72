"""Translation: a transformer and a recurrent network both generate one word after the other. Beam search decodes
several candidate translations (beams) at once and keeps the best, so its cost grows about in proportion to the beams.

From https://huggingface.co/docs/transformers/generation_strategies and
https://docs.pytorch.org/tutorials/intermediate/seq2seq_translation_tutorial.html. The encoder reads each sentence only
once, whatever the number of beams.

On a CPU the arithmetic grows with the number of beams, while the number of operators stays the same. A GPU is not busy
with small batches, so more beams cost less than in proportion.
"""

import pytest

from fixtures.models import models
from fixtures.translation import pairs, recurrent_generation

T5 = models()["t5-quick"]
SIZES = {"batch_size": 8, "prompt_length": 32}
FULL = pytest.mark.perf(tier="full")


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("beams", [1, pytest.param(4, marks=FULL)])
def test_transformer(perf, generation, beams):
    perf(generation(T5, beams=beams, **SIZES))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("beams", [1, pytest.param(4, marks=FULL)])
def test_recurrent(perf, beams):
    perf(recurrent_generation(beams=beams, **SIZES))


@pytest.mark.perf(tier="full")
def test_transformer_on_pairs(perf, generation):
    perf(generation(T5, prompts=pairs(), beams=4, **SIZES))


@pytest.mark.perf(tier="full")
def test_recurrent_on_pairs(perf):
    perf(recurrent_generation(prompts=pairs(), beams=4, **SIZES))


@pytest.mark.perf(tier="quick")
def test_four_beams_cost_about_four_times_the_decoding(effect, generation):
    sizes = {"batch_size": 8, "prompt_length": 16, "new_tokens": 32}
    effect(
        generation(T5, **sizes),
        generation(T5, beams=4, **sizes),
        flops="> 2.5x and < 4.2x",
        step_time_s={"cpu": "> 1.3x and < 6x", "cuda": "< 5x"},
    )
