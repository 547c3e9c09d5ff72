"""The snapshot of CUDA's allocator in a few numbers; the list is as torch documents it."""

from perfgate.actor.instruments.allocator import summary


def test_a_snapshot_is_told_by_state_with_its_largest_blocks():
    def blocks(*pairs):
        return [{"state": state, "size": size} for state, size in pairs]

    segments = [
        {"blocks": blocks(("active_allocated", 512), ("inactive", 1536))},
        {"blocks": blocks(("active_allocated", 4096), ("active_awaiting_free", 1024), ("inactive", 512))},
    ]
    found = summary(segments)
    assert found["segments"] == 2
    assert found["bytes_by_state"] == {"active_allocated": 4608, "active_awaiting_free": 1024, "inactive": 2048}
    assert found["blocks_by_state"] == {"active_allocated": 2, "active_awaiting_free": 1, "inactive": 2}
    assert found["largest_free_bytes"] == 1536
    assert found["largest_used_bytes"] == [4096, 1024, 512]


def test_an_allocator_that_holds_nothing_has_a_snapshot_too():
    found = summary([])
    assert (found["segments"], found["largest_free_bytes"], found["largest_used_bytes"]) == (0, 0, [])
