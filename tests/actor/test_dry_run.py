"""The dry run held against real steps: operator calls, work by module, peak memory; and what it says of faults."""

import contextlib
import dataclasses
import gc
import importlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack

import pytest
import torch
from torch.nn import functional
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP

from fixtures.models import models, sentences
from fixtures.translation import recurrent_generation, recurrent_training
from perfgate.actor.devices import open_device
from perfgate.actor.dry_run.cuda_rules import MIB, CudaRules, handle_bytes
from perfgate.actor.dry_run.run import NoDryRun, dry_run
from perfgate.actor.dry_run.tracker import Tracker
from perfgate.actor.pace import Done
from perfgate.actor.programs.accelerated import AcceleratedLoop
from perfgate.actor.programs.base import Program
from perfgate.gate.attribution import growth
from perfgate.measure.dry_answers import DryAnswers
from perfgate.measure.passes.dry import dry_launch
from perfgate.measure.passes.memory import memory_launch
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.stage import Stage
from perfgate.records.layers import collapsed
from perfgate.records.runfile import RunFile
from perfgate.reports.memory import memory_rows
from perfgate.workloads.models.model import Model
from perfgate.workloads.operators import operator
from perfgate.workloads.tasks import forward, generation, training
from tests import ROOT

MODELS = models()
TRAINED = ("gpt2-quick", "bert-quick", "llama-quick", "t5-quick")
SMALL = {"batch_size": 2, "sequence_length": 16}
SHORT = {"batch_size": 2, "prompt_length": 8, "new_tokens": 3}

LEDGERS = {}
STEPS = {}


@pytest.fixture(scope="module", autouse=True)
def _settled():
    """Keep what was imported out of the garbage collector's way: each dry run begins with a collection."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def program_of(workload):
    """The class that a workload names."""
    if "lora_rank" in workload.params:
        pytest.importorskip("peft")
    module, _, name = workload.program.partition(":")
    return getattr(importlib.import_module(module), name)


def dried(workload, target="cpu"):
    """A workload's ledger, made once."""
    key = workload.sha256, target
    if key not in LEDGERS:
        LEDGERS[key] = dry_run(program_of(workload), workload.params, target)
    return LEDGERS[key]


class SecondStep:
    """Stands for the pace: has the second step watched, and wants no third."""

    def __init__(self):
        self.tracker = Tracker(64, dry=False)
        self.watching = ExitStack()
        self.steps = 0

    def begin(self):
        self.steps += 1
        if self.steps == 2:
            self.watching.enter_context(self.tracker)
            self.watching.enter_context(self.tracker.hooked())
            self.tracker.restart()
        elif self.steps > 2:
            raise Done

    def end(self, *_):
        self.watching.close()


def stepped(workload):
    """The tracker of a real step: the program's second one, when the optimizer's state is there."""
    if workload.sha256 not in STEPS:
        program = program_of(workload)(device=open_device({"kind": "cpu"}, "time", None, 1), **workload.params)
        pace = SecondStep()
        pace.tracker.watch(program.network)
        with pace.watching, pytest.MonkeyPatch.context() as patch, contextlib.suppress(Done):
            # In inference mode operators that are made of others arrive whole, and the CPU's own way of taking them
            # apart cannot be had from Python; without gradients they arrive in the parts that the CPU runs.
            patch.setattr(torch, "inference_mode", torch.no_grad)
            program.drive(pace)
        STEPS[workload.sha256] = pace.tracker
    return STEPS[workload.sha256]


DEPTHS = ("n_layer", "num_hidden_layers", "num_layers", "encoder_layers", "decoder_layers")


def with_layers(model, number):
    """The same model, as deep as that."""
    config = {name: number if name in DEPTHS else value for name, value in model.source["config"].items()}
    return dataclasses.replace(model, source={"config": config})


SETTINGS = {
    "default": {},
    "gradient_accumulation": {"gradient_accumulation": 2},
    "activation_checkpointing": {"activation_checkpointing": True},
    "bf16-amp": {"precision": "bf16-amp"},
    "bf16": {"precision": "bf16"},
    "adafactor": {"optimizer": "adafactor"},
    "sgd": {"optimizer": "sgd"},
    "adamw_torch_fused": {"optimizer": "adamw_torch_fused"},
    "eager": {"attention": "eager"},
    "lora": {"lora_rank": 8},
}


def chosen(name, setting, **more):
    """A training step; one layer shows what a setting does, two show what layers do to one another."""
    model = MODELS[name] if setting == "default" else with_layers(MODELS[name], 1)
    return training(model, **SMALL, **SETTINGS[setting], **more)


