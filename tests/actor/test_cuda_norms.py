"""RMS norm in a dry run for CUDA: one operator each way, its values, its memory, and where it falls into parts."""

import copy

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from perfgate.actor.dry_run import cuda_norms
from perfgate.actor.dry_run.cpu_rules import CpuRules
from perfgate.actor.dry_run.cuda_norms import FUSED_SINCE, IN_FLOAT32_SINCE, is_fused, rms_norm
from perfgate.actor.dry_run.cuda_rules import CudaRules
from perfgate.actor.dry_run.run import dry_run
from perfgate.actor.dry_run.tracker import Tracker
from perfgate.actor.programs.operators import Operator
from perfgate.workloads.operators import operator

TODAY = tuple(int(part) for part in torch.__version__.split(".")[:2])
FORWARD, BACKWARD = "_fused_rms_norm", "_fused_rms_norm_backward"
pytestmark = pytest.mark.skipif(TODAY < FUSED_SINCE, reason="RMS norm is no kernel before torch 2.9")
in_float32 = pytest.mark.skipif(TODAY < IN_FLOAT32_SINCE, reason="left alone by autocast before torch 2.12")


def normed(work, rules=CudaRules, **options):
    """A tracker that has seen a layer's work, of a size in bytes that are easy to count."""
    rules = rules()
    tracker = Tracker(rules.block_bytes)
    tracker.rules = rules
    with rules.functions(), FakeTensorMode(), tracker, tracker.hooked():
        layer = nn.Sequential(nn.RMSNorm(256, **options))
        tracker.watch(layer)
        tracker.restart()
        work(layer, torch.empty(512, 256, dtype=options.get("dtype"), requires_grad=True))
    return tracker


def trained(layer, value):
    """Both passes."""
    found = layer(value)
    found.backward(torch.empty_like(found))


def norms(tracker):
    """How often each operator of a norm was called."""
    return {name: count for name, count in tracker.operators.items() if "norm" in name}


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(("precision", "size"), [("fp32", 4), ("bf16", 2)])
def test_it_is_one_operator_with_results_of_the_inputs_type(direction, precision, size):
    workload = operator("rms_norm", rows=512, columns=1024, precision=precision, direction=direction)
    found = dry_run(Operator, workload.params, "cuda")
    elements, forward = 512 * 1024, direction == "forward"
    assert found["operators"] == {FORWARD if forward else BACKWARD: 1}
    assert found["flops_by_group"]["normalizations"] == found["flops"] == (4 if forward else 8) * elements
    tensors = 2 if forward else 4  # with the result, and with a gradient of each
    rows = 4 * 512  # a number for each, of 32 bits in any precision
    assert found["peak_memory_bytes"] == pytest.approx(tensors * size * elements + rows, abs=8 << 10)


def test_a_cpu_has_no_such_operator():
    workload = operator("rms_norm", rows=12, columns=16)
    assert not any("norm" in name for name in dry_run(Operator, workload.params, "cpu")["operators"])
    assert not norms(normed(trained, CpuRules))


def test_it_is_charged_to_its_module_and_keeps_input_and_one_number_a_row():
    def keep(layer, value):
        keep.result = layer(value)

    assert {key: row[0] for key, row in normed(trained).work.items()} == {("0", "normalizations"): 2}
    tracker = normed(keep)
    kept = [made.asked_bytes for made in tracker.storages.kept(tracker.since)]
    assert kept == [4 * 512 * 256, 4 * 512 * 256, 4 * 512]


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_without_gradients_it_is_the_same_operator_and_keeps_nothing(context):
    def infer(layer, value):
        with context():
            layer(value)

    tracker = normed(infer)
    assert norms(tracker) == {FORWARD: 1}
    assert [made.asked_bytes for made in tracker.storages.kept(tracker.since)] == []


def test_checkpointing_computes_it_once_more():
    def checkpointed(layer, value):
        contexts = {"context_fn": lambda: (torch.enable_grad(), CudaRules().recomputing())}
        found = torch.utils.checkpoint.checkpoint(layer, value, use_reentrant=False, **contexts)
        found.backward(torch.empty_like(found))

    assert norms(normed(checkpointed)) == {FORWARD: 2, BACKWARD: 1}


@in_float32
def test_under_autocast_it_runs_in_float32_with_a_weight_of_either_type():
    def cast(layer, value):
        with torch.autocast("cpu", torch.bfloat16):
            found = layer(value.to(torch.bfloat16))
        assert found.dtype == torch.float32
        found.sum().backward()

    assert norms(normed(cast)) == {FORWARD: 1, BACKWARD: 1}


