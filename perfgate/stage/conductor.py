"""The stage: starts actors, gives them steps, and runs the passes of a case in their order."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from perfgate.records.launch import Launch, Side
from perfgate.stage import passes
from perfgate.stage.actor import Actor
from perfgate.stage.locks import DeviceLock
from perfgate.stage.pool import Pool
from perfgate.stage.server import Server
from perfgate.workload import Workload

MAX_RELAUNCHES = 2


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        launches: timed launches a case.
        memory_launches: launches of the memory pass, which must agree.
        steps_s: time to fill with timed steps, within the two bounds on their number.
        timeout_s: the longest that set-up or one step may take.
        device: ``cpu``, or ``none`` for the dry run alone.
    """

    launches: int = 3
    memory_launches: int = 2
    steps_s: float = 1.5
    min_steps: int = 10
    max_steps: int = 60
    timeout_s: float = 120.0
    threads: int = 1
    device: str = "cpu"


@dataclass
class Timesheet:
    """Where the stage's time went, in seconds; the benchmarks read it."""

    servers_s: float = 0.0
    waiting_s: float = 0.0
    programs_s: float = 0.0
    yardstick_s: float = 0.0
    fork_s: list[float] = field(default_factory=list)


class Stage:
    """Runs launches on one device.

    Args:
        preload: modules that the servers import.
        folder: for the outputs of servers and actors.
        effort: how much to measure.
        servers: size of the pool.
        reference: another interpreter, to hold this one against.
    """

    def __init__(
        self, preload: Sequence[str], folder: Path, effort: Effort, servers: int = 2, reference: str | None = None
    ) -> None:
        self.effort = effort
        self.began = time.perf_counter()
        self.timesheet = Timesheet()
        self.pool = Pool(preload, folder, servers)
        self.reference = Pool(preload, folder, servers, reference, "reference") if reference else None
        self.lock = DeviceLock("cpu")
        self.core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None

    def start(self) -> None:
        """Start the servers, if they are not up yet.

        Raises:
            UserError: the programs' libraries cannot be imported.
        """
        begin = time.perf_counter()
        started = [pool.start() for pool in (self.pool, self.reference) if pool]
        if any(started):
            self.timesheet.servers_s += time.perf_counter() - begin

    def close(self) -> None:
        """End all servers and actors."""
        for pool in (self.pool, self.reference):
            if pool:
                pool.close()

    def measure(self, case: str, workload: Workload, progress: Callable[[str], None]) -> list[Launch]:
        """Run the passes of a case: dry, then counters, memory and time.

        A dry run that is not possible is a launch marked invalid with the reason; where nobody would expect one, as
        with a program that has no dry counterpart, it is left out.

        Args:
            case: its id.
            workload: what to run.
            progress: told in words which launch begins.
        """
        progress("dry run")
        launches, expected = self.dry(case, workload)
        if self.effort.device == "none":
            return launches
        launches = launches if expected else []
        for word, wanted, run in (
            ("counters launch", 1, passes.counters_launch),
            ("memory launch", self.effort.memory_launches, passes.memory_launch),
            ("launch", self.effort.launches, passes.timed_launch),
        ):
            found = self._series(wanted, partial(run, self, case, workload), progress, word)
            # What ran is not what was asked for, so what was predicted of it does not hold either.
            if found[-1].final:
                launches = [launch.rejected(found[-1].invalid or "") for launch in launches]
            launches += found
            if all(launch.invalid for launch in found):
                break
        return launches

    def dry(self, case: str, workload: Workload) -> tuple[list[Launch], bool]:
        """The dry run, on both sides where there is a reference; and whether one was to be expected."""
        sides: list[tuple[Pool, Side]] = [(self.pool, "candidate")]
        if self.reference:
            sides.append((self.reference, "reference"))
        found, expected = [], []
        for pool, side in sides:
            begin = time.perf_counter()
            launch, wanted = passes.dry_launch(self, case, workload, pool.next(), side)
            found.append(self.dated(launch, begin))
            expected.append(wanted)
        return found, expected[0]

    def _series(
        self, wanted: int, run: Callable[[int], Launch], progress: Callable[[str], None], word: str
    ) -> list[Launch]:
        """Launch until enough are valid; a disturbed launch is repeated at most twice, a faulty one once,
        one that would end the same way never."""
        launches: list[Launch] = []
        while True:
            valid = sum(launch.invalid is None for launch in launches)
            faults = sum(launch.fault for launch in launches)
            final = any(launch.final for launch in launches)
            if valid >= wanted or faults > 1 or final or len(launches) >= wanted + MAX_RELAUNCHES:
                return launches
            progress(f"{word} {valid + 1} of {wanted}")
            begin = time.perf_counter()
            launches.append(self.dated(run(len(launches)), begin))

    def dated(self, launch: Launch, begin: float) -> Launch:
        """A launch that just ended: when it began, in seconds of the stage's life, and how long it took."""
        took = {"began_s": round(begin - self.began, 4), "took_s": round(time.perf_counter() - begin, 4)}
        return replace(launch, details={**launch.details, **took})

    def step(self, actor: Actor) -> dict[str, float]:
        """Let the case's actor take a step; returns what it measured."""
        metrics: dict[str, float] = self.ask(actor, {"steps": 1})["metrics"]
        return metrics

    def step_yardstick(self, actor: Actor) -> dict[str, float]:
        """Let the yardstick take a step."""
        metrics: dict[str, float] = actor.ask({"steps": 1}, self.effort.timeout_s)["metrics"]
        self.timesheet.yardstick_s += metrics["step_time_s"]
        return metrics

    def ask(self, actor: Actor, message: dict[str, Any]) -> dict[str, Any]:
        begin = time.perf_counter()
        try:
            return actor.ask(message, self.effort.timeout_s)
        finally:
            self.timesheet.programs_s += time.perf_counter() - begin

    def next_server(self) -> Server:
        """The server whose turn it is."""
        self.start()
        return self.pool.next()

    @contextmanager
    def actor(self, server: Server, workload: Workload, pass_name: str) -> Iterator[tuple[Actor, dict[str, Any]]]:
        """A launched actor whose program is built, and what it said of itself."""
        begin = time.perf_counter()
        actor = server.launch()
        try:
            order = {
                "workload": workload.spec,
                "pass": pass_name,
                "device": "cpu",
                "core": None if pass_name == "memory" else self.core,
                "threads": self.effort.threads,
            }
            ready = actor.ask(order, self.effort.timeout_s)["ready"]
            took = time.perf_counter() - begin
            self.timesheet.fork_s.append(took - ready["setup_s"])
            self.timesheet.programs_s += ready["setup_s"] if workload is not passes.YARDSTICK else 0.0
            yield actor, ready
        finally:
            actor.close(kill=True)

    @contextmanager
    def held(self, lock: Any) -> Iterator[None]:
        begin = time.perf_counter()
        with lock:
            self.timesheet.waiting_s += time.perf_counter() - begin
            yield
