"""The allocator of the dry run, held against torch's own on an emulated card."""

import json
from pathlib import Path

import pytest

from perfgate.actor.dry_run.caching_allocator import CachingAllocator

TABLES = [json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "blocks").glob("*.json"))]
MIB = 1 << 20


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table["torch"])
def test_it_holds_what_torch_holds_after_each_of_thousands_of_requests(table):
    allocator = CachingAllocator()
    for number, size, allocated, reserved in table["rows"]:
        if size:
            allocator.take(number, size)
        else:
            allocator.give_back(number)
        assert (allocator.allocated_bytes, allocator.reserved_bytes) == (allocated, reserved)
    assert len(table["rows"]) > 1000
