"""Image generation on fake tensors: the real pipeline, whose weights may stay on the host until needed."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from perfgate.actor.dry_run.context import DryContext, refuse_compiled
from perfgate.actor.dry_run.itself import DryDevice, registering
from perfgate.actor.dry_run.storages import Allocation
from perfgate.actor.programs.image_generation import ImageGeneration
from perfgate.actor.techniques.components import around
from perfgate.actor.techniques.diffusion import networks_in


class DryImageGeneration:
    """One batch of images, from the prompt's tokens to pixels."""

    def __init__(self, context: DryContext, **params: Any) -> None:
        self.context = context
        self.here: Any = None  # the part whose weights were moved to the device last
        refuse_compiled(params.get("compile", "off"))
        offload = params.pop("offload", "off")
        registered: list[Allocation] = []
        with registering(context, registered):
            self.program = ImageGeneration(DryDevice(), **params)
        self.network = self.program.network
        context.tracker.watch(self.network)
        for allocation in registered:
            allocation.part = allocation.part or "weights"
        context.tracker.storages.name([self.program.prompt], "activations", "inputs")
        components = networks_in(self.program.pipeline)
        self.spans: dict[str, list[tuple[int, int]]] = {name: [] for name in components}
        if offload != "off" and context.rules.has_host:
            self.offload(list(components.values()) if offload == "model" else list(leaves(components.values())))
        for name, part in components.items():
            self.follow(name, part)

    def step(self) -> None:
        """Make the images, then delete the scheduler's plan, because each step makes a new one."""
        plan = vars(self.program.pipeline.scheduler)
        before = dict(plan)
        self.program.step()
        plan.clear()
        plan.update(before)
        self.leave()

    def offload(self, parts: list[Any]) -> None:
        """Keep each part's weights on the device only from its call to the next part's call."""
        for part in parts:
            self.here = part
            self.leave()
            around(part, partial(self.arrive, part))

    def arrive(self, part: Any) -> None:
        """Move a part's weights to the device, and the previous part's back to the host."""
        if part is self.here:
            return
        self.leave()
        self.here = part
        storages = self.context.tracker.storages
        for weight in stored(part):
            storages.see(weight, None, "")
            storages.name([weight], "weights")

    def leave(self) -> None:
        """Move the weights that came last back to the host."""
        for weight in () if self.here is None else stored(self.here):
            self.context.tracker.storages.leave(weight)
        self.here = None

    def follow(self, name: str, part: Any) -> None:
        """Record when a component begins and ends."""
        storages = self.context.tracker.storages
        began = [0]

        def begin() -> None:
            began[0] = storages.clock

        def end() -> None:
            self.spans[name].append((began[0], storages.clock))

        around(part, begin, end)

    def told(self) -> dict[str, Any]:
        """By component: the peak of all memory, its FLOPs, and its seconds at the peak rates of a GPU."""
        tracker = self.context.tracker
        # From the second step on, a library's workspaces are there all the time.
        beside = sum(self.context.rules.workspaces(tracker.multiplying, tracker.biased))
        peaks = {name: peak + beside for name, peak in tracker.storages.peaks(self.spans).items()}
        return {"components": {name: {"peak_memory_bytes": peaks[name], **self.work(name)} for name in self.spans}}

    def work(self, name: str) -> Mapping[str, Any]:
        """The work of a component."""
        tracker = self.context.tracker
        rows = [row for (path, _), row in tracker.work.items() if path.split(".")[0] == name]
        return {"flops": int(sum(row[1] for row in rows)), "roofline_s": sum(row[4] for row in rows)}


def stored(part: Any) -> Iterator[Any]:
    """The tensors of a part."""
    yield from part.parameters()
    yield from part.buffers()


def leaves(components: Any) -> Iterator[Any]:
    """The modules with weights of their own."""
    for component in components:
        for module in component.modules():
            if any(True for _ in module.parameters(recurse=False)):
                yield module
