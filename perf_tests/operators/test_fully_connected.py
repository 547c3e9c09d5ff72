"""Fully-connected (linear) layers: three matrix products, whose speed depends on their sizes and on what divides these.

From https://docs.nvidia.com/deeplearning/performance/dl-performance-fully-connected/index.html. The cases measure the
forward pass, the activation gradient and the weight gradient separately. They compare sizes that are multiples of 8
elements (16 bytes in 16 bits), of 64 bytes and of 128 bytes with sizes that are not; the Transformer's projection onto
a vocabulary of 33,708 with one of 33,712; and batches that fill whole tiles and waves with batches that just begin
another. On a GPU, padding to a multiple of 8 is faster although it is more work. On a CPU alignment matters little.
With a small batch, reading the weights takes the time, so a larger batch is nearly free.
"""

import pytest

FULL = pytest.mark.perf(tier="full")
DIRECTIONS = ["forward", "activation_gradient", "weight_gradient"]
PROJECTION = {"batch_size": 5120, "inputs": 1024, "precision": "fp16"}
FEED_FORWARD = {"inputs": 1024, "outputs": 4096, "precision": "fp16"}


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_direction(perf, operator, direction):
    perf(operator("linear", direction=direction))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("outputs", [1023, 1024, *(pytest.param(size, marks=FULL) for size in (1026, 1040, 1056))])
def test_outputs(perf, operator, outputs):
    """Rows that are multiples of 4 bytes, of 4,096 bytes, and of 8, 64 and 128 elements."""
    perf(operator("linear", outputs=outputs))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("vocabulary", [33708, 33712])
def test_vocabulary(perf, operator, vocabulary, direction):
    perf(operator("linear", outputs=vocabulary, direction=direction, **PROJECTION))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("batch_size", [4084, 4088, 4095, 4096])
def test_weight_gradient_of_a_padded_batch(perf, operator, batch_size):
    perf(operator("linear", batch_size=batch_size, direction="weight_gradient", **FEED_FORWARD))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("batch_size", [127, 128, 129, 2048, 2560, 2561])
def test_tiles_and_waves(perf, operator, batch_size):
    """Sizes around one tile of 128, and around whole waves."""
    perf(operator("linear", batch_size=batch_size, **FEED_FORWARD))


@pytest.mark.perf(tier="quick")
def test_both_gradients_take_twice_the_forward_pass(effect, operator):
    effect(operator("linear"), operator("linear", direction="backward"), flops="> 1.99x and < 2.01x")


@pytest.mark.perf(tier="quick")
def test_a_larger_batch_is_nearly_free_while_reading_the_weights_limits(effect, operator):
    """The same weights serve 8 times the work."""
    small = {"inputs": 1024, "outputs": 4096}
    effect(
        operator("linear", batch_size=1, **small),
        operator("linear", batch_size=8, **small),
        flops="> 7.9x and < 8.1x",
        moved_bytes="< 1.1x",
        arithmetic_intensity="> 7x",
        step_time_s={"cpu": "< 6x", "cuda": "< 4x"},
    )


@pytest.mark.perf(tier="full")
def test_a_padded_vocabulary_is_more_work_in_less_time(effect, operator):
    effect(
        operator("linear", outputs=33708, **PROJECTION),
        operator("linear", outputs=33712, **PROJECTION),
        flops="> 1x and < 1.001x",
        step_time_s={"cuda": "< 0.9x"},
    )
