"""Counts the graphs, graph breaks (with their places) and recompilations of ``torch.compile``."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from perfgate.actor.compiled import keep_compiled_in
from perfgate.actor.instrument import Instrument


class Compilation(Instrument):
    """Reads ``graphs``, ``graph_breaks``, ``recompiles`` and ``compile_time_s`` of a launch that compiles something.

    ``compile_time_s`` depends on what earlier processes left in the compilers' caches, unless the stage named an empty
    folder for this launch's own in ``into``.

    Read from Dynamo's own counters (https://docs.pytorch.org/docs/stable/torch.compiler_troubleshooting.html).
    """

    passes = frozenset({"counters"})

    def start(self) -> None:
        """Let the compilers use the empty folder, if there is one."""
        if self.into:
            keep_compiled_in(Path(self.into))

    def built(self, program: Any) -> None:
        """Keep the model, whose modules name the places of graph breaks."""
        self._network = program.network
        self._breaks: dict[str, dict[str, int]] = {}

    def finish(self) -> dict[str, Any]:
        """Read the counters; return nothing if nothing was compiled."""
        if "torch._dynamo" not in sys.modules:
            return {}
        from torch._dynamo import utils  # slow to import, and already imported if something was compiled

        done = utils.get_compilation_metrics()
        if not done:
            return {}
        reasons = [reason for reason in utils.graph_break_reasons if reason.graph_break]
        breaks: Counter[tuple[str, str]] = Counter()
        for reason in reasons:
            breaks[self._place(reason.user_stack), first_line(reason.reason)] += 1
        for (place, why), count in sorted(breaks.items()):
            self._breaks.setdefault(place, {})[why] = count
        seconds = [metrics.entire_frame_compile_time_s or 0.0 for metrics in done]
        return {
            "graphs": utils.counters["stats"]["unique_graphs"],
            "graph_breaks": sum(utils.counters["graph_break"].values()),
            "recompiles": sum(metrics.recompile_reason is not None for metrics in done),
            "compile_time_s": sum(seconds),
        }

    def _place(self, stack: Any) -> str:
        """The path of the module in whose ``forward`` the graph broke; empty if the stack contains no module's."""
        for frame in reversed(list(stack or ())):
            paths = [name for name, module in self._modules() if holds(type(module).forward, frame)]
            if paths:
                return paths[0] if len(paths) == 1 else f"{paths[0]} or one of {len(paths) - 1} like it"
        return ""

    def _modules(self) -> Any:
        return self._network.named_modules() if self._network is not None else ()

    def findings(self) -> dict[str, Any]:
        """Graph breaks by module path and reason."""
        return {"graph_breaks": self._breaks} if self._breaks else {}


def holds(function: Any, frame: Any) -> bool:
    """Whether a frame of a stack belongs to a function, even if the function is decorated."""
    function = getattr(function, "__wrapped__", function)
    code = getattr(function, "__code__", None)
    if code is None or code.co_filename != frame.filename:
        return False
    lines = [line for _, _, line in code.co_lines() if line]
    return min(lines) <= frame.lineno <= max(lines)


def first_line(text: str) -> str:
    """The first line of a reason, without its explanation in the lines below."""
    return text.strip().splitlines()[0] if text.strip() else "unknown"


INSTRUMENT = Compilation