GPT2, LLAMA = MODELS["gpt2-quick"], MODELS["llama-quick"]
FLAT, FLAT_LLAMA = with_layers(GPT2, 1), with_layers(LLAMA, 1)
TRAINER = {f"{name}-{setting}": chosen(name, setting) for name in TRAINED for setting in SETTINGS}
TRAINER |= {
    "llama-quick-chunked": training(with_layers(LLAMA, 1), chunked_loss=True, **SMALL),
    "llama-quick-muon": training(with_layers(LLAMA, 1), optimizer="muon", **SMALL),
    "llama-quick-momentum": training(with_layers(LLAMA, 1), optimizer="sgd_momentum", **SMALL),
}
PADDED = {"batch_size": 4, "sequence_length": 16, "padded": 0.25}
UNSEEN = {"mask": "none", "use_cache": False}
TRAINER |= {
    "llama-quick-unmasked": training(FLAT_LLAMA, **SMALL, mask="none"),
    "llama-quick-cached": training(FLAT_LLAMA, **SMALL, use_cache=True),
}
LOOP = {
    f"{name}-{setting}": chosen(name, setting, loop="accelerate")
    for name, settings in {
        "gpt2-quick": ("default", "gradient_accumulation", "activation_checkpointing", "bf16-amp", "adafactor"),
        "bert-quick": ("default",),
        "llama-quick": ("default", "bf16-amp", "lora"),
        "t5-quick": ("default", "bf16"),
    }.items()
    for setting in settings
}
LOOP |= {
    "llama-quick-uncached": training(FLAT_LLAMA, loop="accelerate", use_cache=False, **SMALL),
    "gpt2-quick-unseen": training(FLAT, loop="accelerate", **SMALL, **UNSEEN),
}
PASSES = {
    "bert-padded": forward(MODELS["bert-quick"], **PADDED),
    "llama-padded": forward(FLAT_LLAMA, **PADDED),
    "bert-unmasked": forward(MODELS["bert-quick"], mask="none", **SMALL),
    "gpt2-default": forward(MODELS["gpt2-quick"], **SMALL),
    "bert-eager": forward(MODELS["bert-quick"], attention="eager", **SMALL),
    "bert-masked": forward(MODELS["bert-quick"], task="masked-lm", **SMALL),
    "llama-bf16": forward(MODELS["llama-quick"], precision="bf16", **SMALL),
    "vit-default": forward(MODELS["vit-quick"], **SMALL),
    "minilm-sentences": forward(MODELS["all-MiniLM-L6-v2"], sentences=sentences(), batch_size=3, sequence_length=32),
}
GENERATED = {
    **{
        f"{name}-unmasked": generation(MODELS[name], mask="none", padded=0, **SHORT)
        for name in ("gpt2-quick", "t5-quick")
    },
    "gpt2-more-padding": generation(GPT2, padded=0.4, **SHORT),
    "gpt2-equal": generation(GPT2, padded=0, **SHORT),
    "gpt2-ragged": generation(MODELS["gpt2-quick"], **SHORT),
    "gpt2-alone": generation(MODELS["gpt2-quick"], **SHORT | {"batch_size": 1}),
    "llama-eager": generation(MODELS["llama-quick"], attention="eager", **SHORT),
    "llama-bf16-alone": generation(MODELS["llama-quick"], precision="bf16", **SHORT | {"batch_size": 1}),
    **{f"llama-{cache}": generation(FLAT_LLAMA, cache=cache, **SHORT) for cache in ("none", "static", "quantized-fp8")},
    "llama-static-alone": generation(FLAT_LLAMA, cache="static", **SHORT | {"batch_size": 1}),
    "llama-chunks": generation(FLAT_LLAMA, prefill_chunk_size=3, **SHORT),
    "gpt2-chunks-static": generation(GPT2, cache="static", prefill_chunk_size=5, **SHORT),
    "gpt2-beams-uncached": generation(GPT2, beams=2, cache="none", **SHORT),
    "t5-uncached": generation(with_layers(MODELS["t5-quick"], 1), cache="none", **SHORT),
    "t5-ragged": generation(MODELS["t5-quick"], **SHORT),
    "t5-beams": generation(MODELS["t5-quick"], beams=2, **SHORT),
    "whisper": generation(with_layers(MODELS["whisper-quick"], 1), **SHORT),
}
RAGGED = {"lengths": "log-normal", "sequence_length": 32, "batch_size": 3}
COLLATED = {
    "packed": training(with_layers(LLAMA, 1), packing=True, **RAGGED),
    "grouped": training(with_layers(LLAMA, 1), sampling="group_by_length", gradient_accumulation=2, **RAGGED),
    **{f"{name}-padded": training(with_layers(MODELS[name], 1), **PADDED) for name in ("bert-quick", "t5-quick")},
    "llama-quick-padded": training(FLAT_LLAMA, loop="accelerate", **PADDED),
    "recurrent": recurrent_training(batch_size=2, sequence_length=4),
}


def cases(workloads):
    """Parameters of a test, named."""
    return pytest.mark.parametrize("workload", workloads.values(), ids=workloads.keys())


# The profiler's marks around the loader's and the optimizer's calls run nothing.
MARKS = {"_record_function_enter_new", "_record_function_exit"}
COLUMNS = 3  # of a row; 2 without a mask


def collating(workload):
    """What making the batches costs, which the dry run is given: each column of a row becomes a tensor, and each column
    of a micro-batch is stacked. All rows of a column are one slice of the data set's table.
    """
    columns = COLUMNS - (workload.params.get("mask") == "none")
    each = columns * workload.params["gradient_accumulation"]
    return Counter({"_to_copy": each, "stack": each})


def differences(real, predicted):
    """By operator: how often it is really called, and how often in the dry run, where that is not the same."""
    names = (set(real) | set(predicted)) - MARKS
    return {name: (real[name], predicted[name]) for name in sorted(names) if real[name] != predicted[name]}


def assert_same_operators(workload):
    """But for the making of batches."""
    real, predicted = Counter(stepped(workload).operators), Counter(dried(workload)["operators"])
    assert sum(real.values()) > 100
    real.subtract(collating(workload))
    assert differences(real, predicted) == {}


