"""Each rule of the CUDA ledger, held against what a CUDA device does. Skipped where there is none."""

import json
import subprocess
import sys

import pytest

from tests import ROOT
from tests.support.blocks import hold_the_same

pytestmark = pytest.mark.gpu
MIB = 1 << 20


@pytest.fixture
def torch(gpu):
    """torch on a machine with a CUDA device, its memory as empty as it gets."""
    del gpu
    torch = pytest.importorskip("torch")
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch


def allocated(torch, work):
    """Bytes that are allocated after some work and were not before, and the work's result."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    result = work()
    torch.cuda.synchronize()
    return torch.cuda.memory_allocated() - before, result


def operators(torch, work):
    """Names of all operators below autograd."""
    from perfgate.actor.dry_run.host_syncs import Watcher
    from perfgate.actor.dry_run.known_values import name_of

    names = []
    with Watcher(lambda func, args, kwargs, out: names.append(name_of(func))):
        work()
    torch.cuda.synchronize()
    return names


def test_blocks_are_multiples_of_512_bytes(torch):
    assert allocated(torch, lambda: torch.empty(1, dtype=torch.uint8, device="cuda"))[0] == 512
    assert allocated(torch, lambda: torch.empty(513, dtype=torch.uint8, device="cuda"))[0] == 1024


def test_the_allocator_holds_what_that_of_the_dry_run_holds_after_each_request(gpu):
    del gpu
    # In a process of its own, as what was allocated before has segments with free blocks.
    asked = [sys.executable, "-m", "benchmarks.blocks", "answers"]
    done = subprocess.run(asked, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    hold_the_same(json.loads(done.stdout.splitlines()[-1])["answers"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_convolution_takes_copies_with_the_channels_last(torch, dtype):
    from perfgate.actor.dry_run.cuda_rules import CudaRules

    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("the rule is known from 8.0 on")
    options = {"device": "cuda", "dtype": getattr(torch, dtype)}
    layer = torch.nn.Conv1d(768, 768, 3, 2, 1, **options)
    value = torch.empty(4, 768, 3000, **options)
    with torch.no_grad():
        layer(value)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        result = layer(value)
    arguments = (value, layer.weight, None, [2], [1], [1], False, [0], 1)
    rules = CudaRules(torch.cuda.get_device_capability())
    expected = rules.scratch_bytes("convolution", arguments, result) + result.nbytes
    assert torch.cuda.max_memory_allocated() - before == pytest.approx(expected, abs=4 * MIB)


def test_dropout_keeps_a_mask_of_one_byte(torch):
    x = torch.ones(MIB, device="cuda", requires_grad=True)
    size, _ = allocated(torch, lambda: torch.nn.functional.dropout(x, 0.1, training=True))
    assert size == 4 * MIB + MIB


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("width", [62, 64, 256])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_attention_is_chosen_as_the_rule_says(torch, dtype, width, masked, grouped):
    from perfgate.actor.dry_run.cuda_attention import Asked, choose_attention

    heads = 2 if grouped else 8
    options = {"device": "cuda", "dtype": getattr(torch, dtype)}
    query = torch.randn(2, 8, 128, width, **options)
    key, value = (torch.randn(2, heads, 128, width, **options) for _ in range(2))
    mask = torch.ones(2, 1, 128, 128, dtype=torch.bool, device="cuda") if masked else None
    attend = torch.nn.functional.scaled_dot_product_attention
    names = operators(torch, lambda: attend(query, key, value, attn_mask=mask, enable_gqa=grouped))
    found = [name for name in names if "attention" in name]
    ran = next((word for word in ("flash", "efficient", "cudnn") if any(word in name for name in found)), "math")
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    asked = Asked(dtype, width, 128, 128, masked=masked, grouped=grouped)
    assert choose_attention(asked, version, torch.cuda.get_device_capability()) == ran


@pytest.mark.parametrize("width", [60, 64])
@pytest.mark.parametrize("mask", [None, "bool", "bfloat16"])
def test_heads_and_masks_are_widened_as_the_rule_says(torch, width, mask):
    from torch._subclasses.fake_tensor import FakeTensorMode

    from perfgate.actor.dry_run.cuda_rules import CudaRules

    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("the kernels are known from 8.0 on")

    def work(device):
        query, key, value = (torch.empty(2, 8, 100, width, dtype=torch.bfloat16, device=device) for _ in range(3))
        shown = torch.empty(2, 1, 100, 100, dtype=getattr(torch, mask), device=device) if mask else None
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=shown)

    ran = operators(torch, lambda: work("cuda"))
    with CudaRules(torch.cuda.get_device_capability()).functions(), FakeTensorMode():
        expected = operators(torch, lambda: work("cpu"))
    for name in ("constant_pad_nd", "where"):
        assert ran.count(name) == expected.count(name)


def test_flash_attention_backward_copies_what_does_not_lie_token_by_token(torch):
    from torch.nn.attention import SDPBackend, sdpa_kernel

    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("flash attention is known from 8.0 on")

    def taken(shape, apart):
        parts = [torch.empty(shape, dtype=torch.bfloat16, device="cuda", requires_grad=True) for _ in range(3)]
        given = [part.transpose(1, 2) for part in parts] if apart else parts
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            found = torch.nn.functional.scaled_dot_product_attention(*given)
        gradient = torch.empty_like(found)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        found.backward(gradient)
        return torch.cuda.max_memory_allocated() - before

    copies = 2 * (4 * 8 * 256 * 64 * 2)
    assert taken((4, 8, 256, 64), False) - taken((4, 256, 8, 64), True) == copies


@pytest.mark.parametrize(("shape", "dimensions"), [((1024, 256), [0]), ((1024, 1024), []), ((64, 256), [0])])
def test_a_sum_takes_what_the_rule_says(torch, shape, dimensions):
    from perfgate.actor.dry_run.cuda_rules import CudaRules

    value = torch.empty(shape, dtype=torch.bfloat16, device="cuda")
    value.sum(dimensions)
    before = torch.cuda.memory_stats()["requested_bytes.all.current"]
    torch.cuda.reset_peak_memory_stats()
    result = value.sum(dimensions)
    taken = torch.cuda.memory_stats()["requested_bytes.all.peak"] - before - result.nbytes
    rules = CudaRules(torch.cuda.get_device_capability())
    assert taken == rules.reduction("sum", (value, dimensions)).scratch_bytes


def test_autocast_runs_these_functions_in_float32(torch):
    x = torch.randn(64, 64, device="cuda", dtype=torch.bfloat16)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        for work in (
            lambda: torch.nn.functional.softmax(x, -1),
            lambda: torch.nn.functional.layer_norm(x, (64,)),
            lambda: x.pow(2),
            lambda: x.sum(),
            lambda: x.rsqrt(),
        ):
            assert work().dtype == torch.float32


def test_optimizer_and_clipping_work_on_lists(torch):
    weights = [torch.nn.Parameter(torch.randn(256, 256, device="cuda")) for _ in range(8)]
    optimizer = torch.optim.AdamW(weights)
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    names = operators(torch, lambda: (torch.nn.utils.clip_grad_norm_(weights, 1.0), optimizer.step()))
    assert any(name.startswith("_foreach_norm") for name in names)
    assert any(name.startswith("_foreach_addcdiv") for name in names)
    assert all(state["step"].device.type == "cpu" for state in optimizer.state.values())


def test_foreach_temporaries_are_as_large_as_the_rule_says(torch):
    size = 4 * 8 * MIB
    weights = [torch.nn.Parameter(torch.randn(MIB, device="cuda")) for _ in range(8)]
    optimizer = torch.optim.AdamW(weights)
    for _ in range(2):
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        optimizer.step()
        torch.cuda.synchronize()
        peak = torch.cuda.max_memory_allocated() - before
    assert peak == pytest.approx(size, rel=0.1)


def test_the_backward_pass_of_softmax_has_a_product_beside_it(torch):
    from perfgate.actor.dry_run.cuda_scratch import scratch_bytes

    gradient, output = (torch.randn(1024, 1024, device="cuda") for _ in range(2))
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    result = torch.ops.aten._softmax_backward_data(gradient, output, -1, torch.float32)
    torch.cuda.synchronize()
    taken = torch.cuda.max_memory_allocated() - before - 4 * result.numel()
    capability = torch.cuda.get_device_capability()
    assert taken == scratch_bytes("_softmax_backward_data", (gradient, output), result, capability)


def test_the_softmax_of_attention_by_matrix_products_looks_for_masked_rows(torch):
    from perfgate.actor.dry_run.cuda_rules import CudaRules

    scores = torch.randn(8, 512, 512, device="cuda")
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    result = torch._safe_softmax(scores, -1)
    taken = torch.cuda.max_memory_allocated() - before - result.nbytes
    rules = CudaRules(torch.cuda.get_device_capability())
    assert taken == pytest.approx(rules.scratch_bytes("_safe_softmax", (scores, -1), result), abs=1024)


def test_softmax_of_float16_to_float32_is_one_kernel(torch):
    half = torch.randn(64, 64, device="cuda", dtype=torch.float16)
    softmax = torch.nn.functional.softmax
    assert operators(torch, lambda: softmax(half, -1, dtype=torch.float32)) == ["_softmax"]
    assert operators(torch, lambda: softmax(half.bfloat16(), -1, dtype=torch.float32))[-2:] == ["_to_copy", "_softmax"]
    with torch.autocast("cuda", dtype=torch.float16):
        assert operators(torch, lambda: half.softmax(-1)) == ["_softmax"]
        assert operators(torch, lambda: half.sum(-1)) == ["sum"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("across", [False, True])
def test_a_norm_takes_copies_of_what_does_not_lie_in_rows(torch, across, dtype):
    from perfgate.actor.dry_run.cuda_scratch import scratch_bytes

    options = {"device": "cuda", "dtype": getattr(torch, dtype)}
    value, gradient = (torch.randn(1024, 1024, **options) for _ in range(2))
    value, gradient = (value.t(), gradient.t()) if across else (value, gradient)
    weight, bias = (torch.randn(1024, **options) for _ in range(2))

    def held(name, *arguments):
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        results = getattr(torch.ops.aten, name)(*arguments)
        torch.cuda.synchronize()
        taken = torch.cuda.max_memory_allocated() - before - sum(result.nbytes for result in results)
        assert taken == scratch_bytes(name, arguments, results, torch.cuda.get_device_capability())
        return results[1:]

    kept = held("native_layer_norm", value, [1024], weight, bias, 1e-5)
    held("native_layer_norm_backward", gradient, value, [1024], *kept, weight, bias, [True] * 3)
    if hasattr(torch.ops.aten, "_fused_rms_norm_backward"):
        kept = held("_fused_rms_norm", value, [1024], weight, 1e-5)
        held("_fused_rms_norm_backward", gradient, value, [1024], *kept, weight, [True] * 2)


@pytest.mark.parametrize(("dtype", "weights"), [("float32", "float32"), ("bfloat16", "bfloat16"), ("half", "float32")])
def test_rms_norm_is_one_kernel_each_way_where_types_agree(torch, dtype, weights):
    from perfgate.actor.dry_run.cuda_norms import is_fused

    weight = torch.ones(1024, device="cuda", dtype=getattr(torch, weights), requires_grad=True)
    value = torch.randn(64, 1024, device="cuda", dtype=getattr(torch, dtype), requires_grad=True)
    norm = torch.nn.functional.rms_norm
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    names = operators(torch, lambda: norm(value, (1024,), weight).backward(torch.ones_like(value)))
    fused = names.count("_fused_rms_norm"), names.count("_fused_rms_norm_backward")
    assert fused == ((1, 1) if is_fused(version, value, (1024,), weight) else (0, 0))


def test_checkpointing_keeps_its_random_state_on_the_host(torch):
    from torch.utils.checkpoint import get_device_states

    x = torch.ones(4, device="cuda")
    _, states = get_device_states(x)
    assert all(state.device.type == "cpu" for state in states)


def test_workspaces_of_forward_and_backward(torch):
    from perfgate.actor.dry_run.cuda_rules import CudaRules

    rules = CudaRules(capability=torch.cuda.get_device_capability())
    layer = torch.nn.Linear(256, 256, device="cuda")
    x = torch.randn(64, 256, device="cuda")
    torch._C._cuda_clearCublasWorkspaces()
    before = torch.cuda.memory_allocated()
    layer(x).sum().backward()
    torch.cuda.synchronize()
    held = torch.cuda.memory_allocated() - before - sum(4 * p.numel() for p in layer.parameters())
    assert held == pytest.approx(2 * rules.handle_bytes + rules.bias_bytes, abs=MIB // 2)


@pytest.mark.parametrize("name", ["gpt2-quick", "bert-quick", "llama-quick", "t5-quick"])
@pytest.mark.parametrize("precision", ["fp32", "bf16-amp"])
def test_predicted_peak_is_near_the_allocated_one(torch, name, precision):
    """Within 64 MiB, as peaks of this size are under 1 GiB."""
    from transformers import Trainer

    from fixtures.models import models
    from perfgate.actor.data.inputs import training_rows
    from perfgate.actor.dry_run.run import dry_run
    from perfgate.actor.programs.trainer import TrainerLoop
    from perfgate.actor.request import TrainingSettings
    from perfgate.actor.techniques.models import build_model
    from perfgate.actor.techniques.training_settings import training_arguments
    from perfgate.workloads import tasks

    workload = tasks.training(models()[name], precision=precision)
    capability = torch.cuda.get_device_capability()
    predicted = dry_run(TrainerLoop, workload.params, "cuda", capability)["peak_memory_bytes"]
    model = build_model(workload.params["model"], 0)
    rows = training_rows(model.config, workload.params["task"], 32, 64, 0)
    arguments = training_arguments(TrainingSettings(precision=precision), per_device_train_batch_size=8, max_steps=3)
    Trainer(model=model, args=arguments, train_dataset=rows).train()
    assert torch.cuda.max_memory_allocated() == pytest.approx(predicted, abs=64 * MIB)
