"""Element-wise operators: GELU, dropout, residual, bias. They compute only a few FLOPs for each element that they read
and write, so memory bandwidth limits them: a few thousandths of a transformer's FLOPs take a good part of its time.

From "Data Movement Is All You Need" (https://arxiv.org/abs/2007.00072) and
https://docs.nvidia.com/deeplearning/performance/dl-performance-memory-limited/index.html. One fused kernel moves fewer
bytes than several, and an in-place operator needs no memory for its result. On a CPU, the error function of GELU and
the random numbers of dropout take more time than moving the bytes. On a GPU all four come near the bandwidth.
"""

import pytest

NAMES = ["gelu", "dropout", "residual", "bias"]
LARGE = {"rows": 32768, "columns": 4096}


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("name", NAMES)
def test_elementwise(perf, operator, name):
    perf(operator(name))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("name", ["gelu", "dropout", "bias"])
def test_elementwise_backward(perf, operator, name):
    perf(operator(name, direction="backward"))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", NAMES)
def test_large_elementwise(perf, operator, name, precision):
    perf(operator(name, precision=precision, **LARGE))


@pytest.mark.perf(tier="quick")
def test_one_kernel_moves_fewer_bytes_than_many(effect, operator):
    effect(
        operator("gelu", fused=False),
        operator("gelu"),
        moved_bytes="< 0.3x",
        operator_calls="< 0.3x",
        step_time_s="< 0.8x",
        near={"logits": 1e-5},
    )


@pytest.mark.perf(tier="quick")
def test_in_place_needs_no_room_for_the_result(effect, operator):
    """Both move the same bytes, but only one of two tensors remains."""
    effect(
        operator("bias"),
        operator("bias", in_place=True),
        moved_bytes="> 0.99x and < 1.01x",
        predicted_peak_bytes="< 0.6x",
        predicted_cuda_peak_bytes="< 0.6x",
    )


@pytest.mark.perf(tier="quick")
def test_half_the_bytes_in_half_precision(effect, operator):
    effect(
        operator("residual"),
        operator("residual", precision="bf16"),
        flops="> 0.99x and < 1.01x",
        moved_bytes="< 0.6x",
        arithmetic_intensity="> 1.8x",
        device_time_s={"cuda": "< 0.8x"},
    )