def within_modules(work):
    """Calls, FLOPs and bytes by path and group of what modules do; their backward passes belong to them."""
    outside = ("", "clipping", "optimizer")
    return {key: tuple(map(int, row)) for key, row in work.items() if key[0] not in outside}


def assert_same_work_by_module(workload):
    """To the last FLOP and byte."""
    rows = stepped(workload).work.items()
    real = within_modules({key: (calls, flops, read + written) for key, (calls, flops, read, written, _) in rows})
    table = dried(workload)["work"].items()
    predicted = within_modules({(path, group): row for path, groups in table for group, row in groups.items()})
    assert len(real) > 20
    assert {
        key: (real.get(key), predicted.get(key)) for key in real | predicted if real.get(key) != predicted.get(key)
    } == {}


@cases(TRAINER)
@pytest.mark.slice
def test_the_trainers_step_calls_the_operators_of_the_dry_run(workload):
    assert_same_operators(workload)


@cases(TRAINER)
def test_the_trainers_step_does_in_each_module_what_the_dry_run_says(workload):
    assert_same_work_by_module(workload)


@cases(LOOP)
@pytest.mark.slice
def test_the_plain_loops_step_calls_the_operators_of_the_dry_run(workload):
    assert_same_operators(workload)


@cases(LOOP)
def test_the_plain_loops_step_does_in_each_module_what_the_dry_run_says(workload):
    assert_same_work_by_module(workload)


@cases(PASSES)
def test_a_forward_pass_calls_the_operators_of_the_dry_run(workload):
    real, predicted = Counter(stepped(workload).operators), Counter(dried(workload)["operators"])
    assert differences(real, predicted) == {}
    assert_same_work_by_module(workload)


@cases(GENERATED)
@pytest.mark.slice
def test_generation_does_in_each_module_what_the_dry_run_says(workload):
    """Around the model ``generate`` looks after stopping and sampling, which the dry run does not."""
    assert_same_work_by_module(workload)


@cases(COLLATED)
@pytest.mark.slice
def test_what_a_collator_makes_is_worked_on_as_the_dry_run_says(workload):
    assert_same_work_by_module(workload)


def test_recurrent_generation_calls_the_operators_of_the_dry_run():
    workload = recurrent_generation(batch_size=2, prompt_length=4, new_tokens=3, beams=2)
    assert differences(Counter(stepped(workload).operators), Counter(dried(workload)["operators"])) == {}


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A stage with one server, whose interpreter was started with a hash seed of its own."""
    programs = ("trainer", "accelerated", "generation", "forward")
    modules = [f"perfgate.actor.programs.{name}" for name in programs]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONHASHSEED", "7")
        stage = Stage(modules, tmp_path_factory.mktemp("stage"), MeasurementPlan(launches=1), servers=1)
        stage.start()
    yield stage
    stage.close()


MIDDLE = {"batch_size": 4, "sequence_length": 32}
MEASURED = {
    "gpt2": training(GPT2, **MIDDLE),
    "gpt2-checkpointing": training(GPT2, activation_checkpointing=True, **MIDDLE),
    "gpt2-amp-adafactor": training(FLAT, precision="bf16-amp", optimizer="adafactor", **MIDDLE),
    "gpt2-lora-pieces": training(FLAT, lora_rank=8, gradient_accumulation=3, **MIDDLE),
    "llama-loop-bf16": training(LLAMA, loop="accelerate", precision="bf16", **MIDDLE),
    "t5-generation": generation(MODELS["t5-quick"], **SHORT),
    "gpt2-chunks-fp8": generation(FLAT, cache="quantized-fp8", prefill_chunk_size=32, batch_size=4, prompt_length=128),
    "vit-forward": forward(MODELS["vit-quick"], **MIDDLE),
}


@cases(MEASURED)
@pytest.mark.slice
def test_the_predicted_peak_is_the_measured_one_within_half_a_percent(workload, stage):
    with dry_launch(stage, "x", workload, stage.pool, "candidate") as answer:
        dry, _ = answer()
    memory = memory_launch(stage, "x", workload, stage.pool.next(), 0)
    assert (dry.invalid, memory.invalid) == (None, None)
    peaks = memory.metrics["peak_memory_bytes"]
    assert len(set(peaks)) == 1
    assert dry.metrics["predicted_peak_bytes"] == pytest.approx(peaks[0], rel=0.005)


def test_an_actor_makes_the_ledger_that_this_process_makes(stage):
    workload = TRAINER["gpt2-quick-default"]
    with dry_launch(stage, "x", workload, stage.pool, "candidate") as answer:
        launch, _ = answer()
    host, device = dried(workload), dried(workload, "cuda")
    ledger = launch.ledger
    assert ledger["work"] == collapsed(host["work"])
    assert ledger["memory"] == collapsed(host["memory"])
    assert ledger["cuda_memory"] == collapsed(device["memory"])
    assert launch.metrics["predicted_cuda_peak_bytes"] == device["peak_memory_bytes"]


def test_a_workload_runs_dry_once_and_its_answer_is_kept(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "dry_answers", DryAnswers(tmp_path / "dry"))

    def flops():
        with dry_launch(stage, "x", forward(FLAT, **SMALL), stage.pool, "candidate") as answer:
            return answer()[0].metrics["flops"]

    first = flops()
    (kept,) = (tmp_path / "dry").iterdir()
    answer = json.loads(kept.read_text())
    answer["ledgers"]["cpu"]["flops"] = 1
    kept.write_text(json.dumps(answer))

    assert (first > 1, flops()) == (True, 1)


def test_a_gpu_of_another_kind_gets_a_prediction_of_its_own_beside_the_one_that_is_compared(stage, monkeypatch):
    machine = dataclasses.replace(stage.device.machine, gpu={"capability": (8, 0)})
    monkeypatch.setattr(stage.device, "machine", machine)
    with dry_launch(stage, "x", forward(FLAT, **SMALL), stage.pool, "candidate") as answer:
        launch, _ = answer()
    everywhere, here = launch.metrics["predicted_cuda_peak_bytes"], launch.ledger["here"]
    assert here["workspace_bytes"] == handle_bytes("2.13", (8, 0))
    assert everywhere - here["peak_memory_bytes"] == 32 * MIB - here["workspace_bytes"]
    run = RunFile({"machine": {"device": "cuda"}}, launches=(launch,))
    assert memory_rows(run)[0]["predicted_peak_bytes"] == here["peak_memory_bytes"]


SEVERAL = """
import gc, json, sys
from importlib import import_module
from perfgate.actor.dry_run.run import dry_run
gc.freeze()
for spec, target in json.load(sys.stdin):
    module, _, name = spec["program"].partition(":")
    print(json.dumps(dry_run(getattr(import_module(module), name), spec["params"], target)))
