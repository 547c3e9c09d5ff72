"""Sends recorded requests to torch's caching allocator to the dry run's allocator."""

from collections.abc import Iterable

from perfgate.actor.dry_run.caching_allocator import CachingAllocator


def hold_the_same(rows: Iterable[tuple[int, int, int, int]]) -> None:
    """Assert that it holds the same memory as torch after each request or release, a row of ``benchmarks.blocks``."""
    allocator = CachingAllocator()
    for number, size, allocated_bytes, reserved_bytes in rows:
        if size:
            allocator.take(number, size)
        else:
            allocator.give_back(number)
        assert (allocator.allocated_bytes, allocator.reserved_bytes) == (allocated_bytes, reserved_bytes)
