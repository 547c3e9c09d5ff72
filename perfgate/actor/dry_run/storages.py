"""Follows every storage from its allocation to its release, so that the memory in use is known at any moment."""

import weakref
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from perfgate.actor.dry_run.rounding import up
from perfgate.shared.cuda_reductions import Reduction
from perfgate.shared.metrics import PARTS

FORWARD, BACKWARD, OPTIMIZER = "forward", "backward", "optimizer"  # the phases of a step


@dataclass(eq=False)
class Frame:
    """One call of one module."""

    path: str
    left: bool = False


@dataclass(eq=False)
class Allocation:
    """One storage. Allocations and releases are numbered events.

    Attributes:
        size_bytes: the size, rounded up as the allocator does.
        asked_bytes: the size before it was rounded.
        frame: the module call that allocated it; ``None`` outside of module calls, as in the backward pass.
        path: the path of the module that it is charged to.
        part: one of ``PARTS``, or ``None`` if its part is not known for sure.
        born: the number of the event that allocated it.
        died: the number of the event that released it, or ``None``.
        made_for: the dtype and shape of the first tensor that was seen in it.
        handed_on: whether it outlived the module call that allocated it.
        reduction: the reduction that takes it while it runs, if it was made for one.
    """

    size_bytes: int
    asked_bytes: int
    frame: Frame | None
    path: str
    born: int
    part: str | None = None
    died: int | None = None
    handed_on: bool = False
    made_for: tuple[Any, tuple[int, ...]] | None = None
    reduction: Reduction | None = None

    @property
    def tensor(self) -> str:
        """The tensor that it was made for, as in ``float32[2, 8]``."""
        if self.made_for is None:
            return ""
        dtype, shape = self.made_for
        return f"{str(dtype).removeprefix('torch.')}[{', '.join(map(str, shape))}]"

    @property
    def what(self) -> str:
        """The part of memory: if it is not known, storages that outlive their module call are activations, and all
        others temporaries."""
        return self.part or ("activations" if self.handed_on else "temporaries")