"""
REPEATED = [
    (chosen("gpt2-quick", "lora"), "cpu"),
    (generation(with_layers(MODELS["t5-quick"], 1), **SHORT), "cpu"),
    (forward(FLAT_LLAMA, **SMALL), "cuda"),
]
# After 0, 1, 2 the first order has each of them follow each of them, itself included.
ORDERS = ((2, 0, 2, 1, 1, 0, 0), (2, 1, 0))


@pytest.mark.slice
def test_dry_runs_in_any_order_and_process_are_the_same():
    """Here, after all that ran before; and in a fresh process with another hash seed and number of threads."""
    first = [dry_run(program_of(workload), workload.params, target) for workload, target in REPEATED]
    found = {index: [ledger] for index, ledger in enumerate(first)}
    for index in ORDERS[0]:
        workload, target = REPEATED[index]
        found[index].append(dry_run(program_of(workload), workload.params, target))
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL],
        input=json.dumps([(REPEATED[index][0].order, REPEATED[index][1]) for index in ORDERS[1]]),
        env=os.environ | {"PYTHONHASHSEED": "4242", "OMP_NUM_THREADS": "2"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    for index, line in zip(ORDERS[1], lines, strict=True):
        found[index].append(json.loads(line))
    for expected, *others in found.values():
        assert len(others) >= 3
        assert all(ledger == expected for ledger in others)


# As published with each model (its card, or its paper); BERT with a head of two classes.
PARAMETERS = {
    "gpt2": 124_439_808,
    "bert-large-uncased": 335_143_938,
    "Llama-3.2-1B": 1_235_814_400,
    "Qwen3-0.6B": 596_049_920,
    "t5-base": 222_903_552,
    "vit-base": 86_567_656,
    "whisper-small": 241_734_912,
}


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.slice
def test_weights_take_four_bytes_a_parameter(name):
    model = MODELS[name]
    if "seq2seq-lm" in model.classes:
        workload = generation(model, batch_size=1, prompt_length=4, new_tokens=1)
    else:
        workload = forward(model, batch_size=1, sequence_length=4)
    weights = dried(workload)["memory_by_part_bytes"]["weights"]
    assert 0 <= weights - 4 * PARAMETERS[name] < 2 * 64, "but for whole blocks of the allocator"


def parts(workload, target="cpu"):
    """Bytes at the peak by part."""
    return dried(workload, target)["memory_by_part_bytes"]


@pytest.mark.parametrize(("name", "tensors"), [("Llama-3.2-1B", 146)])
def test_gradients_take_four_bytes_a_parameter_and_adam_eight(name, tensors):
    found = parts(training(MODELS[name], batch_size=2, sequence_length=4))
    assert found["weights"] == found["gradients"] == 4 * PARAMETERS[name]
    assert found["optimizer_state"] == 8 * PARAMETERS[name] + 64 * tensors, "and a counter for each tensor"


WIDTH = 128
QUICK = 2 * 1024 * WIDTH + (12 * WIDTH**2 + 13 * WIDTH) + 2 * WIDTH  # parameters of its one layer and the rest
QUICK_TENSORS = 2 + 12 + 2
TINY = {"batch_size": 1, "sequence_length": 4}  # the peak is in the optimizer


def test_adapters_alone_have_gradients_and_state():
    rank = 8
    linear = [(WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)]
    adapters = sum(rank * (rows + columns) for rows, columns in linear)
    found = parts(training(FLAT, lora_rank=rank, **TINY))
    assert found["weights"] == 4 * (QUICK + adapters)
    assert found["optimizer_state"] == 8 * adapters + 64 * 2 * len(linear)
    assert found["gradients"] <= 4 * adapters


def test_sixteen_bits_take_half():
    full, half = parts(training(FLAT, **TINY)), parts(training(FLAT, precision="bf16", **TINY))
    assert full["weights"] == full["gradients"] == 4 * QUICK
    assert half["weights"] == half["gradients"] == 2 * QUICK
    assert half["optimizer_state"] == 4 * QUICK + 64 * QUICK_TENSORS
    mixed = parts(training(FLAT, precision="bf16-amp", **TINY))
    assert (mixed["weights"], mixed["gradients"]) == (4 * QUICK, 4 * QUICK)


def test_optimizers_differ_in_their_state():
    state = {
        name: parts(training(FLAT, optimizer=name, **TINY))["optimizer_state"]
        for name in ("sgd", "rmsprop", "adagrad", "adamw_torch", "adamw_torch_fused", "adafactor")
    }
    counters = 64 * QUICK_TENSORS
    assert state["sgd"] == 0
    assert state["rmsprop"] == state["adagrad"] == 4 * QUICK + counters
    assert state["adamw_torch"] == state["adamw_torch_fused"] == 8 * QUICK + counters
    assert 0 < state["adafactor"] < QUICK


def test_accumulated_pieces_take_the_memory_of_one_piece():
    whole, piece, pieces = (
        dried(training(GPT2, batch_size=batch, gradient_accumulation=number))["peak_memory_bytes"]
        for batch, number in ((8, 1), (2, 1), (2, 4))
    )
    assert piece <= pieces < 1.2 * piece
    assert pieces < 0.6 * whole


def test_checkpointing_trades_memory_for_work():
    plain, thrifty = (
        dried(training(GPT2, activation_checkpointing=on, batch_size=8, sequence_length=64)) for on in (False, True)
    )
    assert thrifty["memory_by_part_bytes"]["activations"] < 0.6 * plain["memory_by_part_bytes"]["activations"]
    assert thrifty["flops"] > 1.2 * plain["flops"]


def test_each_phase_of_a_step_has_its_own_peak():
    ledger = dried(training(FLAT, **TINY))
    found = ledger["memory_by_phase_bytes"]
    assert list(found) == ["forward", "backward", "optimizer"]
    assert max(sum(parts.values()) for parts in found.values()) == ledger["peak_memory_bytes"]
    assert found["optimizer"] == ledger["memory_by_part_bytes"], "where the peak of so small a batch lies"
    lasting = {(parts["weights"], parts["optimizer_state"]) for parts in found.values()}
    assert lasting == {(4 * QUICK, 8 * QUICK + 64 * QUICK_TENSORS)}
    assert [found[phase]["gradients"] for phase in ("forward", "optimizer")] == [0, 4 * QUICK]
    # The gradients of the first micro-batch lie there during the second one's forward pass.
    pieces = dried(training(FLAT, gradient_accumulation=2, **TINY))["memory_by_phase_bytes"]
    assert pieces["forward"]["gradients"] == 4 * QUICK
    assert list(dried(forward(FLAT, **TINY))["memory_by_phase_bytes"]) == ["forward"]


def test_work_and_state_grow_by_the_same_with_each_layer():
    ledgers = [dried(training(with_layers(GPT2, number), **SMALL)) for number in (2, 4, 6)]
    for name in ("operator_calls", "flops", "read_bytes", "written_bytes"):
        first, second, third = (ledger[name] for ledger in ledgers)
        assert third - second == second - first > 0, name
    first, second, third = (ledger["memory_by_part_bytes"] for ledger in ledgers)
    for part in ("weights", "optimizer_state"):
        assert third[part] - second[part] == second[part] - first[part] > 0, part


def test_the_ledger_adds_up():
    ledger = dried(training(GPT2))
    table = [row for groups in ledger["work"].values() for row in groups.values()]
    assert sum(row[0] for row in table) == ledger["operator_calls"] == sum(ledger["operators"].values())
    assert sum(row[1] for row in table) == ledger["flops"] == sum(ledger["flops_by_group"].values())
    assert sum(row[2] for row in table) == ledger["read_bytes"] + ledger["written_bytes"]
    sizes = [size for places in ledger["memory"].values() for size in places.values()]
    assert sum(sizes) == ledger["peak_memory_bytes"] == sum(ledger["memory_by_part_bytes"].values())


# arXiv:2001.08361, 2.1: forward and backward, two of them each a multiplication and an addition.
def test_a_training_step_takes_six_flops_a_token_and_weight_that_is_in_a_product():
    layers, width, vocabulary, tokens = 2, 128, 1024, 2 * 16
    weights = layers * 12 * width**2 + vocabulary * width
    scores = layers * 2 * width * 16  # a token, in both products of attention
    found = dried(TRAINER["gpt2-quick-default"])["flops_by_group"]["contractions"]
    assert found == 6 * tokens * (weights + scores)


PLAIN_MLP = GPT2MLP.forward
STEP = training(GPT2)


def with_forward(patch, changed):
    """The ledger of a GPT-2 whose feed-forward part does something else."""
    patch.setattr(GPT2MLP, "forward", changed)
    return dry_run(program_of(STEP), STEP.params)


def grown(ledger, name):
    """What the gate says of a metric's growth over the plain step."""
    before, now = (
        {table: collapsed(source[table]) for table in ("work", "memory")} for source in (dried(STEP), ledger)
    )
    return growth(name, before, now)


