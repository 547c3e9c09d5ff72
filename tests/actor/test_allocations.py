"""The allocator's record of a step: what is held at the peak, and what stays."""

from typing import Any

from perfgate.actor.allocations import BACKWARD, Record, record_of
from perfgate.actor.tables import total

BEFORE = [
    {
        "blocks": [
            {"address": 1, "size": 100, "state": "active_allocated"},
            {"address": 2, "size": 9, "state": "inactive"},
        ]
    }
]


def entry(action: str, address: int = 0, size: int = 0, line: str = "") -> dict[str, Any]:
    """An entry of the allocator's record."""
    return {"action": action, "addr": address, "size": size, "frames": line}


def replayed(*trace: dict[str, Any]) -> Record:
    """A record, whose places are the lines themselves."""
    return record_of(BEFORE, trace, lambda line: ("a.py", line) if line else BACKWARD)


STEP = (
    entry("segment_alloc", 10, 64, "forward:1"),
    entry("alloc", 10, 30, "forward:1"),
    entry("alloc", 11, 20, "forward:2"),
    entry("free_completed", 11),
    entry("alloc", 12, 50),
    entry("free_completed", 10),
    entry("alloc", 13, 5, "forward:3"),
)


def test_what_is_held_at_the_peak_is_told_by_part_and_line() -> None:
    by_line, by_part = replayed(*STEP).at_peak({1: "weights", 12: "gradients"})

    assert by_part == {"activations": 30, "gradients": 50, "weights": 100}
    assert by_line == {
        "": {"weights": 100},
        "a.py": {"activations at forward:1": 30},
        "backward pass": {"gradients at autograd": 50},
    }


def test_blocks_and_calls_of_the_driver_are_counted_by_line() -> None:
    record = replayed(*STEP)

    assert record.made() == {"a.py": {"forward:1": 1, "forward:2": 1, "forward:3": 1}, "backward pass": {"autograd": 1}}
    assert record.asked == {"a.py": {"forward:1": 1}}
    assert total(record.made()) == 4


def test_a_result_that_goes_after_the_step_is_not_kept() -> None:
    record = replayed(*STEP)

    assert record.kept_bytes({12, 13}) == 55
    assert record.kept({12}) == {"backward pass": {"autograd": 50}}
    assert record.kept_bytes({12}) == 50


def test_what_replaces_something_is_not_kept() -> None:
    record = replayed(entry("free_completed", 1), entry("alloc", 1, 120, "forward:9"))

    assert record.kept_bytes({1}) == 20