@dataclass
class Storages:
    """All storages and the events of their allocation and release.

    Attributes:
        block_bytes: the size to whose multiples the allocator rounds up.
        clock: the number of the last event.
        everything: the allocations of the current step, and older ones that were alive when it began.
        living: the allocations that are alive, by the identity of their storage.
        phases: the phases of the current step, each with the number of the last event before it.
    """

    block_bytes: int
    clock: int = 0
    everything: list[Allocation] = field(default_factory=list)
    living: dict[int, tuple[Any, Allocation]] = field(default_factory=dict)
    phases: list[tuple[int, str]] = field(default_factory=lambda: [(0, FORWARD)])

    def see(self, tensor: Any, frame: Frame | None, path: str) -> Allocation:
        """Note the allocation of a tensor's storage, unless it is known already."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        found = self.living.get(key)
        asked = storage.nbytes()
        size = self.rounded(asked)
        if found and found[1].size_bytes >= size:
            return found[1]
        if found:  # resized
            self._release(key)
        self.clock += 1
        made = Allocation(size, asked, frame, path, self.clock, made_for=(tensor.dtype, tuple(tensor.shape)))
        self.everything.append(made)
        self.living[key] = (weakref.ref(storage, lambda _: self._release(key)), made)
        return made

    def pass_by(self, size_bytes: int, frame: Frame | None, path: str, reduction: Reduction | None = None) -> None:
        """Note memory that an operator takes only while it runs, for a reduction also if it takes none."""
        size, born = self.rounded(size_bytes), self.clock + 1
        made = Allocation(size, size_bytes, frame, path, born, died=born + 1, reduction=reduction)
        self.everything.append(made)
        self.clock += 2

    def rounded(self, size_bytes: int) -> int:
        """A size as the allocator hands it out."""
        return up(size_bytes, self.block_bytes)

    def _release(self, key: int) -> None:
        _, allocation = self.living.pop(key)
        self.clock += 1
        allocation.died = self.clock
        allocation.handed_on = allocation.frame is not None and allocation.frame.left

    def name(self, tensors: Iterable[Any], part: str, path: str | None = None) -> None:
        """Set the part of the tensors' storages; a part that was set before stays."""
        for tensor in tensors:
            if tensor is not None and (found := self.living.get(tensor.untyped_storage()._cdata)):
                allocation = found[1]
                if allocation.part is None:
                    allocation.part = part
                    allocation.path = allocation.path if path is None else path

    def forget(self, tensor: Any) -> None:
        """Remove a tensor's storage, because it is in other memory."""
        if found := self.living.pop(tensor.untyped_storage()._cdata, None):
            self.everything.remove(found[1])

    def leave(self, tensor: Any) -> None:
        """Release a tensor's storage although the tensor lives on, because it moved to other memory."""
        if (key := tensor.untyped_storage()._cdata) in self.living:
            self._release(key)

    def begin(self) -> int:
        """Begin a step: drop released allocations, and return the number of the last event before the step."""
        self.everything = [allocation for allocation in self.everything if allocation.died is None]
        self.phases = [(self.clock, FORWARD)]
        return self.clock

    def enter(self, phase: str) -> None:
        """Note that the next events belong to this phase of the step."""
        if self.phases[-1][1] != phase:
            self.phases.append((self.clock, phase))

    def kept(self, since: int) -> list[Allocation]:
        """Allocations that were made after an event and are still alive."""
        self._settle()
        return [allocation for _, allocation in self.living.values() if allocation.born > since]

    def _settle(self) -> None:
        """Update, for all living allocations, whether they have outlived their module call."""
        for _, allocation in self.living.values():
            allocation.handed_on = allocation.frame is not None and allocation.frame.left

    def in_order(self) -> list[Allocation]:
        """All allocations in the order in which they were made."""
        return sorted(self.everything, key=lambda allocation: allocation.born)

    def changes(self) -> list[tuple[int, int]]:
        """Every event with its change of the bytes in memory, in order."""
        born = [(a.born, a.size_bytes) for a in self.everything]
        return sorted([*born, *((a.died, -a.size_bytes) for a in self.everything if a.died is not None)])

    def alive_at(self, moment: int) -> list[Allocation]:
        """The allocations that were alive after an event."""
        self._settle()
        return [a for a in self.everything if a.born <= moment and (a.died is None or a.died > moment)]

    def by_phase(self, workspace_bytes: int) -> dict[str, dict[str, int]]:
        """Bytes by part at the highest moment of each phase of the step, in the order in which the phases began.

        Args:
            workspace_bytes: memory that libraries hold all the time besides all tensors; it counts as temporary.
        """
        marks = [(when, 1, 0, name) for when, name in self.phases]
        level, phase = 0, ""
        highest: dict[str, tuple[int, int]] = {}
        for when, _, change, name in sorted([*((when, 0, change, "") for when, change in self.changes()), *marks]):
            level += change
            phase = name or phase
            if phase and level > highest.get(phase, (-1, 0))[0]:
                highest[phase] = level, when
        found = {phase: by_part(self.alive_at(when))[1] for phase, (_, when) in highest.items()}
        for parts in found.values():
            parts["temporaries"] += workspace_bytes
        return found

    def highest(self, since: int) -> dict[str, int]:
        """The most bytes of each part after an event, each part at its own highest moment."""
        changes = [(a.born, a.what, a.size_bytes) for a in self.everything]
        changes += [(a.died, a.what, -a.size_bytes) for a in self.everything if a.died is not None]
        level, highest = dict.fromkeys(PARTS, 0), dict.fromkeys(PARTS, 0)
        for when, part, change in sorted(changes):
            level[part] += change
            if when <= since:
                highest[part] = level[part]
            highest[part] = max(highest[part], level[part])
        return highest

    def peaks(self, spans: Mapping[str, Sequence[tuple[int, int]]]) -> dict[str, int]:
        """The peak of bytes alive within spans between two events, by the name of the spans."""
        changes = self.changes()
        moments = [when for when, _ in changes]
        levels = [0, *accumulate(change for _, change in changes)]
        return {
            name: max((max(levels[bisect(moments, begin) : bisect(moments, end) + 1]) for begin, end in own), default=0)
            for name, own in spans.items()
        }

    def at_peak(self, since: int) -> list[Allocation]:
        """The allocations that were alive at the peak after an event; at the first peak, if several are equal."""
        level = highest = 0
        moment = since
        for when, change in self.changes():
            level += change
            if level > highest and when > since:
                highest, moment = level, when
            elif when <= since:
                highest, moment = level, since
        return self.alive_at(moment)


def by_part(living: list[Allocation]) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Sum the bytes of living allocations by module path and part, and by part alone."""
    memory: dict[str, dict[str, int]] = defaultdict(dict)
    parts = dict.fromkeys(PARTS, 0)
    for allocation in living:
        place = memory[allocation.path]
        place[allocation.what] = place.get(allocation.what, 0) + allocation.size_bytes
        parts[allocation.what] += allocation.size_bytes
    return dict(memory), parts
