"""Exact metrics through the front door: stored by versions, gated without a device, and named by module."""

import shutil
import sys

import pytest

from perfgate.records.portable import pair_of
from perfgate.records.runfile import read
from perfgate.system.provenance import software

pytestmark = pytest.mark.untimed

NONE = ("--perf-device", "none")
FAULTS = """
@pytest.mark.parametrize("fault", ["copy", "call", "keep", "none"])
def test_fault(perf, fault):
    perf(stack(fault=fault if fault != "none" else None))
"""
LOOKS = """
def test_looks(perf):
    perf(stack(fault="looks"))

def test_plain(perf):
    perf(stack())
"""
STACK = """
def stack(**params):
    return Workload("torch_programs:Stack", params)
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder for what the tests of this file share."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def stored(exact, kept):
    """Such a suite with its exact metrics stored, which the first test that asks for it does for all."""
    exact.write(STACK + FAULTS + LOOKS)
    if not list(kept.iterdir()):
        exact.run(*NONE, "--perf-update", "new").assert_outcomes(passed=6)
        shutil.copytree(exact.path / "baselines", kept / "baselines")
    shutil.copytree(kept / "baselines", exact.path / "baselines", dirs_exist_ok=True)
    return exact


def switch(suite, on=True):
    """Put the faults that programs were asked for into force."""
    marker = suite.path / "faulty"
    marker.write_text("") if on else marker.unlink()


@pytest.mark.slice
def test_what_is_not_stored_yet_is_new_in_every_worker_and_the_command_that_stores_it_is_named(exact):
    exact.write(STACK + FAULTS)
    first = exact.run(*NONE, "-n", "2", "-k", "copy or none")
    first.assert_outcomes(passed=2)
    first.stdout.fnmatch_lines(
        ["*6 exact metrics new*", "*Store it with: pytest * perf_tests --perf-device none * --perf-update new"]
    )


@pytest.mark.slice
def test_a_fault_in_the_forward_pass_fails_its_case_and_is_named_by_module(stored):
    (path,) = stored.portable
    assert path.relative_to(stored.path / "baselines").parts == ("portable", pair_of(software()), "test_case.json")
    switch(stored)
    result = stored.run(*NONE, "-k", "fault")
    result.assert_outcomes(failed=3, passed=1)
    case = "test_case.py::test_fault"
    result.stdout.fnmatch_lines_random(
        [
            f"*{case}[[]copy]: operator_calls got worse by *grown: second (other) +1*",
            "moved_bytes got worse by *grown: second (other) +1.00 KiB*",
            f"*{case}[[]call]: operator_calls got worse by *grown: second.linear (contractions) +1*",
            "flops got worse by *grown: second.linear (contractions) +*",
            f"*{case}[[]keep]: leaked_bytes got worse (512 B, baseline 0 B; "
            "*grown: second.linear (activations) +512 B)*",
            f"*Accept it with: pytest 'perf_tests/{case}[[]keep]' --perf-device none --perf-update all *",
        ]
    )


@pytest.mark.slice
def test_a_change_that_stops_the_dry_run_fails_until_it_is_accepted(stored):
    switch(stored)
    result = stored.run(*NONE, "-n", "1", "-k", "looks or plain")
    result.assert_outcomes(failed=1, passed=1)
    reason = "no dry run: second looks at values that depend on weights (bool at torch_programs.py:*)"
    result.stdout.fnmatch_lines(
        [
            f"dry_run is lost, and with it all exact metrics ({reason})",
            "Accept it with: *test_looks --perf-device none --perf-update all --perf-reason *",
            "Decided: all *.",
        ]
    )
    stored.run(*NONE, "-k", "looks", "--perf-update", "all", "--perf-reason", "it looks").assert_outcomes(passed=1)
    after = stored.run(*NONE, "-k", "looks or plain")
    after.assert_outcomes(skipped=1, passed=1)
    after.stdout.fnmatch_lines(["Decided: * of *; not decided: 1 invalid."])


def test_a_damaged_portable_baseline_is_one_sentence_with_the_file(stored):
    (path,) = stored.portable
    path.write_text("{")
    result = stored.run(*NONE, "-k", "none")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{path.relative_to(stored.path)}*"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("./nowhere", "--perf-ref is './nowhere'; it is no Python interpreter, no folder of an environment, and no *"),
        ("./python", "--perf-ref */python: nothing differs between the two interpreters, both have *torch *"),
        ("./bare", "--perf-ref */bare lacks torch and transformers; install what is missing: */bare -m pip install *"),
    ],
)
def test_a_reference_that_cannot_serve_is_refused_before_the_first_case(exact, reference, message):
    bare = f'#!/bin/sh\nexec {sys.executable} -S "$@"\n'
    for name, text in (("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n'), ("bare", bare)):
        (exact.path / name).write_text(text)
        (exact.path / name).chmod(0o755)
    # A case of Perfgate's own programs needs its libraries; one of the user's needs what it imports.
    exact.write(STACK + "def test_it(perf, forward):\n    perf(stack())")
    result = exact.run(*NONE, "--perf-ref", reference)
    result.stderr.fnmatch_lines([f"*{message}*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


COUNTED = """
@pytest.mark.parametrize("compiled, fault", [(False, "item"), (True, "break")])
def test_counted(perf, compiled, fault):
    perf(stack(fault=fault, compiled=compiled))
