"""Finds the module behind a kernel or a copy, from the profiler's events of one step.

Modules mark their calls in the profiler's own record, so marks and kernels are on one clock. A launch in the backward
pass belongs to the module whose forward pass made the node of the graph.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from perfgate.actor.tables import Table, table

MARK = "perfgate.module:"
BACKWARD = "autograd::engine::evaluate_function"
NAMESPACES = re.compile(r"(?:\(anonymous namespace\)|\w+)::|^void ")
LONGEST = 80


class Span(NamedTuple):
    """An activity of the host between two moments.

    Attributes:
        name: the name of an operator or of a node of the backward pass, or ``MARK`` and the path for a module's call.
        begin_ns: its beginning on the profiler's clock.
        end_ns: its end on the same clock.
        thread: the profiler's number of the thread.
        sequence: the number of its node in autograd's graph, or of the node made next; negative if there is none.
        forward_thread: for a node of the backward pass the thread that made it; 0 for everything else.
    """

    name: str
    begin_ns: int
    end_ns: int
    thread: int = 1
    sequence: int = -1
    forward_thread: int = 0

    @classmethod
    def of(cls, event: Any) -> "Span":
        """The span of one of the profiler's events."""
        return cls(
            event.name(),
            event.start_ns(),
            event.start_ns() + event.duration_ns(),
            event.start_thread_id(),
            event.sequence_nr(),
            event.fwd_thread_id(),
        )


def by_module(launched: Iterable[tuple[int, str]], host: Sequence[Span]) -> Table:
    """The number of launches of each kernel or copy, by module path and name.

    Args:
        launched: the moment of each launch on the host, in ns, and its name.
        host: the host's activities meanwhile.
    """
    modules = Nested(span for span in host if span.name.startswith(MARK))
    backward = Nested(span for span in host if span.name.startswith(BACKWARD))
    # Several operators have the number of the next node; the last of them makes it.
    makers = {
        (span.thread, span.sequence): span.begin_ns
        for span in sorted(host, key=attrgetter("begin_ns"))
        if not span.forward_thread and not span.name.startswith(MARK)
    }
    found: Counter[tuple[str, str]] = Counter()
    for at_ns, name in launched:
        inside = modules.around(at_ns)
        if inside is None and (node := backward.around(at_ns)):
            inside = modules.around(makers.get((node.forward_thread, node.sequence), 0))
        found[inside.name.removeprefix(MARK) if inside else "", shortened(name)] += 1
    return table(found.items())


class Nested:
    """Spans that are nested or disjoint."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = sorted(spans, key=attrgetter("begin_ns"))
        self._begins_ns = [span.begin_ns for span in self._spans]
        self._outer: list[int] = []  # for each span, the index of the span that contains it, or -1
        open_ones: list[int] = []
        for place, span in enumerate(self._spans):
            while open_ones and self._spans[open_ones[-1]].end_ns < span.begin_ns:
                open_ones.pop()
            self._outer.append(open_ones[-1] if open_ones else -1)
            open_ones.append(place)

    def around(self, at_ns: int) -> Span | None:
        """The innermost span around a moment."""
        place = bisect_right(self._begins_ns, at_ns) - 1
        while place >= 0 and self._spans[place].end_ns < at_ns:
            place = self._outer[place]
        return self._spans[place] if place >= 0 else None


def launches(device: Iterable[Any], host: Iterable[Any]) -> Iterator[tuple[int, str]]:
    """The moment at which the host launched each of the device's events, and the event's name.

    The driver's calls on the host have the numbers of the events that they launched. If they are not recorded, as on
    an emulated card, an event begins when it is launched.
    """
    calls = {event.correlation_id(): event.start_ns() for event in host if event.name().startswith(("cu", "hip"))}
    for event in device:
        yield calls.get(event.correlation_id(), event.start_ns()), event.name()


@cache
def shortened(name: str) -> str:
    """A kernel's name without namespaces, and cut if it is long."""
    plain = NAMESPACES.sub("", name)
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"


@contextmanager
def marked(networks: Mapping[str, Any]) -> Iterator[None]:
    """Within the block, mark each call of a module in the profiler's record.

    Args:
        networks: models, by the prefix of their modules' paths.
    """
    from torch._C._profiler import _RecordFunctionFast as Record  # not every program needs torch
    from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

    names = {id(module): path for prefix, net in networks.items() for path, module in net.named_modules(prefix=prefix)}
    open_calls: list[Any] = []

    def enter(module: Any, _: Any) -> None:
        path = names.get(id(module))
        open_calls.append(None if path is None else Record(f"{MARK}{path}"))
        if open_calls[-1] is not None:
            open_calls[-1].__enter__()

    def leave(*_: Any) -> None:
        if (record := open_calls.pop()) is not None:
            record.__exit__(None, None, None)

    hooks = (register_module_forward_pre_hook(enter), register_module_forward_hook(leave, always_call=True))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
