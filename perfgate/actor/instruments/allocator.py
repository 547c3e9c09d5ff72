"""The state of the GPU's caching allocator at a launch's end: blocks in use, free blocks, and fragmentation."""

from collections import Counter
from typing import Any

from perfgate.actor.instrument import Instrument

LARGEST = 10


class Allocator(Instrument):
    """Reads the finding ``allocator``; there is none on a device without a caching allocator."""

    passes = frozenset({"memory"})

    def findings(self) -> dict[str, Any]:
        """Sum up the allocator's snapshot."""
        segments = self.device.segments()
        return {"allocator": summary(segments)} if segments else {}


def summary(segments: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum up a snapshot of the allocator.

    Args:
        segments: as ``torch.cuda.memory_snapshot()`` lists them
            (https://docs.pytorch.org/docs/stable/torch_cuda_memory.html#snapshot-api-reference).

    Returns:
        Bytes and number of blocks by their state (``active_allocated`` is in use, ``inactive`` is free), the largest
        free block, and the sizes of the largest blocks in use.
    """
    sizes: Counter[str] = Counter()
    blocks: Counter[str] = Counter()
    used: list[int] = []
    free = [0]
    for segment in segments:
        for block in segment["blocks"]:
            state = block["state"]
            sizes[state] += block["size"]
            blocks[state] += 1
            (free if state == "inactive" else used).append(block["size"])
    return {
        "segments": len(segments),
        "bytes_by_state": dict(sorted(sizes.items())),
        "blocks_by_state": dict(sorted(blocks.items())),
        "largest_free_bytes": max(free),
        "largest_used_bytes": sorted(used, reverse=True)[:LARGEST],
    }


INSTRUMENT = Allocator
