"""The stage: starts actors, gives them steps, and runs the passes of a case in their order."""

import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perfgate.measure.actor import Actor
from perfgate.measure.devices.base import Cpu, Device
from perfgate.measure.monitor import DeviceMonitor
from perfgate.measure.passes import timed_bursts
from perfgate.measure.passes.timed import FEW_STEPS, YARDSTICK, counters_launch, dry_launch, memory_launch, timed_launch
from perfgate.measure.placement import exclusive, placed
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.pool import Pool
from perfgate.measure.server import Server
from perfgate.measure.timesheet import Timesheet
from perfgate.records.launch import Launch, Side
from perfgate.reference.reference import Reference
from perfgate.shared.workload import Workload
from perfgate.system.locks import DeviceLock
from perfgate.workloads.requirements import sees_device_at_import

MAX_RELAUNCHES = 2


@dataclass(frozen=True)
class Pass:
    """One kind of launch.

    Attributes:
        name: as launches name it.
        word: for people.
        run: takes stage, case, workload, server and the launch's number.
    """

    name: str
    word: str
    run: Callable[["Stage", str, Workload, Server, int], Launch]


COUNTERS = Pass("counters", "counters launch", counters_launch)
MEMORY = Pass("memory", "memory launch", memory_launch)
UNTIMED = ("dry", COUNTERS.name, MEMORY.name)


def spoilt(launches: Sequence[Launch]) -> bool:
    """Whether no launch of the last pass may be used, so that further ones make no sense."""
    last = [launch for launch in launches if launch.pass_name == launches[-1].pass_name] if launches else []
    return bool(last) and last[0].pass_name != "dry" and all(launch.invalid for launch in last)