def test_a_needless_copy_that_autograd_keeps_is_found(monkeypatch):
    def squares(self, hidden):
        copy = hidden.clone()
        return PLAIN_MLP(self, hidden + copy * copy * 0)

    ledger = with_forward(monkeypatch, squares)
    size = 8 * 64 * 128 * 4
    assert ledger["peak_memory_bytes"] >= dried(STEP)["peak_memory_bytes"] + 2 * size
    assert "transformer.h.{0-1}.mlp (activations)" in grown(ledger, "predicted_peak_bytes")
    # One copy; two products and a sum; backward three products and three sums where gradients meet.
    assert "transformer.h.{0-1}.mlp (other) +1 each" in grown(ledger, "operator_calls")
    assert "transformer.h.{0-1}.mlp (element-wise) +" in grown(ledger, "operator_calls")


def test_a_second_call_of_a_linear_layer_is_found(monkeypatch):
    def again(self, hidden):
        self.c_fc(hidden)
        return PLAIN_MLP(self, hidden)

    ledger = with_forward(monkeypatch, again)
    flops = 2 * (8 * 64) * 128 * 512
    assert ledger["flops"] == dried(STEP)["flops"] + 2 * flops
    assert ledger["operator_calls"] == dried(STEP)["operator_calls"] + 2
    assert grown(ledger, "operator_calls") == "grown: transformer.h.{0-1}.mlp.c_fc (contractions) +1 each"
    assert grown(ledger, "flops").startswith("grown: transformer.h.{0-1}.mlp.c_fc (contractions) +")


