"""Finds the processes that shared the actors' core during a launch, by the kernel's account of each process.

``/proc`` is read here and not by psutil: one read of one file gives all numbers of a process at the same moment, with
its session, which psutil does not tell.
"""

import os
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path

from perfgate.records.clocks import CONTENDED
from perfgate.records.launch import CORE_TAKEN, Launch

PROC = Path("/proc")
NAMED = 2  # a message names this many processes, and gives only the number of the others
NOTICED = 0.01  # the processes are named if they took more than this share of the core
TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Process:
    """The state of one process at one moment.

    Attributes:
        pid: the process id.
        name: the name of its program, as the kernel keeps it.
        session: the id of the process that leads its session.
        began: its start in the kernel's ticks; a later process with the same id has another value.
        computed_s: processor time that it has used so far.
        children_s: processor time that its ended children used.
        core: the core on which it ran last.
    """

    pid: int
    name: str
    session: int
    began: int
    computed_s: float
    children_s: float
    core: int

    @classmethod
    def read(cls, stat: str) -> "Process":
        """Read ``/proc/PID/stat``; the name stands in brackets and may hold brackets and spaces."""
        head, _, tail = stat.rpartition(")")
        pid, _, name = head.partition(" (")
        fields = tail.split()
        user, kernel, children_user, children_kernel = (int(ticks) / TICKS_PER_S for ticks in fields[11:15])
        times = (user + kernel, children_user + children_kernel)
        return cls(int(pid), name, int(fields[3]), int(fields[19]), *times, int(fields[36]))


def processes() -> dict[int, Process]:
    """All visible processes by id; empty on a system without ``/proc``."""
    found = {}
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        if entry.name.isdigit():
            try:
                process = Process.read((entry / "stat").read_text(errors="replace"))
            except (OSError, ValueError, IndexError):  # the process has ended meanwhile
                continue
            found[process.pid] = process
    return found


class Neighbours:
    """Looks at all processes before and after the steps of a launch, to find those that shared the actors' core.

    Args:
        core: the core of the actors; ``None`` if they are not bound to one.
        actors: process ids of the stage's own actors, each the leader of its session; the stage adds to this set.
    """

    def __init__(self, core: int | None, actors: Set[int]) -> None:
        self._core = core
        self._actors = actors
        self._first: Mapping[int, Process] = {}
        self._last: Mapping[int, Process] = {}

    def look(self, begin: bool) -> None:
        """Look at all processes now.

        Before the first step the last look counts, and after the last step the first one.

        Args:
            begin: whether the steps have not begun yet.
        """
        if self._core is None:
            return
        if begin:
            self._first, self._last = processes(), {}
        elif not self._last:
            self._last = processes()

    def grown(self) -> list[Process]:
        """The processes that used the processor between both looks, and for how long; the busiest first."""
        found = []
        for process in self._last.values():
            before = self._first.get(process.pid)
            if before and before.began == process.began:
                computed_s, children_s = before.computed_s, before.children_s
                process = replace(
                    process,
                    computed_s=process.computed_s - computed_s,
                    children_s=process.children_s - children_s,
                )
            if process.computed_s > 0 or process.children_s > 0:
                found.append(process)
        return sorted(found, key=lambda process: -process.computed_s)

    def judge(self, launch: Launch) -> Launch:
        """Name the processes that disturbed a launch, and reject the launch if its times cannot be used.

        If an actor has helpers, such as a loader's workers, its own processor time is not all that a step takes, and
        the scheduler's account does not tell helpers from other processes. Such a launch has only times on the wall,
        and is rejected if others took too much of the core. A launch that is invalid keeps its reason.
        """
        if launch.pass_name != "time" or not self._last:
            return launch
        grown = self.grown()
        own = [process for process in grown if process.session in self._actors]
        others = [
            p for p in grown if p not in own and p.core == self._core and p.computed_s > 0 and p.pid != os.getpid()
        ]
        if any(process.pid not in self._actors or process.children_s > 0 for process in own):
            own_s = sum(process.computed_s + process.children_s for process in own)
            others_s = sum(process.computed_s for process in others)
            metrics = {name: v for name, v in launch.metrics.items() if name not in ("queue_time_s", "idle_time_s")}
            launch = replace(launch, other=None, metrics=metrics)
            if launch.invalid:
                return launch
            share = others_s / max(own_s + others_s, 1e-9)
            return launch.rejected(contended(share, named(others))) if share > CONTENDED else launch
        noticed = not launch.invalid and (launch.waited or 0.0) > NOTICED
        return replace(launch, disturbed_by=named(others)) if noticed else launch


def named(others: list[Process]) -> str:
    """The busiest processes as text, such as ``python 1234 and 2 more``."""
    names = [f"{process.name} {process.pid}" for process in others[:NAMED]]
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    return f"{', '.join(names)}{more}"


def contended(share: float, by: str = "") -> str:
    """The reason for rejecting a launch while others took this share of the core."""
    return f"{CORE_TAKEN} {share:.0%} of the core{f' ({by})' if by else ''}"
