"""Settings of layers and kernels: read back from what was built, run dry as they run, refused where they cannot be."""

import re

import pytest
import torch

from fixtures.models import models, moe_models
from perfgate.actor.dry_run.run import NoDryRun
from perfgate.actor.programs.accelerated import compile_model
from perfgate.actor.techniques.attention import allow_kernel
from perfgate.actor.techniques.models import build_model, with_adapters
from perfgate.actor.techniques.readback import checkpointing, compiled, experts, in_force, precision_of
from perfgate.actor.techniques.training_settings import enable_checkpointing
from perfgate.shared.errors import Unavailable, UserError
from perfgate.shared.settings import Need
from perfgate.shared.workload import Workload
from perfgate.workloads.requirements import check_needs, is_here
from perfgate.workloads.tasks import forward, training
from tests.actor.test_dry_run import (
    MODELS,
    SMALL,
    assert_same_operators,
    assert_same_work_by_module,
    cases,
    dried,
    with_layers,
)

GPT2, LLAMA, MOE = MODELS["gpt2-quick"], with_layers(MODELS["llama-quick"], 1), moe_models()["moe-quick"]
IN_16_BITS = {"precision": "bf16", **SMALL}
DRY = {
    "every_2_layers": training(GPT2, activation_checkpointing="every_2_layers", **SMALL),
    "sdpa-math": training(LLAMA, attention="sdpa-math", **SMALL),
    "grouped_mm": training(with_layers(MOE, 1), experts="grouped_mm", **IN_16_BITS),
}


@pytest.fixture(autouse=True)
def _every_kernel():
    """Let each test begin and end with all of them."""
    yield
    allow_kernel("")


def built(model=GPT2, **options):
    """A model by its shape."""
    class_name = next(iter(model.classes.values()))
    return build_model({"class": class_name, **model.source}, 0, **options)


@cases(DRY)
@pytest.mark.slice
def test_a_dry_run_takes_the_setting_over(workload):
    assert_same_operators(workload)
    assert_same_work_by_module(workload)


def test_weights_are_drawn_on_the_device_and_those_of_a_cpu_stay_the_same():
    assert {weight.device.type for weight in built(drawn_on="meta").parameters()} == {"meta"}
    named, unnamed = built(drawn_on="cpu"), built()
    assert all(torch.equal(a, b) for a, b in zip(named.parameters(), unnamed.parameters(), strict=True))


@pytest.mark.parametrize("chosen", [True, "every_2_layers", "every_4_layers", "offload"])
def test_which_layers_are_checkpointed_is_read_from_them(chosen):
    network = built(with_layers(GPT2, 4))
    assert checkpointing(network) is False
    enable_checkpointing(network, chosen)
    assert checkpointing(network) == chosen


def test_a_layer_that_is_not_checkpointed_is_seen():
    network = built(with_layers(GPT2, 4))
    enable_checkpointing(network)
    network.transformer.h[1].gradient_checkpointing = False
    assert checkpointing(network) == "every_2_layers"


@pytest.mark.parametrize("attention", ["eager", "sdpa", "sdpa-math", "sdpa-flash", "sdpa-efficient"])
def test_the_kernel_that_may_run_is_read_from_torch(attention):
    network = built(LLAMA, attention=attention)
    assert in_force("off", network, network)["attention"] == attention
    allow_kernel("cudnn")
    assert in_force("off", network, network)["attention"] in ("eager", "sdpa-cudnn")


@pytest.mark.parametrize("chosen", ["eager", "batched_mm", "grouped_mm"])
def test_the_implementation_of_experts_is_read_from_their_layers(chosen):
    assert experts(built(MOE, experts=chosen)) == chosen
    assert experts(built(GPT2)) == "none"


@pytest.mark.parametrize("chosen", ["off", "default", "max-autotune", "regional"])
def test_whether_layers_or_the_whole_is_compiled_is_seen(chosen):
    network = built()
    assert compiled(chosen, network, compile_model(network, chosen)) == chosen
    assert compiled(chosen, network, compile_model(network, "default")) != "regional"


@pytest.mark.parametrize(
    ("weights", "arithmetic", "mixed", "found", "adapted"),
    [
        ("bf16", None, "no", "bf16", "bf16+fp32"),  # peft makes wider what is not quantized
        ("bf16", torch.float32, "no", "bf16+fp32", "fp32"),
        ("fp32", None, "bf16", "bf16+fp32", "bf16+fp32"),
        ("fp32", torch.bfloat16, "bf16", "bf16-amp", "bf16-amp"),
    ],
)
def test_layers_of_4_bits_compute_in_the_precision_that_is_asked_for(weights, arithmetic, mixed, found, adapted):
    pytest.importorskip("bitsandbytes")
    network = built(precision=weights, quantization="nf4", arithmetic=arithmetic)
    assert precision_of(network, mixed) == found
    assert precision_of(with_adapters(network, 8), mixed) == adapted