def test_a_tensor_that_outlives_the_step_is_found(monkeypatch):
    def hoards(self, hidden):
        self.__dict__.setdefault("hoard", []).append(hidden.detach().clone())
        return PLAIN_MLP(self, hidden)

    ledger = with_forward(monkeypatch, hoards)
    size = 8 * 64 * 128 * 4
    assert ledger["peak_memory_bytes"] == dried(STEP)["peak_memory_bytes"] + 2 * size
    expected = f"grown: transformer.h.{{0-1}}.mlp (activations) +{size / 1024:.2f} KiB each"
    assert grown(ledger, "predicted_peak_bytes") == expected


def test_a_wider_type_is_found(monkeypatch):
    def widens(self, hidden):
        return PLAIN_MLP(self, hidden.double().float())

    ledger = with_forward(monkeypatch, widens)
    assert ledger["flops"] == dried(STEP)["flops"]
    assert grown(ledger, "operator_calls") == "grown: transformer.h.{0-1}.mlp (other) +4 each"
    assert grown(ledger, "moved_bytes").startswith("grown: transformer.h.{0-1}.mlp (other) +")


LOOKS = {
    "compared": lambda hidden: hidden.sum().item() > 0,
    "if": lambda hidden: 1 if hidden.sum() > 0 else 2,
    "nonzero": lambda hidden: hidden[hidden > 0],
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_a_module_that_looks_at_its_activations_cannot_run_dry_and_is_named(look, monkeypatch):
    def looks(self, hidden):
        look(hidden)
        return PLAIN_MLP(self, hidden)

    with pytest.raises(NoDryRun, match=r"^transformer\.h\.0\.mlp looks at values that depend on weights"):
        with_forward(monkeypatch, looks)


def test_a_look_in_the_backward_pass_names_the_module_too(monkeypatch):
    def looks(self, hidden):
        hidden.register_hook(lambda gradient: gradient if gradient.sum() > 0 else None)
        return PLAIN_MLP(self, hidden)

    with pytest.raises(NoDryRun, match=r"^transformer\.h\.1\.\S+ looks at values that depend on weights"):
        with_forward(monkeypatch, looks)


def test_an_operator_that_fake_tensors_do_not_support_is_named(monkeypatch):
    with torch.library._scoped_library("perfgate_test", "FRAGMENT") as library:
        library.define("odd(Tensor x) -> Tensor")
        library.impl("odd", lambda x: x.clone(), "CPU")

        def odd(self, hidden):
            return PLAIN_MLP(self, hidden + torch.ops.perfgate_test.odd(hidden.detach()))

        with pytest.raises(NoDryRun, match=r"perfgate_test[.:]+odd"):
            with_forward(monkeypatch, odd)


def test_a_failed_dry_run_leaves_nothing_behind(monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(NoDryRun):
        with_forward(patch, lambda self, hidden: PLAIN_MLP(self, hidden if hidden.sum() > 0 else -hidden))
    assert gc.isenabled()
    assert type(torch.zeros(1)) is torch.Tensor
    workload = TRAINER["gpt2-quick-default"]
    assert dry_run(program_of(workload), workload.params) == dried(workload)


def test_a_program_that_must_not_run_dry_says_so():
    class Alone(Program):
        dry_run = None

    with pytest.raises(NoDryRun, match="program Alone says dry_run = None"):
        dry_run(Alone, {})


MIXTRAL = {
    "model_type": "mixtral",
    "vocab_size": 512,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}


BART = {
    **{"model_type": "bart", "vocab_size": 128, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1},
    **{f"{part}_attention_heads": 2 for part in ("encoder", "decoder")},
    **{f"{part}_ffn_dim": 64 for part in ("encoder", "decoder")},
}
MAMBA = {"model_type": "mamba", "vocab_size": 128, "hidden_size": 32, "num_hidden_layers": 1}


def test_a_decoder_that_makes_its_mask_of_real_numbers_trains_dry():
    bart = Model("bart", {"config": BART}, {"seq2seq-lm": "BartForConditionalGeneration"})
    assert dried(training(bart, **PADDED))["operator_calls"] > 500


def test_a_model_without_keys_and_values_says_why_its_generation_has_no_dry_run():
    mamba = Model("mamba", {"config": MAMBA}, {"causal-lm": "MambaForCausalLM"})
    with pytest.raises(NoDryRun, match="MambaForCausalLM keeps no keys and values, but a state of its own"):
        dried(generation(mamba, **SHORT))


def test_a_mixture_of_experts_in_float32_runs_dry():
    model = {"class": "MixtralForCausalLM", "config": MIXTRAL}
    sizes = {"batch_size": 2, "gradient_accumulation": 1, "sequence_length": 64}
    found = dry_run(AcceleratedLoop, {"model": model, "task": "causal-lm", "seed": 0, **sizes})
    assert found["operators"]["_grouped_mm"] > 0
    assert found["flops"] > 0


@pytest.mark.parametrize("make", [training, generation, forward])
def test_what_is_compiled_does_not_run_dry(make):
    workload = make(GPT2, compile="default")
    with pytest.raises(NoDryRun, match="compile"):
        dried(workload)


EFFICIENT_GROUPS = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 14)
ATTENTION = tuple(f"_scaled_dot_product_{kind}_attention" for kind in ("flash", "efficient", "cudnn"))


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        # Its dropout of a tenth is no multiple of a sixteenth, which cuDNN needs.
        (training(FLAT, precision="bf16", **SMALL), (1, 0, 0)),
        (training(FLAT, precision="bf16-amp", **SMALL), (1, 0, 0)),
        (training(FLAT, **SMALL), (0, 1, 0)),
        (training(with_layers(LLAMA, 1), precision="bf16", **SMALL), (0, 0, 1)),
        (training(with_layers(LLAMA, 1), **SMALL), (0, 1, 0) if EFFICIENT_GROUPS else (0, 0, 0)),
        (training(FLAT, attention="eager", precision="bf16", **SMALL), (0, 0, 0)),
        (generation(FLAT, precision="bf16", **SHORT), (0, 0, 3)),
        (generation(FLAT, precision="bf16", **SHORT | {"batch_size": 1}), (0, 0, 3)),
    ],
    ids=["bf16", "amp", "fp32", "grouped-bf16", "grouped-fp32", "eager", "ragged", "alone"],
)
def test_cuda_chooses_the_attention_kernel(workload, expected):
    operators = dried(workload, "cuda")["operators"]
    assert tuple(operators.get(name, 0) for name in ATTENTION) == expected
    if workload.id == "training.trainer":
        assert tuple(operators.get(f"{name}_backward", 0) for name in ATTENTION) == expected
    if expected == (0, 0, 0):
        assert {"bmm", "mm"} & set(operators)
        assert any("softmax" in name for name in operators)


