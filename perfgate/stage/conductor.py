"""The stage: the order of steps, the passes, and what each launch brought."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perfgate.records.launch import YARDSTICK_VERSION, Launch, Value
from perfgate.stage.actor import Actor, LaunchFailed
from perfgate.stage.locks import DeviceLock
from perfgate.stage.server import Server, tail
from perfgate.stage.validity import judge
from perfgate.workload import Workload

YARDSTICK = Workload("perfgate.actor.programs.yardstick:Yardstick", {"version": YARDSTICK_VERSION})
YARDSTICK_PARTS = ("matmul_s", "python_s", "copy_s")
WARMUP_STEPS = 3
MEMORY_STEPS = 2
MAX_RELAUNCHES = 2
YARDSTICK_SHARE = 0.6


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        launches: timed launches a case.
        memory_launches: launches of the memory pass, which must agree.
        steps_s: time to fill with timed steps, within the two bounds on their number.
        timeout_s: the longest that set-up or one step may take.
    """

    launches: int = 3
    memory_launches: int = 2
    steps_s: float = 1.5
    min_steps: int = 10
    max_steps: int = 60
    timeout_s: float = 120.0
    threads: int = 1


@dataclass
class Ledger:
    """Where the stage's time went, in seconds; the benchmarks read it."""

    servers_s: float = 0.0
    waiting_s: float = 0.0
    programs_s: float = 0.0
    yardstick_s: float = 0.0
    fork_s: list[float] = field(default_factory=list)


