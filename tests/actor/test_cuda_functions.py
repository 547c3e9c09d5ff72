"""Functions that are one operator on CUDA and several on a CPU, as a dry run for CUDA calls them."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from perfgate.actor.dry_run.cuda_rules import CudaRules
from perfgate.actor.dry_run.tracker import Tracker
from tests.support.scratch import Scratch

WIDE, LOW = torch.float32, torch.bfloat16


def called(work, dtype, cast=None):
    """The operators of a function of two rows, and of its backward pass."""
    rules = CudaRules()
    with rules.functions(), FakeTensorMode(), (tracker := Tracker(rules.block_bytes)):
        value = torch.empty(2, 8, dtype=dtype, requires_grad=True)
        with torch.autocast("cpu", dtype=cast or LOW, enabled=cast is not None):
            found = work(value)
        found.backward(torch.empty_like(found))
    return dict(tracker.operators), found.dtype


SOFTMAXES = {
    "layers": lambda x: functional.softmax(x, dim=-1, dtype=WIDE),
    "layers by place": lambda x: functional.softmax(x, -1, 3, WIDE),
    "tensor": lambda x: x.softmax(-1, WIDE),
    "torch": lambda x: torch.softmax(input=x, dim=-1, dtype=WIDE),
}


@pytest.mark.parametrize("softmax", SOFTMAXES.values(), ids=SOFTMAXES)
def test_softmax_of_float16_to_float32_is_one_kernel(softmax):
    once = {"_softmax": 1, "_softmax_backward_data": 1}
    assert called(softmax, torch.float16) == (once, WIDE)
    assert called(softmax, LOW) == (once | {"_to_copy": 2}, WIDE)


def test_softmax_of_known_values_is_computed():
    with CudaRules().functions(), FakeTensorMode(), (tracker := Tracker(512)):
        found = torch.zeros(2, 4, dtype=torch.float16).softmax(-1, WIDE)
        assert tracker.known.of(found).tolist() == [[0.25] * 4] * 2


def test_its_logarithm_too():
    once = {"_log_softmax": 1, "_log_softmax_backward_data": 1}
    assert called(lambda x: functional.log_softmax(x, -1, dtype=WIDE), torch.float16) == (once, WIDE)
    assert called(lambda x: torch.log_softmax(x, -1, WIDE), torch.float16) == (once, WIDE)
    assert called(lambda x: x.log_softmax(-1), torch.float16) == (once, torch.float16)


def test_under_autocast_softmax_and_sums_are_asked_for_32_bits_and_their_argument_is_not_copied():
    softmax = {"_softmax": 1, "_softmax_backward_data": 1}
    assert called(lambda x: x.softmax(-1), torch.float16, torch.float16) == (softmax, WIDE)
    operators, dtype = called(lambda x: x.sum(-1), LOW, LOW)
    assert (operators["sum"], dtype) == (1, WIDE)
    assert operators["_to_copy"] == 1, "of the gradient"
    assert called(lambda x: x.sum(-1, dtype=LOW), LOW, LOW)[1] == LOW


def test_dropout_in_place_keeps_a_mask_of_numbers():
    operators, _ = called(lambda x: functional.dropout(x * 2, 0.1, inplace=True), WIDE)
    assert "native_dropout" not in operators
    assert {"bernoulli_", "div_", "mul_"} <= set(operators)
    assert "native_dropout" in called(lambda x: functional.dropout(x * 2, 0.1), WIDE)[0]


@pytest.mark.parametrize(("cast", "kernel"), [(None, "efficient"), (LOW, "cudnn")])
def test_attention_inside_of_torchs_own_layer_is_cudas(cast, kernel):
    def attend(x):
        layer = torch.nn.MultiheadAttention(64, 2, dropout=0.5, batch_first=True)
        rows = torch.cat([x, x, x, x, x, x, x, x], -1)[None]
        return layer(rows, rows, rows, need_weights=False)[0]

    before = functional.scaled_dot_product_attention, functional.dropout
    operators, _ = called(attend, WIDE, cast)
    name = f"_scaled_dot_product_{kernel}_attention"
    assert (operators[name], operators[f"{name}_backward"]) == (1, 1)
    assert (functional.scaled_dot_product_attention, functional.dropout) == before


def attended(width, mask=None, apart=False, capability=(8, 0)):
    """The operators of attention of 100 tokens and of its backward pass, and what the latter takes besides its results.

    Args:
        width: the width of a head.
        mask: the type of a mask, if there is one.
        apart: whether heads lie between a token and the next one, as layers of models leave them.
        capability: the card's.
    """
    rules = CudaRules(capability)
    watch = Scratch(rules, "attention_backward")
    with rules.functions(), FakeTensorMode(), (tracker := Tracker(rules.block_bytes)), watch:
        shape = (2, 100, 4, width) if apart else (2, 4, 100, width)
        parts = [torch.empty(shape, dtype=LOW, requires_grad=True) for _ in range(3)]
        given = [part.transpose(1, 2) for part in parts] if apart else parts
        shown = None if mask is None else torch.empty(2, 1, 100, 100, dtype=mask)
        found = functional.scaled_dot_product_attention(*given, attn_mask=shown)
        found.backward(torch.empty_like(found))
    assert found.shape == (2, 4, 100, width)
    return dict(tracker.operators), sum(watch.taken)


def test_flash_attention_widens_heads_to_multiples_of_8():
    assert attended(60)[0]["constant_pad_nd"] == 2 * 3, "forward and backward, of query, key and value"
    assert "constant_pad_nd" not in attended(64)[0]


def test_its_backward_pass_copies_gradient_and_result_whose_tokens_lie_apart():
    apart, together = attended(64)[1], attended(64, apart=True)[1]
    assert apart - together == 2 * (2 * 4 * 100 * 64 * 2)


@pytest.mark.parametrize("mask", [torch.bool, LOW])
def test_the_memory_efficient_kernel_gets_a_mask_in_rows_of_multiples_of_8(mask):
    operators, _ = attended(64, mask)  # 100 is none
    assert operators["constant_pad_nd"] == 1
    assert "constant_pad_nd" not in attended(64, mask, capability=(9, 0))[0], "cuDNN takes it as it is"
    assert operators.get("where", 0) == (mask == torch.bool)