def test_cudas_dropout_keeps_a_mask_of_one_byte_an_element():
    batch, length, width, layers = 8, 64, 128, 2
    host, device = (
        dried(training(GPT2, batch_size=batch, sequence_length=length), target) for target in ("cpu", "cuda")
    )
    assert device["operators"]["native_dropout"] == 1 + 2 * layers
    assert "bernoulli_" not in device["operators"]
    elements = batch * length * width
    sizes = [ledger["memory"]["transformer.h.0.mlp.dropout"]["activations"] for ledger in (host, device)]
    assert sizes[0] - sizes[1] == (4 - 1) * elements
    assert device["memory_by_part_bytes"]["activations"] < host["memory_by_part_bytes"]["activations"]


@pytest.mark.parametrize(("precision", "kernel"), [("fp32", ATTENTION[1]), ("bf16-amp", ATTENTION[0])])
def test_cuda_checkpoints_with_its_own_operators(precision, kernel):
    plain, thrifty = (
        dried(training(GPT2, activation_checkpointing=on, precision=precision), "cuda") for on in (False, True)
    )
    assert thrifty["operators"]["native_dropout"] == 2 * 2 * 2 + 1
    assert thrifty["operators"][kernel] == 2 * plain["operators"][kernel]
    assert "bernoulli_" not in thrifty["operators"]
    assert thrifty["memory_by_part_bytes"]["activations"] < 0.7 * plain["memory_by_part_bytes"]["activations"]


def test_cudas_optimizer_works_on_lists_with_temporaries_as_large():
    host, device = dried(training(FLAT, **TINY)), dried(training(FLAT, **TINY), "cuda")
    assert device["operators"]["_foreach_addcdiv_"] == 2, "a group with and one without weight decay"
    assert host["operators"]["addcdiv_"] == QUICK_TENSORS
    assert "addcdiv_" not in device["operators"]
    temporaries = device["memory"]["optimizer"]["temporaries"]
    assert 0.95 * 4 * QUICK < temporaries < 1.05 * 4 * QUICK
    assert host["memory"]["optimizer"]["temporaries"] <= 3 * 4 * 1024 * 128
    fused = dried(training(FLAT, optimizer="adamw_torch_fused", **TINY), "cuda")
    assert fused["operators"]["_fused_adamw_"] == 2


def test_step_counters_lie_on_the_device_only_when_fused():
    assert parts(training(FLAT, **TINY), "cuda")["optimizer_state"] == 8 * QUICK
    fused = parts(training(FLAT, optimizer="adamw_torch_fused", **TINY), "cuda")
    assert fused["optimizer_state"] == 8 * QUICK + 512 * QUICK_TENSORS


def test_cuda_hands_out_blocks_of_512_bytes():
    workload = training(MODELS["bert-quick"], batch_size=3, sequence_length=7)
    device, host = (
        [size for places in dried(workload, target)["memory"].values() for size in places.values()]
        for target in ("cuda", "cpu")
    )
    assert {size % 512 for size in device} == {0}
    assert {size % 64 for size in host} == {0} != {size % 512 for size in host}