def test_a_recipe_that_converts_no_layer_leaves_16_bits():
    assert precision_of(built(), "fp8") == "bf16-amp"


def test_offloading_takes_what_is_kept_from_the_gpu_and_costs_a_copy_each_way():
    flat = with_layers(GPT2, 1)
    on, away = (dried(training(flat, activation_checkpointing=way, **SMALL), "cuda") for way in (True, "offload"))
    kept = 2 * 16 * 128 * 4  # what goes into the layer
    parts = [ledger["highest_by_part_bytes"]["activations"] for ledger in (on, away)]
    assert kept <= parts[0] - parts[1] <= 2 * kept
    assert away["operators"]["clone"] - on["operators"]["clone"] == 2
    assert away["flops"] == on["flops"]


@pytest.mark.parametrize(
    ("kernel", "operator"), [("flash", "_flash_attention"), ("efficient", "_efficient_attention"), ("math", "bmm")]
)
def test_cuda_runs_the_kernel_that_is_allowed_alone(kernel, operator):
    workload = training(with_layers(GPT2, 1), attention=f"sdpa-{kernel}", **IN_16_BITS)
    assert any(operator in name for name in dried(workload, "cuda")["operators"])


@pytest.mark.parametrize(
    ("workload", "target", "reason"),
    [
        (training(LLAMA, attention="sdpa-efficient", **SMALL), "cpu", "a CPU has no memory-efficient attention"),
        (
            training(LLAMA, attention="sdpa-efficient", **SMALL),
            "cuda",
            "CUDA's efficient attention does not support these heads",
        ),
        (training(LLAMA, attention="flex_attention", **SMALL), "cpu", "the step is compiled"),
        (training(LLAMA, loop="accelerate", precision="fp8-amp", **SMALL), "cpu", "torchao chooses the layers"),
    ],
    ids=["cpu", "cuda", "flex", "fp8"],
)
def test_what_cannot_run_dry_says_why(workload, target, reason):
    with pytest.raises(NoDryRun, match=reason):
        dried(workload, target)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"attention": "sdpa-flash"}, "attention='sdpa-flash' has no kernels for fp32; add precision='bf16'"),
        ({"attention": "flash_attention_2", "precision": "tf32"}, "no kernels for tf32"),
        ({"empty_cache_steps": 1, "loop": "accelerate"}, "an argument of the Trainer; leave loop='accelerate' out"),
        ({"precision": "fp8-amp"}, "a recipe of accelerate .* add loop='accelerate'"),
        ({"activation_checkpointing": 1}, "setting 'activation_checkpointing' is 1"),
    ],
    ids=str,
)
def test_what_excludes_each_other_is_refused(settings, reason):
    with pytest.raises(UserError, match=reason):
        training(GPT2, **settings)


@pytest.mark.parametrize(
    ("workload", "reason"),
    [
        (training(GPT2, precision="tf32"), "precision='tf32' needs a GPU"),
        (training(GPT2, activation_checkpointing="offload"), "activation_checkpointing='offload' needs a GPU"),
        (training(GPT2, attention="flex_attention"), "attention='flex_attention' needs a GPU"),
        (training(GPT2, attention="sdpa-efficient"), "needs a GPU"),
    ],
    ids=["tf32", "offload", "flex", "efficient"],
)
def test_what_needs_a_gpu_is_skipped_on_a_cpu_alone(workload, reason):
    with pytest.raises(Unavailable, match=re.escape(reason)):
        check_needs(workload, "cpu")
    for device in ("none", "cuda"):
        check_needs(workload, device)


def test_a_need_may_be_of_some_programs_a_part_of_a_package_and_a_version():
    check_needs(forward(models()["bert-quick"], attention="flex_attention"), "cpu")
    assert not is_here(Need(package="no_such_package.part"))
    assert not is_here(Need(package="torch", since="99"))
    assert is_here(Need(package="torch", since="2.0"))


@pytest.mark.parametrize(("version", "said"), [(3, "git+https://github.com/Dao-AILab"), (4, "install flash-attn-4")])
def test_a_package_that_is_called_otherwise_is_installed_by_its_name(version, said):
    workload = Workload("any:Program", {"attention": f"flash_attention_{version}"})
    with pytest.raises(Unavailable, match=re.escape(said)):
        check_needs(workload, "cuda")


def test_tf32_is_seen_where_it_is_on():
    before = torch.backends.fp32_precision
    torch.backends.fp32_precision = "tf32"
    try:
        assert precision_of(built(), "no") == "tf32"
    finally:
        torch.backends.fp32_precision = before
    assert precision_of(built(), "no") == "fp32"
