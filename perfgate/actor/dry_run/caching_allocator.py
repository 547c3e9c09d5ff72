"""What torch's caching allocator makes of the allocations of a step: what it hands out, and what it reserves.

The allocator takes segments from the driver and keeps them. It hands out blocks of them: the smallest free one that is
large enough, of which it splits off the rest if that is large enough to be of use. What a block has beyond what was
asked for counts as allocated. Sizes are those of c10/cuda/CUDACachingAllocator.h with its default settings:
https://docs.pytorch.org/docs/stable/notes/cuda.html#memory-management.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from perfgate.actor.dry_run.rounding import up

MIB = 1 << 20
BLOCK_BYTES = 512
SMALL_BYTES = MIB  # the largest request that is served from small segments, and the smallest rest worth splitting off
SMALL_SEGMENT_BYTES, LARGE_SEGMENT_BYTES = 2 * MIB, 20 * MIB
OWN_SEGMENT_FROM_BYTES, SEGMENT_STEP_BYTES = 10 * MIB, 2 * MIB

ORDER = attrgetter("order")
STEPS = 3  # after which the segments are those of all later steps


@dataclass(eq=False)
class Block:
    """A part of a segment.

    Attributes:
        size: in bytes.
        place: the address, by which blocks of one size are ordered.
        small: whether it is of a small segment.
        before: the block in front of it in its segment.
        after: the block behind it.
        taken: whether it is handed out.
    """

    size: int
    place: int
    small: bool
    before: "Block | None" = None
    after: "Block | None" = None
    taken: bool = False

    @property
    def order(self) -> tuple[int, int]:
        """By which free blocks are looked through."""
        return self.size, self.place

    def follow(self, block: "Block | None") -> None:
        """Have a block, or none, behind this one."""
        self.after = block
        if block:
            block.before = self

    def split(self, size: int) -> "Block":
        """Keep so many bytes, and return the rest as a block behind this one."""
        rest = Block(self.size - size, self.place + size, self.small)
        rest.follow(self.after)
        self.size = size
        self.follow(rest)
        return rest

    def joined(self, block: "Block") -> "Block":
        """This block with the one behind it."""
        self.size += block.size
        self.follow(block.after)
        return self


class CachingAllocator:
    """Hands out blocks as torch does.

    Attributes:
        allocated_bytes: in blocks that are handed out.
        reserved_bytes: in segments.
    """

    def __init__(self) -> None:
        self.allocated_bytes = self.reserved_bytes = 0
        self._free: dict[bool, list[Block]] = {True: [], False: []}
        self._blocks: dict[int, Block] = {}

    def take(self, number: int, asked_bytes: int) -> None:
        """Hand out a block for an allocation; nothing is handed out where it asks for no bytes."""
        if not asked_bytes:
            return
        size = up(asked_bytes, BLOCK_BYTES)
        small = size <= SMALL_BYTES
        block = self._found(size, small) or self._segment(size, small)
        rest = block.size - size
        if rest >= BLOCK_BYTES if small else rest > SMALL_BYTES:
            self._keep(block.split(size))
        block.taken = True
        self._blocks[number] = block
        self.allocated_bytes += block.size

    def give_back(self, number: int) -> None:
        """Take the block of an allocation back, and join it with free neighbours."""
        if (block := self._blocks.pop(number, None)) is None:
            return
        self.allocated_bytes -= block.size
        block.taken = False
        if (before := block.before) and not before.taken:
            self._drop(before)
            block = before.joined(block)
        if (after := block.after) and not after.taken:
            self._drop(after)
            block = block.joined(after)
        self._keep(block)

    def rename(self, names: Mapping[int, int]) -> None:
        """Let allocations be known by other numbers from here on."""
        moved = {new: self._blocks.pop(old) for old, new in names.items() if old in self._blocks}
        self._blocks |= moved

    def _found(self, size: int, small: bool) -> Block | None:
        free = self._free[small]
        position = bisect_left(free, (size, 0), key=ORDER)
        return free.pop(position) if position < len(free) else None

    def _segment(self, size: int, small: bool) -> Block:
        if small:
            taken = SMALL_SEGMENT_BYTES
        else:
            taken = LARGE_SEGMENT_BYTES if size < OWN_SEGMENT_FROM_BYTES else up(size, SEGMENT_STEP_BYTES)
        place = self.reserved_bytes
        self.reserved_bytes += taken
        return Block(taken, place, small)

    def _keep(self, block: Block) -> None:
        insort(self._free[block.small], block, key=ORDER)

    def _drop(self, block: Block) -> None:
        free = self._free[block.small]
        del free[bisect_left(free, block.order, key=ORDER)]


def peaks(asked_bytes: Sequence[int], freed: Sequence[int], before: int, held_bytes: Sequence[int]) -> dict[str, int]:
    """The most bytes that are allocated and reserved in a step that is like the one before it.

    Args:
        asked_bytes: of each allocation, in order.
        freed: how many had been made when each was released; -1 where it was not released in the step.
        before: how many of them were made before the step.
        held_bytes: what libraries hold all the time.
    """
    allocator = CachingAllocator()
    for at, size in enumerate([*held_bytes, *asked_bytes[:before]], -len(held_bytes)):
        allocator.take(at, size)
    released: dict[int, list[int]] = defaultdict(list)
    for at, when in enumerate(freed):
        if when >= 0:
            released[when].append(at)
    heirs = successors(asked_bytes, freed, before)
    most = 0
    for _ in range(STEPS if heirs is not None else 1):
        most = allocator.allocated_bytes
        for at in released[before]:
            allocator.give_back(at)
        for at in range(before, len(asked_bytes)):
            allocator.take(at, asked_bytes[at])
            most = max(most, allocator.allocated_bytes)
            for gone in released[at + 1]:
                allocator.give_back(gone)
        allocator.rename(heirs or {})
    return {"allocated": most, "reserved": allocator.reserved_bytes}


def successors(asked_bytes: Sequence[int], freed: Sequence[int], before: int) -> dict[int, int] | None:
    """Which allocation that a step leaves behind takes the place of which one that it released.

    ``None`` if they do not match in their sizes, as where a first step makes what stays.
    """
    gone = [at for at in range(before) if freed[at] >= 0]
    left = [at for at in range(before, len(freed)) if freed[at] < 0]
    by_size = [sorted(found, key=lambda at: (asked_bytes[at], at)) for found in (gone, left)]
    if [asked_bytes[at] for at in by_size[0]] != [asked_bytes[at] for at in by_size[1]]:
        return None
    return dict(zip(by_size[1], by_size[0], strict=True))
