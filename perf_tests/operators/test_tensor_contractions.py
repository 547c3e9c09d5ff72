"""Tensor contractions: matrix products, batched matrix products, attention. They do nearly all FLOPs of a transformer
and use each byte that they read many times, so the speed of arithmetic limits them.

From "Data Movement Is All You Need" (https://arxiv.org/abs/2007.00072) and
https://docs.nvidia.com/deeplearning/performance/dl-performance-matrix-multiplication/index.html. On a CPU a product of
512 x 512 reaches nearly all of the core's FLOP/s. Only large sizes, in tier full, fill a GPU. Fused attention
on a GPU is FlashAttention or memory-efficient attention (https://arxiv.org/abs/2205.14135).
"""

import pytest

LARGE = {"rows": 4096, "inner": 4096, "columns": 4096}
STACK = {"batch_size": 512, "rows": 512, "inner": 64, "columns": 512}
HEADS = {"batch_size": 8, "heads": 16, "sequence_length": 2048, "head_width": 64}


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("name", ["matmul", "batched_matmul", "attention"])
def test_contraction(perf, operator, name):
    perf(operator(name))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("name", ["matmul", "batched_matmul", "attention"])
def test_contraction_backward(perf, operator, name):
    perf(operator(name, direction="backward"))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("name", "sizes"),
    [("matmul", LARGE), ("batched_matmul", STACK), ("attention", HEADS)],
    ids=["matmul", "batched_matmul", "attention"],
)
def test_large_contraction(perf, operator, name, sizes, precision):
    perf(operator(name, precision=precision, **sizes))


@pytest.mark.perf(tier="quick")
def test_contractions_reach_more_flops_per_s_than_elementwise_operators(effect, operator):
    """512 times the FLOPs take far less than 512 times the time: at least 10 times the FLOP/s."""
    effect(
        operator("residual", rows=512, columns=1024),
        operator("matmul", rows=512, inner=512, columns=512),
        flops="> 500x",
        arithmetic_intensity="> 100x",
        step_time_s="< 50x",
    )


@pytest.mark.perf(tier="quick")
def test_a_stack_of_small_products_reuses_less(effect, operator):
    """The same FLOPs, in 64 products with sides a quarter as long."""
    effect(
        operator("matmul", rows=512, inner=512, columns=512),
        operator("batched_matmul", batch_size=64, rows=128, inner=128, columns=128),
        flops="> 0.99x and < 1.01x",
        moved_bytes="> 3.9x and < 4.1x",
        arithmetic_intensity="< 0.3x",
    )


@pytest.mark.perf(tier="quick")
def test_fused_attention_moves_bytes_in_proportion_to_the_sequence(effect, operator):
    """Four times the FLOPs, because both products are quadratic; twice the bytes, because no weights are written."""
    effect(
        operator("attention", sequence_length=256),
        operator("attention", sequence_length=512),
        flops="> 3.9x and < 4.1x",
        moved_bytes="> 1.9x and < 2.1x",
    )


@pytest.mark.perf(tier="quick")
def test_attention_written_out_holds_and_moves_all_weights(effect, operator):
    effect(
        operator("attention", sequence_length=512),
        operator("attention", sequence_length=512, fused=False),
        moved_bytes="> 5x",
        predicted_peak_bytes="> 2x",
        predicted_cuda_peak_bytes="> 1.1x",
        near={"logits": 0.001},
    )
