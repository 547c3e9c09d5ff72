"""Counts the CUDA graphs that are captured and replayed."""

import sys
from collections import Counter
from typing import Any

from perfgate.actor.instrument import Instrument
from perfgate.shared.device_kinds import DEVICE_KINDS

METHODS = {"capture_begin": "graph_captures", "replay": "graph_replays"}


class DeviceGraphs(Instrument):
    """Reads ``graph_captures`` and ``graph_replays`` of each step; nothing for a program without graphs.

    All captures go through ``torch.cuda.CUDAGraph``, even those of compiled programs. The kernels that a replayed
    graph launches count one by one.
    """

    passes = frozenset({"counters", "memory"})

    def start(self) -> None:
        """Count calls from now on."""
        self._counts: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        if not DEVICE_KINDS[self.device.name].torch_cuda or "torch" not in sys.modules:
            return
        import torch  # not every program needs it

        for method, metric in METHODS.items():
            setattr(torch.cuda.CUDAGraph, method, self._counted(getattr(torch.cuda.CUDAGraph, method), metric))

    def _counted(self, call: Any, metric: str) -> Any:
        def counting(*arguments: Any, **named: Any) -> Any:
            self._counts[metric] += 1
            return call(*arguments, **named)

        return counting

    def begin_step(self) -> None:
        """Remember the counts so far."""
        self._before = Counter(self._counts)

    def end_step(self) -> dict[str, float]:
        """The captures and replays in this step."""
        if not self._counts:
            return {}
        return {metric: self._counts[metric] - self._before[metric] for metric in METHODS.values()}


INSTRUMENT = DeviceGraphs
