"""Reads the allocator's record of a step: who asked for memory, which memory stays, and which is held at the peak.

The record is that of ``torch.cuda.memory._snapshot()``
(https://docs.pytorch.org/docs/stable/torch_cuda_memory.html#snapshot-api-reference).
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from perfgate.actor.tables import Table, table

BACKWARD = "backward pass", "autograd"
PIECES = {"device": ("segment_alloc", "segment_map"), "freed": ("segment_free", "segment_unmap")}


@dataclass(frozen=True)
class Block:
    """A block of memory that the allocator gave out.

    Attributes:
        address: its address.
        size_bytes: its size.
        made: the position in the record at which it was given out; -1 if that was before the step.
        freed: the position at which it was freed; ``None`` if it stays.
        place: the file, and the function with its line; ``BACKWARD`` if a thread without Python made it.
    """

    address: int
    size_bytes: int
    made: int = -1
    freed: int | None = None
    place: tuple[str, str] = ("", "")

    def held_at(self, position: int) -> bool:
        """Whether it is in use at a position in the record."""
        return self.made <= position and (self.freed is None or self.freed > position)


@dataclass(frozen=True)
class Record:
    """A step's record.

    Attributes:
        blocks: the blocks in the order in which they were given out, those from before the step first.
        asked: by place, how often the allocator took memory from the driver or returned it.
    """

    blocks: Sequence[Block]
    asked: Table

    def made(self) -> Table:
        """The number of blocks that the step took, by place."""
        return table((block.place, 1) for block in self.blocks if block.made >= 0)

    def kept(self, alive: Container[int]) -> Table:
        """The bytes that the step took and did not give back, by place.

        Args:
            alive: the addresses in use after the step's results were deleted too.
        """
        return table((block.place, block.size_bytes) for block in self._kept(alive))

    def kept_bytes(self, alive: Container[int]) -> int:
        """The growth of the memory in use during the step; 0 if it shrank. See ``kept``."""
        taken = sum(block.size_bytes for block in self._kept(alive))
        given = sum(block.size_bytes for block in self.blocks if block.made < 0 and block.freed is not None)
        return max(0, taken - given)

    def _kept(self, alive: Container[int]) -> list[Block]:
        return [block for block in self.blocks if block.made >= 0 and block.freed is None and block.address in alive]

    def peak(self) -> int:
        """The position in the record after which the most memory is in use."""
        changes: Counter[int] = Counter()
        for block in self.blocks:
            changes[block.made] += block.size_bytes
            if block.freed is not None:
                changes[block.freed] -= block.size_bytes
        level = highest = 0
        found = -1
        for position in sorted(changes):
            level += changes[position]
            if level > highest:
                highest, found = level, position
        return found

    def at_peak(self, parts: Mapping[int, str]) -> tuple[Table, dict[str, int]]:
        """The memory held at the peak, by place and part, and by part alone.

        Args:
            parts: the known part of a block by its address: weights, buffers, gradients, optimizer state, or
                temporaries for the workspaces of libraries.
        """
        peak = self.peak()
        begun = min((block.made for block in self.blocks if block.made >= 0 and block.place == BACKWARD), default=None)
        rows = [(block, part_of(block, parts, begun)) for block in self.blocks if block.held_at(peak)]
        by_part: Counter[str] = Counter()
        for block, part in rows:
            by_part[part] += block.size_bytes
        placed = ((named(block, part), block.size_bytes) for block, part in rows)
        return table(placed), dict(sorted(by_part.items()))


def named(block: Block, part: str) -> tuple[str, str]:
    """The entry of a block: its part alone if it is from before the step, or else the line that made it."""
    return (block.place[0], f"{part} at {block.place[1]}") if block.made >= 0 else ("", part)


def part_of(block: Block, parts: Mapping[int, str], backward: int | None) -> str:
    """The part of memory that a block belongs to.

    Blocks of the forward pass that the backward pass still holds are activations; shorter-lived ones are temporary.
    Blocks from before the step without a known part, such as caches, count as activations.
    """
    if known := parts.get(block.address):
        return known
    if block.made < 0 or (backward is not None and block.made < backward and (block.freed or backward) >= backward):
        return "activations"
    return "temporaries"


def record_of(
    before: Iterable[Mapping[str, Any]], trace: Sequence[Mapping[str, Any]], place: Callable[[Any], tuple[str, str]]
) -> Record:
    """Replay a step from the allocator's trace.

    Args:
        before: the allocator's segments before the step.
        trace: the allocator's entries since then.
        place: finds the place in the frames of an entry.
    """
    blocks = [Block(address, size) for address, size in in_use(before).items()]
    held = {block.address: number for number, block in enumerate(blocks)}
    asked: Counter[tuple[str, str]] = Counter()
    for position, entry in enumerate(trace):
        action = entry["action"]
        if action == "alloc":
            held[entry["addr"]] = len(blocks)
            where = place(entry.get("frames", ()))
            blocks.append(Block(entry["addr"], entry["size"], position, None, where))
        elif action == "free_completed" and (number := held.pop(entry["addr"], None)) is not None:
            blocks[number] = replace(blocks[number], freed=position)
        elif action in (*PIECES["device"], *PIECES["freed"]):
            asked[place(entry.get("frames", ()))] += 1
    return Record(blocks, table(asked.items()))


def in_use(segments: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    """The sizes in bytes of the blocks in use, by address."""
    return {
        block["address"]: block["size"]
        for segment in segments
        for block in segment["blocks"]
        if block["state"].startswith("active")
    }
