"""Workloads of the host alone: what they take, and what they refuse."""

import pytest

from perfgate.shared.errors import UserError
from perfgate.workloads.data import reading, tokenizing


def test_defaults_are_left_out_and_the_vanilla_workload_is_the_same_work() -> None:
    workload = tokenizing("convert", added_tokens=3000, tokenizer="fast")
    assert workload.params == {"what": "convert", "seed": 0, "texts": 32, "words": 32, "added_tokens": 3000}
    assert workload.vanilla == tokenizing("convert").sha256
    assert reading("map").vanilla != reading("rows").vanilla


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: tokenizing("encoding"), "tokenizing: unknown work 'encoding'; it may be encode, decode"),
        (lambda: reading("rows", processes=2), "processes=2 is a setting of map and loader"),
        (lambda: reading("map", format="numpy"), "format='numpy' is a setting of column, rows"),
        (lambda: reading("rows", batched=False), "batched=False is a setting of map"),
    ],
)
def test_what_does_not_go_together_is_refused(build, message) -> None:
    with pytest.raises(UserError, match=message):
        build()
