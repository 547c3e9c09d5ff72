"""Statistical normalizations: softmax, layer norm, RMS norm. Each reduces a row and then changes every element, with
few FLOPs for each byte, so memory bandwidth limits them. A fused kernel does not write and read the intermediate
result.

From "Data Movement Is All You Need" (https://arxiv.org/abs/2007.00072) and
https://docs.nvidia.com/deeplearning/performance/dl-performance-memory-limited/index.html. On a CPU softmax and layer
norm are one kernel each, and RMS norm is several; on a GPU each of the three is one kernel. On a GPU they come near the
bandwidth. On one core of a CPU the exponentials of softmax take more time than moving its bytes.
"""

import pytest

NAMES = ["softmax", "layer_norm", "rms_norm"]
LARGE = {"rows": 32768, "columns": 4096}


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("name", NAMES)
def test_normalization(perf, operator, name):
    perf(operator(name))


@pytest.mark.perf(tier="quick")
def test_layer_norm_backward(perf, operator):
    perf(operator("layer_norm", direction="backward"))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("name", ["softmax", "rms_norm"])
def test_normalization_backward(perf, operator, name):
    perf(operator(name, direction="backward"))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", NAMES)
def test_large_normalization(perf, operator, name, precision):
    perf(operator(name, precision=precision, **LARGE))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize(("name", "calls"), [("softmax", "< 0.3x"), ("layer_norm", "< 0.15x")])
def test_one_kernel_moves_fewer_bytes_than_many(effect, operator, name, calls):
    effect(
        operator(name, fused=False),
        operator(name),
        moved_bytes="< 0.5x",
        operator_calls=calls,
        predicted_peak_bytes="< 0.8x",
        step_time_s="< 0.9x",
        near={"logits": 1e-5},
    )