class Stage:
    """Runs launches on one device.

    Args:
        preload: modules that the servers import.
        folder: for the outputs of servers and actors.
        effort: how much to measure.
        servers: size of the pool.
        reference: what to hold this code against.
        device: to measure on.
    """

    def __init__(
        self,
        preload: Sequence[str],
        folder: Path,
        plan: MeasurementPlan,
        servers: int = 2,
        reference: Reference | None = None,
        device: Device | None = None,
    ) -> None:
        self.plan = plan
        self.began = time.perf_counter()
        self.timesheet = Timesheet()
        if reference:
            # Both sides import the same, and nothing that only a baseline needs.
            preload = [module for module in preload if not YARDSTICK.program.startswith(f"{module}:")]
        self.pool = Pool(preload, folder, servers)
        self.reference = Pool(preload, folder, servers, reference, "reference") if reference else None
        self.device: Device = device or Cpu()
        self.lock = DeviceLock(self.device.uuid)
        cores = self.device.cores
        # On the actors' core the stage has no other processor to wake; among several cores it stays out of the way.
        self.core = cores[0] if cores and not self.device.bursts else None
        self._actors: set[int] = set()
        self._watch = DeviceMonitor(self.device, self._actors)

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

        Args:
            case: its id.
            workload: what to run.
            progress: told in words which launch begins.
        """
        launches = self.alone(case, workload, progress)
        if self.plan.device == "none" or spoilt(launches):
            return launches
        timed = Pass("time", "launch", timed_bursts.timed_launch if self.device.bursts else timed_launch)
        return timed_bursts.with_host_share(
            launches + self._series(case, workload, timed, self.plan.launches, progress)
        )

    def alone(
        self,
        case: str,
        workload: Workload,
        progress: Callable[[str], None],
        side: Side = "candidate",
        pool: Pool | None = None,
        passes: Container[str] = UNTIMED,
        agreeing: int = 0,
    ) -> list[Launch]:
        """The passes that take no time, of one side: dry, counters, memory.

        A dry run that is not possible is a launch marked invalid with the reason; where nobody would expect one, as
        with a program that has no dry counterpart, it is left out.

        Args:
            case: its id.
            workload: what to run.
            progress: told in words which launch begins.
            side: what the launches are.
            pool: where they come from; the side's own, unless another is named.
            passes: which of them to run.
            agreeing: launches of the memory pass; as many as the effort says, unless it is named.
        """
        pool = pool or (self.reference if side == "reference" and self.reference else self.pool)
        launched = [(COUNTERS, 1), (MEMORY, agreeing or self.plan.memory_launches)]
        wanted = [] if self.plan.device == "none" else [item for item in launched if item[0].name in passes]

        def real() -> list[Launch]:
            launches: list[Launch] = []
            for kind, number in wanted:
                if not spoilt(launches):
                    launches += self._series(case, workload, kind, number, progress, side, pool)
            return launches

        if "dry" not in passes:
            return real()
        progress("dry run")
        with dry_launch(self, case, workload, pool.next(), side) as answer:
            beside = [] if self.device.bursts else real()
            dry, expected = answer()
        # A pass on a GPU waits until nobody else is on the device, a dry run among them.
        found = real() if self.device.bursts else beside
        # What ran is not what was asked for, so what was predicted of it does not hold either.
        if wrong := next((launch for launch in found if launch.final), None):
            dry = dry.rejected(wrong.invalid or "")
        return ([dry] if expected or self.plan.device == "none" else []) + found

    def _series(
        self,
        case: str,
        workload: Workload,
        launched: "Pass",
        wanted: int,
        progress: Callable[[str], None],
        side: Side = "candidate",
        pool: Pool | None = None,
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
            progress(f"{launched.word} {valid + 1} of {wanted}")
            begin = time.perf_counter()
            launch = launched.run(self, case, workload, (pool or self.pool).next(), len(launches))
            launches.append(self.dated(self.judged(replace(launch, side=side)), begin))

    def dated(self, launch: Launch, begin: float) -> Launch:
        """A launch that just ended: when it began, in seconds of the stage's life, and how long it took."""
        took = {"began_s": round(begin - self.began, 4), "took_s": round(time.perf_counter() - begin, 4)}
        return replace(launch, details={**launch.details, **took})

    def judged(self, launch: Launch) -> Launch:
        """The launch that has just ended, with what was seen of the device; rejected if something disturbed it."""
        return self._watch.judge(launch)

    def step(self, actor: Actor, steps: int = 1, **more: Any) -> dict[str, Any]:
        """Let the case's actor take a step, or a burst of them; returns what it measured.

        Of a burst the first step is taken on top and left out: it pays for the switch.
        """
        burst = {"discard": 1} if steps > 1 else {}
        metrics: dict[str, Any] = self.ask(actor, {"steps": steps, **burst, **more})["metrics"]
        self._watch.look()
        return metrics

    def phases(self, actor: Actor, ready: dict[str, Any]) -> dict[str, list[float]]:
        """What is read in a few steps of their own, after those that are timed: phases, and what ranks say to each
        other; nothing where the program tells none."""
        found: dict[str, list[float]] = {}
        for what in ready["by_itself"]:
            rows = [self.step(actor, by_itself=what) for _ in range(FEW_STEPS)]
            found |= {name: [row[name] for row in rows if name in row] for name in rows[0]}
        return found

    def step_yardstick(self, actor: Actor, steps: int = 1) -> dict[str, float]:
        """Let the yardstick take a step or, as with ``step``, a burst of them; returns what a step of it took."""
        burst = {"discard": 1} if steps > 1 else {}
        metrics: dict[str, float] = actor.ask({"steps": steps, **burst}, self.plan.timeout_s)["metrics"]
        self.timesheet.yardstick_s += steps * metrics["step_time_s"]
        return metrics

    def ask(self, actor: Actor, message: dict[str, Any]) -> dict[str, Any]:
        begin = time.perf_counter()
        try:
            return actor.ask(message, self.plan.timeout_s)
        finally:
            self.timesheet.programs_s += time.perf_counter() - begin

    @contextmanager
    def actor(
        self, server: Server, workload: Workload, pass_name: str, slowdown: float = 0.0
    ) -> Iterator[tuple[Actor, dict[str, Any]]]:
        """A launched actor whose program is built, and what it said of itself."""
        begin = time.perf_counter()
        unreached = self.unreached(server, workload)
        actor = server.launch(spawn=bool(unreached))
        self._actors.add(actor.pid)
        try:
            order = {
                "workload": workload.order,
                "pass": pass_name,
                **placed(self.device, workload, pinned=pass_name != "memory"),
                "threads": self.plan.threads,
                "slowdown": slowdown,
                "timeout_s": self.plan.timeout_s,
            }
            ready = actor.ask(order, self.plan.timeout_s)["ready"]
            ready["launched"] = (
                {"launched": "spawned", "why_spawned": unreached} if unreached else {"launched": "forked"}
            )
            took = time.perf_counter() - begin
            self.timesheet.fork_s.append(took - ready["setup_s"])
            if pass_name != "yardstick":
                self.timesheet.setups_s += ready["setup_s"]
                self.timesheet.programs_s += ready["setup_s"]
            yield actor, ready
        finally:
            actor.close(kill=True)

    def unreached(self, server: Server, workload: Workload) -> str:
        """Why an actor needs a fresh interpreter: a fork does not reach the device; empty where it does."""
        if not self.device.bursts:
            return ""
        if package := sees_device_at_import(workload):
            return f"{package} looks for the device when it is imported"
        asked = any(workload.params.get(name, "off") != "off" for name in ("compile", "compile_decode"))
        compiled = asked or workload.params.get("cache") == "static"  # over which generate compiles by itself
        return server.unreached(self.device.order, compiled)

    def timed(self, *workloads: Workload) -> AbstractContextManager[None]:
        """The lock for a timed pass: nobody else is on any of its devices."""
        return exclusive(self.lock, self.device, workloads)

    def untimed(self, workload: Workload) -> AbstractContextManager[None]:
        """The lock for a pass that takes no time: on a GPU nobody else may take its memory meanwhile."""
        return self.timed(workload) if self.device.bursts else self.lock.shared()

    @contextmanager
    def held(self, lock: Any) -> Iterator[None]:
        begin = time.perf_counter()
        with lock:
            self.timesheet.waiting_s += time.perf_counter() - begin
            self._watch = DeviceMonitor(self.device, self._actors)
            try:
                yield
            finally:
                self._watch.look(at_once=True)
