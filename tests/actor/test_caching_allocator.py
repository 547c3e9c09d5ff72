"""The allocator of the dry run, held against torch's own on an emulated card."""

import json
from pathlib import Path

import pytest

from perfgate.actor.dry_run.caching_allocator import CachingAllocator, peaks
from tests.support.blocks import hold_the_same

TABLES = [json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "blocks").glob("*.json"))]
MIB = 1 << 20


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table["torch"])
def test_it_holds_what_torch_holds_after_each_of_thousands_of_requests(table):
    hold_the_same(table["rows"])
    assert len(table["rows"]) > 1000


def test_a_large_block_keeps_a_rest_that_is_not_worth_splitting_off():
    allocator = CachingAllocator()
    allocator.take(0, 12 * MIB)
    allocator.give_back(0)
    allocator.take(1, 11 * MIB)
    assert (allocator.allocated_bytes, allocator.reserved_bytes) == (12 * MIB, 12 * MIB)
    allocator.give_back(1)
    allocator.take(2, 10 * MIB)
    assert (allocator.allocated_bytes, allocator.reserved_bytes) == (10 * MIB, 12 * MIB)


def test_what_a_step_leaves_behind_is_what_the_next_one_releases():
    # Of 16 MiB for 15 MiB the rest is too small to be split off; the last 15 MiB take the place of the first.
    asked, freed = [15 * MIB, 30 * MIB, 15 * MIB], [2, 3, -1]
    found = peaks(asked, freed, before=1, held=[(1, 32 * MIB)])
    assert found == {"allocated": (32 + 16 + 30) * MIB, "reserved": (32 + 16 + 30) * MIB}


@pytest.mark.parametrize(("when", "reserved"), [(0, 20 + 20), (2, 12 + 20)], ids=["before", "within"])
def test_where_the_first_step_takes_a_workspace_decides_what_fits_beside_it(when, reserved):
    # Taken before all else, it leaves 12 MiB of its segment to the weights, and none to the step.
    asked, freed = [12 * MIB, 4 * MIB, 6 * MIB], [-1, 3, 3]
    found = peaks(asked, freed, before=1, held=[(when, 8 * MIB)])
    assert found == {"allocated": 30 * MIB, "reserved": reserved * MIB}


@pytest.mark.parametrize(("made_first", "reserved"), [({}, 20 + 12), ({0: 3, 1: 3}, 12 + 12)], ids=["before", "within"])
def test_state_that_the_optimizer_makes_takes_the_room_that_activations_left(made_first, reserved):
    # 11 MiB are too much of 12 to split the rest off; two times 5 MiB are not.
    asked, freed = [5 * MIB, 5 * MIB, 11 * MIB], [-1, -1, 3]
    found = peaks(asked, freed, before=2, made_first=made_first)
    assert found == {"allocated": 22 * MIB, "reserved": reserved * MIB}


def test_where_a_step_leaves_other_sizes_behind_than_it_released_it_is_taken_once():
    asked, freed = [15 * MIB, 40 * MIB], [2, -1]
    assert peaks(asked, freed, before=1)["allocated"] == (16 + 40) * MIB


def test_nothing_is_handed_out_for_no_bytes():
    assert peaks([0, 512], [-1, 2], before=1) == {"allocated": 512, "reserved": 2 * MIB}