"""


@pytest.mark.slice
def test_a_read_of_a_value_and_a_graph_break_are_counted_and_named_by_module(exact):
    exact.write(STACK + COUNTED)
    # Each actor would import the compiler again.
    options = ("--perf-launches", "1", "-o", "perf_preload=torch_programs perfgate.actor.dry_run.run torch._dynamo")
    exact.run(*options, "--perf-update", "new").assert_outcomes(passed=2)
    switch(exact)
    result = exact.run(*options)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "*[[]False-item]: host_syncs got worse (1, baseline 0; *grown: second (item at torch_programs.py:*) +1)*",
            "graph_breaks got worse (*, baseline 0; *first or one of 1 like it (*graph_break*) +*)",
        ]
    )


ITEMIZED = """
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP
original = GPT2MLP.forward


def forward(self, hidden_states):
    hidden_states[0, 0, 0].item()
    return original(self, hidden_states)


GPT2MLP.forward = forward

from transformers import PreTrainedModel

for name in ("activation_checkpointing_enable", "gradient_checkpointing_enable"):
    setattr(PreTrainedModel, name, lambda *_, **__: None)
"""
REAL = """
from perfgate.workloads.models.model import Model

CONFIG = {"model_type": "gpt2", "vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}
GPT2 = Model("gpt2", {"config": CONFIG}, {"causal-lm": "GPT2LMHeadModel"})


def test_training(perf, training):
    perf(training(GPT2, batch_size=2, sequence_length=16))

def test_generation(perf, generation):
    perf(generation(GPT2, prompt_length=8, new_tokens=3))

def test_forward(perf, forward):
    perf(forward(GPT2, batch_size=2, sequence_length=16))

def test_other(perf, training):
    perf(training(GPT2, activation_checkpointing=True))
"""


@pytest.mark.slice
def test_reads_in_a_real_model_are_counted_in_every_kind_of_program_and_other_settings_are_invalid(suite):
    (suite.path / "itemized.py").write_text(ITEMIZED)
    suite.write(REAL)
    result = suite.run("--perf-launches", "1", "-o", "perf_preload=itemized", "-rs")
    result.assert_outcomes(passed=3, skipped=1)
    wrong = "asked for activation_checkpointing=True, in force is False"
    result.stdout.fnmatch_lines([f"*test_other could not be measured: {wrong}*"])
    (file,) = suite.run_files
    found = read(file).by_case()
    for name, times in (("training", 1), ("generation", 3), ("forward", 1)):
        (counters,) = [x for x in found[f"test_case.py::test_{name}"] if x.pass_name == "counters"]
        assert counters.value("host_syncs") >= 2 * times
        assert list(counters.ledger["host_syncs"]["transformer.h.{0-1}.mlp"].items()) == [
            ("item at itemized.py:7", times)
        ]
    other = found["test_case.py::test_other"]
    assert all(launch.invalid for launch in other), "the exact metrics of other settings must not be stored"


@pytest.mark.slice
def test_a_promise_that_a_dry_run_cannot_hold_is_told_and_counted_beside_the_others(exact):
    exact.write(
        """
def test_both(effect):
    sides = (Workload("torch_programs:Stack", {"width": width}) for width in (16, 32))
    effect(*sides, flops="> 2x", step_time_s="> 1.1x", peak_memory_bytes="> 1.1x")
"""
    )
    result = exact.run(*NONE)
    result.assert_outcomes(passed=1)
    why = "(a dry run does not measure it; leave out --perf-device none)"
    result.stdout.fnmatch_lines(
        [
            f"*ok test_case.py::test_both: flops *, promised > 2x pass; step_time_s, peak_memory_bytes invalid {why}*",
            "Decided: 1 of 3; not decided: 2 invalid.",
        ]
    )
    assert {verdict.metric: verdict.verdict for verdict in read(exact.run_files[-1]).verdicts} == {
        "flops": "pass", "step_time_s": "invalid", "peak_memory_bytes": "invalid"
    }  # fmt: skip


ON_THREADS = """
import queue, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import torch
from perfgate.actor.programs.base import Program

class Pooled(Program):
    def __init__(self, device):
        self.weights = torch.ones(64, 64, device=device.torch_device)
        self.pool = ThreadPoolExecutor(1)
        self.apart = Path("grown").exists()

    def step(self):
        if self.apart:
            return self.pool.submit(self.multiplied).result()
        return self.multiplied()

    def multiplied(self):
        found = self.weights @ self.weights
        found.sum().item()
        return found
"""


@pytest.mark.slice
@pytest.mark.parametrize("device", ["none", "cpu"])
def test_work_that_moved_to_a_thread_of_its_own_is_not_taken_for_less_work(exact, device):
    (exact.path / "on_threads.py").write_text(ON_THREADS)
    exact.write("def test_it(perf):\n    perf(Workload('on_threads:Pooled', {}))")
    arguments = ("--perf-device", device, "--perf-launches", "0")
    exact.run(*arguments, "--perf-update", "new").assert_outcomes(passed=1)
    (exact.path / "grown").touch()
    moved = exact.run(*arguments)
    moved.assert_outcomes(failed=1)
    lost = "*dry_run is lost, * (no dry run: Pooled computes on a thread of its own, at *.py:*"
    moved.stdout.fnmatch_lines([lost])
    if device == "cpu":
        moved.stdout.fnmatch_lines(["*peak_memory_bytes is undecided (stored, but not measured in this run)"])


@pytest.mark.slice
def test_a_case_for_which_no_time_was_left_says_when_its_exact_metrics_were_stored(exact):
    (exact.path / "on_threads.py").write_text(ON_THREADS)
    exact.write(
        "@pytest.mark.parametrize('number', [1, 2])\n"
        "def test_it(perf, number):\n    perf(Workload('on_threads:Pooled', {}))"
    )
    exact.run("--perf-device", "none", "--perf-update", "new").assert_outcomes(passed=2)
    short = exact.run("--perf-device", "none", "--perf-budget", "0.1s")
    short.assert_outcomes(passed=1, skipped=1)
    short.stdout.fnmatch_lines(["*the run's time was spent before it began; last measured on 20*"])
