"""Batches between two that were run dry are worked out, and are what a dry run of them finds."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from perfgate.predict.dry_runs import DryRuns
from perfgate.predict.gpu_catalog import find_gpu
from perfgate.predict.growth import Growth, Trace
from perfgate.predict.memory_fit import StepCost
from perfgate.predict.predict import dry_runs
from perfgate.predict.question import Question
from perfgate.shared.cuda_reductions import Reduction
from perfgate.workloads.models.model import Model
from perfgate.workloads.models.shapes import find_shape

FEW = {"n_layer": 2, "num_hidden_layers": 2, "num_layers": 2, "encoder_layers": 2, "decoder_layers": 2}
GPU = find_gpu("L4")
STEPS: list[tuple[str, str, dict[str, Any]]] = [
    ("gpt2", "train", {}),
    ("gpt2", "train", {"precision": "bf16-amp", "optimizer": "adafactor"}),
    ("gpt2", "train", {"seq_len": 512}),  # the sums of gradients reach the bound of what they take
    ("gpt2", "train", {"activation_checkpointing": True, "gradient_accumulation": 5}),
    ("Llama-3.2-1B", "train", {"precision": "bf16", "activation_checkpointing": "offload"}),
    ("t5-base", "train", {}),
    ("vit-base", "train", {"optimizer": "sgd"}),
    ("Llama-3.2-1B", "forward", {}),
    ("gpt2", "generate", {"new_tokens": 3}),
    ("whisper-small", "generate", {"new_tokens": 3}),
]


def small(name: str) -> Model:
    """A known shape with two layers."""
    model = find_shape(name)
    config = model.source["config"]
    return replace(model, source={"config": {**config, **{key: few for key, few in FEW.items() if key in config}}})


@pytest.fixture(scope="module")
def dry() -> Iterator[DryRuns]:
    """A server that has imported the programs of all modes."""
    first = Question.of_options(find_shape("gpt2"), None, "train", {"batch_size": 1, "seq_len": 8})
    more = [f"perfgate.actor.programs.{name}" for name in ("forward", "generation")]
    with dry_runs(first.workload, GPU, more) as taking:
        yield taking


@pytest.mark.parametrize(("name", "mode", "settings"), STEPS, ids=str)
@pytest.mark.slice
def test_what_is_worked_out_is_what_a_dry_run_finds(
    name: str, mode: str, settings: dict[str, Any], dry: DryRuns
) -> None:
    length = {} if name == "vit-base" else {"seq_len": 16}
    sizes = [Question.of_options(small(name), None, mode, {"batch_size": n, **length, **settings}) for n in (2, 5, 9)]
    before = dry.taken

    dry.prepare(sizes)
    worked_out = dry.of(sizes[1])

    assert dry.taken - before == (4 if settings.get("gradient_accumulation", 1) > 3 else 2)
    found = DryRuns(dry.pool, GPU).of(sizes[1])
    assert worked_out.roofline_s == pytest.approx(found.roofline_s)
    assert replace(worked_out, roofline_s=None) == replace(found, roofline_s=None, in_blocks={})


@pytest.mark.slice
def test_a_step_of_another_kind_is_run_dry(dry: DryRuns) -> None:
    # With a single sample some tensors need not be copied.
    sizes = [
        Question.of_options(small("gpt2"), None, "train", {"batch_size": n, "seq_len": 8, "lora_rank": 4})
        for n in (1, 2, 4, 8)
    ]
    before = dry.taken

    dry.prepare(sizes)

    assert dry.taken - before == 3
    one = DryRuns(dry.pool, GPU).of(sizes[0])
    assert dry.of(sizes[0]) == one


def trace(asked: list[int], freed: list[int], before: int = 1, flops: int = 10, rows: int = 0) -> Trace:
    """A trace of activations, and of one product; with rows, the second allocation is that of summing so many."""
    parts = np.full(len(asked), 4)
    work = np.array([flops]), np.array([1])
    sums = {1: Reduction((rows, 2304), (2304, 1), (0,), 4, (8, 0))} if rows else {}
    return Trace(10, 7, before, np.array(asked), np.array(freed), parts, sums, ("contractions",), ("bfloat16",), *work)


def test_the_peak_moves_from_one_moment_to_another_as_the_batch_grows() -> None:
    # One allocation that stays, one that is large for small batches, and one that grows and comes after it.
    one, nine = trace([5, 100, 20], [3, 2, 3]), trace([5, 100, 180], [3, 2, 3], flops=90)
    growth = Growth.between({1: one, 9: nine})

    assert growth is not None
    costs = [growth.trace(size).cost({"float32": 1.0, "bfloat16": 2.0, "bytes_per_s": 1.0}) for size in (1, 4, 5, 9)]
    assert [cost.peak_memory_bytes for cost in costs] == [117, 117, 117, 197]
    assert [cost.flops for cost in costs] == [10, 40, 50, 90]
    assert [cost.roofline_s for cost in costs] == [5, 20, 25, 45]


@pytest.mark.parametrize(
    "other", [trace([5, 100], [2, 2]), trace([5, 100, 20], [3, 3, 3]), trace([5, 101, 20], [3, 2, 3])]
)
def test_steps_that_are_not_alike_say_nothing_of_others(other: Trace) -> None:
    assert Growth.between({1: trace([5, 100, 20], [3, 2, 3]), 9: other}) is None
    assert Growth.between({1: other}) is None


def test_what_a_sum_takes_grows_up_to_a_bound() -> None:
    # Both ends differ by a multiple of the difference of the batches, although the sizes are not on a line.
    eight, sixteen = (trace([5, bytes_, 20], [3, 2, 3], rows=512 * n) for n, bytes_ in ((8, 75497544), (16, 113246280)))
    growth = Growth.between({8: eight, 16: sixteen})

    assert growth is not None
    taken = {size: int(growth.trace(size).asked_bytes[1]) for size in (1, 8, 9, 12, 16, 32)}
    assert taken == {1: 0, 8: 75497544, 9: 84934728, 12: 113246280, 16: 113246280, 32: 113246280}
    assert Growth.between({8: eight, 16: trace([5, 113246280, 20], [3, 2, 3])}) is None


def test_what_is_alive_at_the_beginning_can_be_the_peak() -> None:
    cost: StepCost = trace([50, 30, 10], [2, 2, 3], before=2).cost(None)
    assert cost.peak_memory_bytes == 87
    assert cost.roofline_s is None