class Stage:
    """Runs launches on one device, rotating over a small pool of servers that start when first needed.

    Args:
        preload: modules that the servers import.
        folder: for the outputs of servers and actors.
        effort: how much to measure.
        servers: size of the pool.
    """

    def __init__(self, preload: Sequence[str], folder: Path, effort: Effort, servers: int = 2) -> None:
        self.effort = effort
        self.ledger = Ledger()
        self._preload = preload
        self._folder = folder
        self._size = servers
        self._servers: list[Server] = []
        self._turn = 0
        self._lock = DeviceLock("cpu")
        self.core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the libraries under test; empty before the first launch."""
        return self._servers[0].versions if self._servers else {}

    def start(self) -> None:
        """Start the pool, if it is not up yet.

        Raises:
            UserError: the programs' libraries cannot be imported.
        """
        if self._servers:
            return
        begin = time.perf_counter()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._servers = [Server(f"server-{n}", self._preload, self._folder) for n in range(self._size)]
        for server in self._servers:
            server.wait_ready()
        self.ledger.servers_s += time.perf_counter() - begin

    def close(self) -> None:
        """End all servers and actors."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()

    def measure(self, case: str, workload: Workload, progress: Callable[[str], None]) -> list[Launch]:
        """Run the passes of a case: memory, then time.

        Args:
            case: its id.
            workload: what to run.
            progress: told in words which launch begins.
        """
        memory = self._series(
            self.effort.memory_launches,
            lambda n: self._memory_launch(case, workload, n),
            progress,
            "memory launch",
        )
        if memory and all(launch.invalid for launch in memory):
            return memory
        timed = self._series(self.effort.launches, lambda n: self._timed_launch(case, workload, n), progress, "launch")
        return memory + timed

    def _series(
        self, wanted: int, run: Callable[[int], Launch], progress: Callable[[str], None], word: str
    ) -> list[Launch]:
        """Launch until enough are valid; a disturbed launch is repeated at most twice, a faulty one once."""
        launches: list[Launch] = []
        while True:
            valid = sum(launch.invalid is None for launch in launches)
            faults = sum(launch.fault for launch in launches)
            if valid >= wanted or faults > 1 or len(launches) >= wanted + MAX_RELAUNCHES:
                return launches
            progress(f"{word} {valid + 1} of {wanted}")
            launches.append(run(len(launches)))

    def _memory_launch(self, case: str, workload: Workload, number: int) -> Launch:
        """Few steps with the profiler on; no time is taken, so the device may be shared."""
        server = self.next_server()
        start = Launch(case, workload.sha256, number, {}, server=server.name, pass_name="memory")
        with self._held(self._lock.shared()):
            try:
                with self.actor(server, workload, "memory") as (actor, ready):
                    for _ in range(1 + MEMORY_STEPS):
                        self._step(actor)
                    metrics = self._ask(actor, {"finish": True})["metrics"]
            except LaunchFailed as failure:
                return failed(start, failure)
        steady = {name: drop_first(value) for name, value in metrics.items()}
        return completed(start, steady, ready)

    def _timed_launch(self, case: str, workload: Workload, number: int) -> Launch:
        """The case and the yardstick, stepped in turn on one core; who begins alternates between launches."""
        server = self.next_server()
        first = "case" if number % 2 == 0 else "yardstick"
        start = Launch(case, workload.sha256, number, {}, server=server.name, pass_name="time")
        with self._held(self._lock.exclusive()), on_core(self.core), ExitStack() as stack:
            try:
                actor, ready = stack.enter_context(self.actor(server, workload, "time"))
                yardstick, _ = stack.enter_context(self.actor(server, YARDSTICK, "yardstick"))
                warmup = [self._step(actor)["step_time_s"] for _ in range(WARMUP_STEPS)]
                rod_s = self._step_yardstick(yardstick)["step_time_s"]
                count, beside = self._count(min(warmup)), max(1, round(YARDSTICK_SHARE * min(warmup) / rod_s))
                steps, rods = self._in_turn(actor, yardstick, count, beside, first)
                metrics: dict[str, Value] = self._ask(actor, {"finish": True})["metrics"]
            except LaunchFailed as failure:
                return failed(start, failure)
        metrics |= columns(steps)
        metrics |= {"setup_s": ready["setup_s"], "first_step_s": warmup[0]}
        parts = {part: [row[part] for row in rods] for part in YARDSTICK_PARTS}
        launch = completed(
            start, metrics, ready, {"first": first, "yardstick_version": YARDSTICK_VERSION, "yardstick_parts_s": parts}
        )
        return judge(launch, [row["step_time_s"] for row in rods], [row["process_time_s"] for row in rods])

    def _in_turn(
        self, actor: Actor, yardstick: Actor, count: int, beside: int, first: str
    ) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
        steps, rods = [], []
        for _ in range(count):
            if first == "case":
                steps.append(self._step(actor))
            rods.append(mean_of([self._step_yardstick(yardstick) for _ in range(beside)]))
            if first != "case":
                steps.append(self._step(actor))
        return steps, rods

    def _count(self, step_s: float) -> int:
        wanted = int(self.effort.steps_s / max(step_s, 1e-6))
        return min(max(wanted, self.effort.min_steps), self.effort.max_steps)

    def _step(self, actor: Actor) -> dict[str, float]:
        metrics: dict[str, float] = self._ask(actor, {"steps": 1})["metrics"]
        return metrics

    def _step_yardstick(self, actor: Actor) -> dict[str, float]:
        metrics: dict[str, float] = actor.ask({"steps": 1}, self.effort.timeout_s)["metrics"]
        self.ledger.yardstick_s += metrics["step_time_s"]
        return metrics

    def _ask(self, actor: Actor, message: dict[str, Any]) -> dict[str, Any]:
        begin = time.perf_counter()
        try:
            return actor.ask(message, self.effort.timeout_s)
        finally:
            self.ledger.programs_s += time.perf_counter() - begin

    def next_server(self) -> Server:
        self.start()
        self._turn += 1
        return self._servers[self._turn % len(self._servers)]

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
            self.ledger.fork_s.append(took - ready["setup_s"])
            self.ledger.programs_s += ready["setup_s"] if workload is not YARDSTICK else 0.0
            yield actor, ready
        finally:
            actor.close(kill=True)

    @contextmanager
    def _held(self, lock: Any) -> Iterator[None]:
        begin = time.perf_counter()
        with lock:
            self.ledger.waiting_s += time.perf_counter() - begin
            yield


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Stay on the actors' core while they take turns: a token then wakes nobody on another core, which took 10 to 20
    times as long in a virtual machine (``benchmarks/launch.py``). The stage sleeps while a step goes on.
    """
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def completed(start: Launch, metrics: dict[str, Value], ready: dict[str, Any], details: Any = None) -> Launch:
    """A launch that went through."""
    return replace(start, metrics=metrics, samples=ready["samples"], tokens=ready["tokens"], details=details or {})


def failed(start: Launch, failure: LaunchFailed) -> Launch:
    """A launch that ended early, with the reason and the end of what it printed."""
    return replace(start.rejected(failure.reason, failure.fault), details={"output": tail(failure.output)})


def columns(steps: list[dict[str, float]]) -> dict[str, Value]:
    """From one mapping a step to one list a metric."""
    return {name: [step[name] for step in steps] for name in steps[0]}


def mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each metric."""
    return {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}


def drop_first(value: Value) -> Value:
    """Without the first step, in which gradients and optimizer state came into being."""
    return value[1:] if isinstance(value, list) else value