def test_a_copy_is_made_of_what_does_not_lie_in_rows():
    def across(layer, value):
        with torch.no_grad():
            layer(torch.empty(256, 512).t())

    def along(layer, value):
        with torch.no_grad():
            layer(torch.empty(512, 256))

    taken = [tracker.storages.highest(tracker.since)["temporaries"] for tracker in map(normed, (across, along))]
    assert taken[0] - taken[1] == 4 * 512 * 256


def test_where_kinds_differ_or_pictures_lie_with_channels_last_it_falls_into_parts():
    rows, weight = torch.empty(4, 8), torch.empty(8)
    assert is_fused((2, 9), rows, (8,), weight)
    assert is_fused((2, 9), rows, (8,), None)
    assert not is_fused((2, 8), rows, (8,), weight)
    assert not is_fused((2, 9), rows, (8,), weight.half())
    assert not is_fused((2, 9), rows.to(torch.complex64), (8,), None)
    pictures = torch.empty(2, 3, 8, 8)
    assert is_fused((2, 9), pictures, (8,), weight)
    assert not is_fused((2, 9), pictures.to(memory_format=torch.channels_last), (8,), weight)


def test_shapes_that_do_not_fit_are_refused_as_torch_refuses_them():
    for shape, weight in (((4,), None), ((8,), torch.empty(4))):
        with pytest.raises(Exception) as refused:  # noqa: PT011  torch's kind depends on its version
            torch.rms_norm(torch.empty(2, 8), shape, weight)
        with pytest.raises(type(refused.value), match="normalized_shape"):
            rms_norm(TODAY, torch.empty(2, 8), shape, weight)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("shape", [(8,), (5, 8)])
@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 1e-5), (torch.bfloat16, 5e-2)])
def test_its_values_and_gradients_are_torchs(dtype, within, shape, weighted):
    torch.manual_seed(0)
    given = [torch.randn(3, 5, 8, dtype=dtype), *([torch.randn(shape, dtype=dtype)] if weighted else [])]
    results = []
    for norm in (torch.rms_norm, lambda *args: rms_norm(TODAY, *args)):
        value, *weight = [copy.deepcopy(tensor).requires_grad_() for tensor in given]
        found = norm(value, shape, weight[0] if weighted else None, 1e-5)
        results.append([found, *torch.autograd.grad(found.square().sum(), [value, *weight])])
    for expected, found in zip(*results, strict=True):
        assert found.dtype == expected.dtype
        assert torch.allclose(found, expected, atol=10 * within, rtol=within)


def test_its_gradients_have_gradients():
    torch.manual_seed(0)
    value, weight = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 3, 4), (4,)))
    assert torch.autograd.gradgradcheck(lambda *given: rms_norm(TODAY, given[0], (4,), given[1], 1e-5), (value, weight))
    assert torch.autograd.gradgradcheck(lambda given: rms_norm(TODAY, given, (4,), None, 1e-5), (value,))


def test_made_without_values_it_is_as_large_as_with_them():
    value, weight = torch.randn(2, 3, 8).bfloat16(), torch.ones(8).bfloat16()
    for device in ("cpu", "meta"):
        out, rstd = cuda_norms.OPERATORS._fused_rms_norm(value.to(device), (8,), weight.to(device), None)
        found = cuda_norms.OPERATORS._fused_rms_norm_backward(out, out, (8,), rstd, weight.to(device), [True, True])
        shapes = [(tuple(tensor.shape), tensor.dtype) for tensor in (out, rstd, *found)]
        assert shapes == [
            ((2, 3, 8), torch.bfloat16),
            ((2, 3, 1), torch.float32),
            ((2, 3, 8), torch.bfloat16),
            ((8,), torch.bfloat16),
        ]


def test_the_function_of_the_module_is_exchanged_as_torchs_own():
    with CudaRules().functions(), FakeTensorMode(), (tracker := Tracker(512)):
        value = torch.empty(4, 8)
        functional.rms_norm(value, (8,), eps=1e-5)
        torch.rms_norm(value, [8])
        functional.rms_norm(input=value, normalized_shape=[8], weight=torch.empty(8))
    assert norms(tracker) == {FORWARD: 3}


@pytest.mark.parametrize("named", [False, True])
def test_group_norm_gives_back_what_lies_with_the_channels_first(named):
    given, norm = torch.ones(2, 8, 4, 4).to(memory_format=torch.channels_last), torch.nn.functional.group_norm
    with CudaRules().functions():
        found = norm(input=given, num_groups=4) if named else norm(given, 4)
    assert found.is_contiguous()
    assert torch.equal(found, norm(given, 4))
