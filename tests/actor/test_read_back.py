"""Every setting is read back from what the libraries built, or its declaration says why it cannot be."""

import contextlib
import importlib
import json
import subprocess
import sys

import pytest

from fixtures.models import image_models, models
from perfgate.actor.devices import open_device
from perfgate.actor.pace import Done
from perfgate.actor.techniques.attention import allow_kernel
from perfgate.measure.validity import other_settings
from perfgate.shared.settings import KINDS, OPERATORS
from perfgate.workloads.data import reading, tokenizing
from perfgate.workloads.operators import operator
from perfgate.workloads.tasks import (
    denoiser_training,
    forward,
    generation,
    image_generation,
    loading,
    serving,
    training,
)
from tests import ROOT

# Continuous batching starts a thread that ends only with its process, so its step is taken in a process of its own.
APART = ("continuous",)
GPT2, T5 = (models()[name] for name in ("gpt2-quick", "t5-quick"))
SD = image_models()["stable-diffusion-quick"]
SMALL = {"batch_size": 2, "sequence_length": 16}
SHORT = {"batch_size": 1, "prompt_length": 8, "new_tokens": 2}
WORKLOADS = {
    "trainer": training(GPT2, **SMALL),
    "seq2seq-trainer": training(T5, loop="seq2seq-trainer", **SMALL),
    "accelerate": training(GPT2, loop="accelerate", **SMALL),
    "generation": generation(GPT2, **SHORT),
    "drafts": generation(GPT2, assistant_layers=1, **{**SHORT, "new_tokens": 6}),
    "padded": serving(GPT2, requests=2, **SHORT),
    "continuous": serving(GPT2, requests=2, batching="continuous", prefix_sharing=True, **SHORT),
    "forward": forward(GPT2, **SMALL),
    "pictures": image_generation(SD, denoising_steps=2, guidance=True, attention="eager", scheduler="euler"),
    "sliced pictures": image_generation(SD, denoising_steps=2, attention_slicing=True, vae_tiling=True),
    "faster pictures": image_generation(SD, lora="fused", cache="pyramid_attention_broadcast"),
    "denoiser": denoiser_training(SD, batch_size=2),
    "loading": loading(GPT2, files="sharded", stored="bf16", precision="bf16"),
    "quantized loading": loading(models()["llama-quick"], quantization="torchao-int8"),
    **{name: operator(name, **dict.fromkeys(kind.sizes, 8)) for name, kind in OPERATORS.items()},
    "tokenizing": tokenizing("convert", tokenizer="slow", added_tokens=5, texts=2),
    "reading": reading("batches", rows=8, format="numpy"),
    "mapping": reading("map", rows=8, processes=2),
    "loader": reading("loader", rows=8, processes=1),
}


class OneStep:
    """Stands for the pace: wants one step."""

    def __init__(self):
        self.steps = 0

    def begin(self, *_):
        self.steps += 1
        if self.steps > 1:
            raise Done

    def end(self, *_):
        """Nothing is reported."""


def in_force_after_a_step(workload):
    """The settings that were asked for, and those that the program reads back after one step."""
    module, _, name = workload.program.partition(":")
    build = getattr(importlib.import_module(module), name)
    program = build(device=open_device({"kind": "cpu"}, "counters", None, 1), **workload.params)
    program.keeps_outcome = True
    with contextlib.suppress(Done):
        program.drive(OneStep())
    allow_kernel("")
    return program.effective()


def in_force_in_another_process(name):
    """The same of one of ``WORKLOADS``, in a process that ends without waiting for its threads."""
    code = (
        "import json, os\n"
        f"from {__name__} import WORKLOADS, in_force_after_a_step\n"
        f"print(json.dumps(in_force_after_a_step(WORKLOADS[{name!r}])), flush=True)\n"
        "os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slice] * (name in APART)) for name in WORKLOADS]
)
@pytest.mark.slice
def test_a_program_tells_of_every_setting_that_its_declaration_does_not_except(name):
    workload = WORKLOADS[name]
    if "pictures" in name:
        pytest.importorskip("diffusers")
    kind = KINDS[workload.params["operator"] if workload.id == "operator" else workload.id.partition(".")[0]]
    asked, effective = in_force_in_another_process(name) if name in APART else in_force_after_a_step(workload)
    assert {setting.name for setting in kind if not setting.unread} <= set(effective)
    assert not {setting.name for setting in kind if setting.unread} & set(effective), "it can be read back after all"
    assert other_settings(asked, effective) == ""


def test_a_setting_that_nobody_reads_back_is_not_taken_for_one_in_force():
    told = "asked for smoothing=0.1, and the program does not tell whether it is in force"
    assert other_settings({"smoothing": 0.1, "liger": True}, {"liger": True}) == told
