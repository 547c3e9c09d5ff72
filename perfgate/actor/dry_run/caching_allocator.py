"""Simulates torch's caching allocator for the allocations of a step: the blocks handed out, and the memory reserved.

The allocator takes segments from the driver and keeps them. It hands out the smallest free block that is large enough,
and splits off the rest if that is large enough to be useful. The unused part of a block counts as allocated. Sizes are
those of c10/cuda/CUDACachingAllocator.h with its default settings:
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
SMALL_BYTES = MIB  # the largest request served from small segments, and the smallest rest worth splitting off
SMALL_SEGMENT_BYTES, LARGE_SEGMENT_BYTES = 2 * MIB, 20 * MIB
OWN_SEGMENT_FROM_BYTES, SEGMENT_STEP_BYTES = 10 * MIB, 2 * MIB

ORDER = attrgetter("order")
STEPS = 3  # after this many steps, the segments no longer change


@dataclass(eq=False)
class Block:
    """A part of a segment.

    Attributes:
        size: the size in bytes.
        place: the address, by which blocks of one size are ordered.
        small: whether it belongs to a small segment.
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
        """The sort key for the search among free blocks."""
        return self.size, self.place

    def follow(self, block: "Block | None") -> None:
        """Make this block, or none, the next one in the segment."""
        self.after = block
        if block:
            block.before = self

    def split(self, size: int) -> "Block":
        """Keep this many bytes, and return the rest as a new block after this one."""
        rest = Block(self.size - size, self.place + size, self.small)
        rest.follow(self.after)
        self.size = size
        self.follow(rest)
        return rest

    def joined(self, block: "Block") -> "Block":
        """This block merged with the next one."""
        self.size += block.size
        self.follow(block.after)
        return self


class CachingAllocator:
    """Hands out blocks as torch does.

    Attributes:
        allocated_bytes: the bytes in blocks that are handed out.
        reserved_bytes: the bytes in segments.
    """

    def __init__(self) -> None:
        self.allocated_bytes = self.reserved_bytes = 0
        self._free: dict[bool, list[Block]] = {True: [], False: []}
        self._blocks: dict[int, Block] = {}

    def take(self, number: int, asked_bytes: int) -> None:
        """Hand out a block for an allocation; an allocation of no bytes gets none."""
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
        """Give allocations other numbers from now on."""
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


def peaks(
    asked_bytes: Sequence[int],
    freed: Sequence[int],
    before: int,
    held: Sequence[tuple[int, int]] = (),
    made_first: Mapping[int, int] | None = None,
) -> dict[str, int]:
    """The peaks of allocated and reserved bytes in a step that repeats the step before it.

    The places of blocks depend on the first step, which allocates what later steps find: workspaces at the first
    product of matrices, and the optimizer's state when activations have left room for it.

    Args:
        asked_bytes: of each allocation, in order.
        freed: how many had been made when each was released; -1 where it was not released in the step.
        before: how many of them were made before the step.
        held: what libraries take in the first step, and hold from then on: how many allocations had been made, and
            bytes.
        made_first: of the allocations before the step, those that the first step makes: after how many allocations.
    """
    allocator = CachingAllocator()
    heirs = successors(asked_bytes, freed, before)
    if heirs is None:  # there is no step like this one before it, so all lies there already
        held, made_first = [(0, size) for _, size in held], None
    made_first = made_first or {}
    lasting: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, (when, size) in enumerate(held, 1):
        lasting[when].append((-number, size))
    for at, when in made_first.items():
        lasting[when].append((at, asked_bytes[at]))
    released: dict[int, list[int]] = defaultdict(list)
    for at, when in enumerate(freed):
        if when >= 0:
            released[when].append(at)

    def take(at: int) -> None:
        for number, size in lasting.pop(at, ()):
            allocator.take(number, size)
        if at < len(asked_bytes) and at not in made_first:
            allocator.take(at, asked_bytes[at])

    for at in range(before):
        take(at)
    most = 0
    for _ in range(1 if heirs is None else STEPS):
        most = allocator.allocated_bytes
        for at in released[before]:
            allocator.give_back(at)
        for at in range(before, len(asked_bytes) + 1):
            take(at)
            most = max(most, allocator.allocated_bytes)
            for gone in released[at + 1]:
                allocator.give_back(gone)
        allocator.rename(heirs or {})
    return {"allocated": most, "reserved": allocator.reserved_bytes}


def successors(asked_bytes: Sequence[int], freed: Sequence[int], before: int) -> dict[int, int] | None:
    """Match each allocation that a step leaves behind with the released one whose place it takes.

    ``None`` if their sizes do not match, for example because a first step makes lasting memory.
    """
    gone = [at for at in range(before) if freed[at] >= 0]
    left = [at for at in range(before, len(freed)) if freed[at] < 0]
    by_size = [sorted(found, key=lambda at: (asked_bytes[at], at)) for found in (gone, left)]
    if [asked_bytes[at] for at in by_size[0]] != [asked_bytes[at] for at in by_size[1]]:
        return None
    return dict(zip(by_size[1], by_size[0], strict=True))
