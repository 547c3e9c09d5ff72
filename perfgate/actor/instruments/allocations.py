"""Measures a step's memory from the GPU's caching allocator: by line of code, and by part at the peak."""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from perfgate.actor import versions
from perfgate.actor.allocations import BACKWARD, Record, in_use, record_of
from perfgate.actor.compiled import compiles
from perfgate.actor.instrument import Instrument
from perfgate.actor.tables import total
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.metrics import LASTING, PARTS

MOST = 1_000_000  # the most entries in the allocator's record


class Allocations(Instrument):
    """Reads ``allocations``, ``device_allocations``, ``kept_bytes`` and ``workspace_bytes`` of the last step, and the
    parts of its peak.

    It reads nothing if the allocator keeps no record, as on a CPU. Recording slows the host down, but takes no memory
    on the device.
    """

    passes = frozenset({"memory"})

    def start(self) -> None:
        """Prepare to record."""
        self._records = DEVICE_KINDS[self.device.name].torch_cuda and "torch" in sys.modules
        self._record: Record | None = None
        self._gradients: set[int] = set()
        self._hooked = False

    def built(self, program: Any) -> None:
        """Keep the program, which names its lasting parts."""
        self._program = program
        self._weights: list[Any] = []
        if self._records:
            from perfgate.actor.dry_run.calls import networks_of  # needs torch

            self._weights = [tensor for network in networks_of(program).values() for tensor in network.parameters()]

    def begin_step(self) -> None:
        """Begin to record."""
        if not self._records:
            return
        import torch  # not every program needs it

        self._gradients.clear()
        self._before = torch.cuda.memory_snapshot()
        # Under torch 2.11, asking for Python's frames at a free swallows the exception by which checkpointing ends a
        # recomputation; 2.13 does not, and 2.12 is assumed to. What checkpointing frees then has no line.
        context = "all" if versions.at_least("torch", 2, 13) else "alloc"
        torch.cuda.memory._record_memory_history("all", context=context, stacks="python", max_entries=MOST)

    def end_step(self) -> dict[str, float]:
        """Read the record."""
        if not self._records:
            return {}
        import torch

        traces = torch.cuda.memory._snapshot()["device_traces"]
        torch.cuda.memory._record_memory_history(None)
        self._note_gradients()
        self._record = record_of(self._before, traces[torch.cuda.current_device()], place_in)
        return {}

    def _note_gradients(self) -> None:
        """Note the addresses of gradients, also of those that will be gone after the next steps."""
        self._gradients |= {tensor.grad.data_ptr() for tensor in self._weights if tensor.grad is not None}
        if self._hooked or compiles():
            return
        self._hooked = True
        for tensor in self._weights:
            if tensor.requires_grad and tensor.is_leaf:
                tensor.register_post_accumulate_grad_hook(lambda leaf: self._gradients.add(leaf.grad.data_ptr()))

    def _parts(self) -> dict[int, str]:
        from perfgate.actor.tensors import inner_tensors  # needs torch

        parts = dict.fromkeys(self._gradients, "gradients")
        lasting = {"weights": self._weights}
        lasting |= {part: tensors for part, tensors in self._program.parts().items() if part in LASTING}
        for part, tensors in lasting.items():
            stored = (inner for tensor in tensors for inner in inner_tensors(tensor))
            parts |= {tensor.untyped_storage().data_ptr(): part for tensor in stored}
        return parts

    def finish(self) -> dict[str, float]:
        """The memory at the last step's peak in parts that a program does not name itself, and the remaining memory."""
        if self._record is None:
            return {}
        self._alive = in_use(self.device.segments())
        parts = self._parts()
        held = workspaces(self._alive, self.device.segments)
        self._by_line, by_part = self._record.at_peak(dict.fromkeys(held or (), "temporaries") | parts)
        others = (part for part in PARTS if part not in LASTING)
        told: dict[str, float] = {f"measured_{part}_bytes": by_part.get(part, 0) for part in others}
        if held is not None:
            told["workspace_bytes"] = sum(self._alive[address] for address in held)
        return {
            **told,
            "allocations": total(self._record.made()),
            "device_allocations": total(self._record.asked),
            "kept_bytes": self._record.kept_bytes(self._alive),
        }

    def findings(self) -> dict[str, Any]:
        """The last step's memory by line."""
        if self._record is None:
            return {}
        return {
            "held_at_peak": self._by_line,
            "allocations": self._record.made(),
            "device_allocations": self._record.asked,
            "kept_by_line": self._record.kept(self._alive),
        }


def workspaces(before: Mapping[int, int], segments: Callable[[], Iterable[Any]]) -> set[int] | None:
    """The addresses of the workspaces that torch keeps for cuBLAS, found by freeing them.

    ``None`` if this torch does not free them.

    Args:
        before: the blocks that are in use.
        segments: reads the allocator's segments.
    """
    import torch  # not every program needs it

    clear = getattr(torch._C, "_cuda_clearCublasWorkspaces", None)
    if clear is None:
        return None
    clear()
    return set(before) - set(in_use(segments()))


def place_in(frames: Any) -> tuple[str, str]:
    """The innermost line outside of torch and Perfgate: its file, and its function with the line."""
    from perfgate.actor.dry_run.places import is_machinery, short  # need torch

    if not frames:
        return BACKWARD
    for frame in frames:
        if not is_machinery(frame["filename"]):
            return short(frame["filename"]), f"{frame['name']}:{frame['line']}"
    return "", "torch"


INSTRUMENT = Allocations
