"""Compilation: time spent once on making kernels out of the model, for less time at every step.

From https://huggingface.co/docs/transformers/torch_compile. The numbers of graphs, graph breaks and recompilations and
the time of compilation are metrics of their own. ``reduce-overhead`` records CUDA graphs, ``max-autotune`` tries out
kernels, and ``regional`` compiles one layer and uses it for all
(https://huggingface.co/docs/accelerate/usage_guides/compilation). On a CPU the gain is small and comes mostly from
element-wise operators. On a GPU fewer kernels are launched as well, and small models gain the most.
"""

import pytest

from fixtures.models import models

GPT2_124M, LLAMA = models()["gpt2"], models()["llama-quick"]
# With a cold cache max-autotune tries out kernels for minutes, all within the first step.
AUTOTUNED = pytest.param("max-autotune", marks=pytest.mark.perf(timeout_s=1200))
MODES = ["default", "reduce-overhead", AUTOTUNED, "regional"]


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("mode", ["default"])
def test_compile(perf, training, mode):
    perf(training(LLAMA, compile=mode))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model", [GPT2_124M], ids=lambda model: model.name)
def test_compile_larger(perf, training, model, mode):
    perf(training(model, compile=mode))


@pytest.mark.perf(tier="quick")
def test_compiled_steps_keep_less(effect, training):
    effect(
        training(LLAMA),
        training(LLAMA, compile="default"),
        step_time_s={"cuda": "< 0.9x"},
        peak_memory_bytes={"cpu": "< 0.96x"},
        peak_net_bytes={"cuda": "< 0.96x"},
        near={"losses": 1e-4},
    )


@pytest.mark.perf(tier="full")
def test_compiled_steps_are_faster(effect, training):
    effect(
        training(LLAMA),
        training(LLAMA, compile="default"),
        step_time_s={"cpu": "< 0.98x", "cuda": "< 0.9x"},
        near={"losses": 1e-4},
    )


@pytest.mark.perf(tier="full")
def test_a_layer_is_compiled_once_in_place_of_all(effect, training):
    effect(
        training(GPT2_124M, compile="default"),
        training(GPT2_124M, compile="regional"),
        compile_time_s="< 0.7x",
        near={"losses": 0.02},
    )