def test_workspaces_depend_on_the_gpu_and_on_the_backward_pass():
    step, one = training(FLAT, **TINY), forward(GPT2, batch_size=1, sequence_length=4)
    for workload, threads in ((step, 2), (one, 1)):
        assert dried(workload, "cuda")["memory"]["workspaces"] == {"temporaries": threads * 32 * MIB}
        older = dry_run(program_of(workload), workload.params, "cuda", capability=(8, 0))
        assert older["memory"]["workspaces"] == {"temporaries": threads * (8 * MIB + MIB // 8)}
        difference = dried(workload, "cuda")["peak_memory_bytes"] - older["peak_memory_bytes"]
        assert difference == threads * (32 * MIB - 8 * MIB - MIB // 8)
        assert "workspaces" not in dried(workload)["memory"]


@pytest.mark.parametrize(
    ("version", "capability", "mebibytes"),
    [
        ("2.14.1+cu130", (8, 9), 8.125),
        ("2.6.0", (9, 0), 32),
        ("2.11.0+cu128", (10, 0), 8.125),
        ("2.12.0+cu130", (10, 3), 32),
        ("2.12.0+cu130", (12, 0), 32),
        ("2.14.1+cu130", (11, 0), 8.125),
    ],
)
def test_workspaces_follow_the_version_of_torch_and_the_card(version, capability, mebibytes):
    assert handle_bytes(version, capability) == mebibytes * MIB


@pytest.mark.parametrize(
    ("workload", "handles"),
    [
        (operator("softmax"), 0),
        (operator("softmax", direction="backward"), 0),
        (operator("attention", precision="bf16"), 0),
        (operator("matmul"), 1),
        (operator("matmul", direction="backward"), 2),
        (recurrent_training(), 2),
    ],
)
@pytest.mark.slice
def test_each_pass_with_products_of_matrices_has_a_workspace_and_no_other_has_one(workload, handles):
    found = dried(workload, "cuda")["memory"]
    assert found.get("workspaces", {"temporaries": 0})["temporaries"] == handles * 32 * MIB


FLOAT32 = {
    "softmax": lambda x: functional.softmax(x, -1),
    "softmax method": lambda x: x.softmax(-1),
    "log_softmax": lambda x: functional.log_softmax(x, -1),
    "layer_norm": lambda x: functional.layer_norm(x, (4,)),
    "LayerNorm": lambda x: torch.nn.LayerNorm(4)(x),
    "cross_entropy": lambda x: functional.cross_entropy(x, torch.zeros(4, dtype=torch.int64)),
    "mse_loss": lambda x: functional.mse_loss(x, x),
    "normalize": lambda x: functional.normalize(x),
    "**": lambda x: x**2,
    "2 **": lambda x: 2**x,
    "pow": lambda x: torch.pow(x, 2),
    "1 /": lambda x: 1 / x,
    "exp": lambda x: x.exp(),
    "rsqrt": lambda x: torch.rsqrt(x),
    "sum": lambda x: x.sum(),
    "cumsum": lambda x: x.cumsum(-1),
    "norm": lambda x: x.norm(),
    "logsumexp": lambda x: x.logsumexp(-1),
    "interpolate": lambda x: functional.interpolate(x[None, None], scale_factor=2),
}
LOW = {
    "linear": lambda x: functional.linear(x.float(), x.float()),
    "@": lambda x: x.float() @ x.float(),
    "attention": lambda x: functional.scaled_dot_product_attention(*[x.float()[None, None]] * 3),
    "gelu": lambda x: functional.gelu(x),
    "+": lambda x: x + x,
    "mean": lambda x: x.mean(),
    "interpolate area": lambda x: functional.interpolate(x[None, None], scale_factor=0.5, mode="area"),
    "sum in 16 bits": lambda x: x.sum(dtype=torch.bfloat16),
}


@pytest.mark.parametrize(
    ("run", "dtype"),
    [*((run, torch.float32) for run in FLOAT32.values()), *((run, torch.bfloat16) for run in LOW.values())],
    ids=[*FLOAT32, *LOW],
)
def test_under_cudas_autocast_functions_run_in_its_types(run, dtype):
    rules = CudaRules()
    with torch._subclasses.FakeTensorMode(), rules.functions(), rules.autocast(torch.bfloat16):
        assert run(torch.empty((4, 4), dtype=torch.bfloat16)).dtype == dtype


def test_cudas_autocast_has_an_end():
    rules = CudaRules()
    x = torch.ones((4, 4), dtype=torch.bfloat16)
    with rules.functions():
        with rules.autocast(torch.bfloat16):
            pass
        assert x.softmax(-1).dtype == torch.bfloat16
        assert (x.float() @ x.float()).dtype == torch.float32


@pytest.mark.parametrize("name", TRAINED)
def test_cuda_multiplies_as_the_host_does_outside_of_attention(name):
    workload = TRAINER[f"{name}-default"]
    host, device = (
        {
            path: groups["contractions"][1]
            for path, groups in dried(workload, target)["work"].items()
            if "contractions" in groups
        }
        for target in ("cpu", "cuda")
    )
    other = {path for path in host | device if host.get(path) != device.get(path)}
    assert all(re.search(r"(attn|attention\.self|SelfAttention|EncDecAttention)$", path) for path in other), other
    assert sum(host.values()) > 10 * sum(host[path] for path in other)
