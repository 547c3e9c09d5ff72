"""Regressions of transformers and peft that users reported, as ordinary cases; each names its thread.

Run by ``python -m benchmarks.public_regressions``, and in part by a slice of the tests.
"""

from pathlib import Path

import pytest

from perfgate.workloads.models.shapes import read_shapes

MODELS = read_shapes(Path(__file__).parent / "shapes.json")
SHORT = {"prompt_length": 16, "new_tokens": 16}


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert"])
def test_padded_encoder(perf, forward, name):
    """transformers #41566: a padded mask costs more operators since 5.0."""
    perf(forward(MODELS[name], task="embedding", sequence_length=64, padded=0.25))


def test_t5_training(perf, training):
    """Since 5.0 the host waits for a mask in the encoder and in the decoder."""
    perf(training(MODELS["t5"], loop="accelerate", batch_size=2, padded=0.25))


def test_t5_generation(perf, generation):
    """The same in generation, with 5.0."""
    perf(generation(MODELS["t5"], batch_size=2, prompt_length=64, new_tokens=32))


@pytest.mark.parametrize("name", ["llama", "qwen2", "gpt2", "neox"])
def test_training_without_mask_and_cache(perf, training, name):
    """transformers #41856: such a training makes a mask since 4.53.1; since 5.0 the host waits to find out."""
    unseen = {"mask": "none", "use_cache": False}
    perf(training(MODELS[name], loop="accelerate", batch_size=2, sequence_length=512, **unseen))


def test_static_cache(perf, generation):
    """transformers #41806: GPT-2 over a static cache, not compiled, became slower."""
    perf(generation(MODELS["gpt2"], cache="static", compile_decode="off", **SHORT))


def test_generation(perf, generation):
    """transformers #29206: 4.38 made a mask of all positions squared. Since 5 the host waits less often."""
    perf(generation(MODELS["llama"], **SHORT))


def test_lora_in_16_bits(perf, training):
    """Since peft 0.12 the adapters of a model in 16 bits have 32."""
    perf(training(MODELS["llama"], loop="accelerate", batch_size=2, precision="bf16", lora_rank=8))
