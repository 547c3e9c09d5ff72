"""The stage: starts actors, gives them turns, locks the device, and keeps account of time."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from perfgate.measure.actor import Actor
from perfgate.measure.devices.base import Cpu, Device
from perfgate.measure.dry_answers import DryAnswers
from perfgate.measure.monitor import DeviceMonitor
from perfgate.measure.neighbours import Neighbours
from perfgate.measure.placement import exclusive, placed
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.pool import Pool
from perfgate.measure.server import Server
from perfgate.measure.timesheet import Timesheet
from perfgate.records.details import Span, Start, Yardstick
from perfgate.records.launch import Launch
from perfgate.reference.interpreter import Interpreter
from perfgate.reference.reference import Reference
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.workload import Workload
from perfgate.system.locks import DeviceLock
from perfgate.workloads.requirements import sees_device_at_import

TIMED = ("time", "yardstick")


class Stage:
    """One device, its lock, and the servers that actors are forked from.

    Args:
        preload: modules that the servers import.
        folder: the folder for the outputs of servers and actors.
        plan: the measurement plan.
        servers: number of servers in the pool.
        reference: the interpreter or revision to compare with, if any.
        device: the device to measure on.
        candidate: the interpreter of the code under test, if it is not this one.
        dry_answers: a folder of the answers of dry runs, which other processes may share; one of its own by default.
    """

    def __init__(
        self,
        preload: Sequence[str],
        folder: Path,
        plan: MeasurementPlan,
        servers: int = 2,
        reference: Reference | None = None,
        device: Device | None = None,
        candidate: Interpreter | None = None,
        dry_answers: Path | None = None,
    ) -> None:
        self.plan = plan
        self.dry_answers = DryAnswers(dry_answers or folder / "dry")
        self.began = time.perf_counter()
        self.timesheet = Timesheet()
        self.device: Device = device or Cpu()
        reached = self.device.environment
        self.pool = Pool(preload, folder, servers, candidate, environment=reached)
        self.reference = Pool(preload, folder, servers, reference, "reference", reached) if reference else None
        self.lock = DeviceLock(self.device.uuid)
        cores = self.device.cores
        # On the actors' core the stage wakes no other processor; if actors use several cores, it keeps off them.
        self.core = cores[0] if cores and not self.device.bursts else None
        self.health: Yardstick | None = None  # the measurement of a GPU's yardstick in this session
        self._actors: set[int] = set()
        self._monitor = DeviceMonitor(self.device, self._actors)
        self._neighbours = Neighbours(self.core, self._actors)

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

    def dated(self, launch: Launch, begin: float) -> Launch:
        """A launch that has just ended, with its duration and its beginning in seconds since the stage was made."""
        return launch.detailed(span=Span(round(begin - self.began, 4), round(time.perf_counter() - begin, 4)))

    def judged(self, launch: Launch) -> Launch:
        """A launch that has just ended, with reports about its device and core; rejected if it was disturbed."""
        return self._neighbours.judge(self._monitor.judge(launch))

    def step(self, actor: Actor, steps: int = 1, **more: Any) -> dict[str, Any]:
        """Give the case's actor a turn of one step or of a burst, and return its metrics.

        A burst has one more step at its beginning, which does not count because the switch between actors slows it
        down.
        """
        burst = {"discard": 1} if steps > 1 else {}
        metrics: dict[str, Any] = self.ask(actor, {"steps": steps, **burst, **more})["metrics"]
        self._monitor.look()
        return metrics

    def step_yardstick(self, actor: Actor, steps: int = 1) -> dict[str, float]:
        """Give the yardstick's actor a turn, as ``step`` does, and return the times of one of its steps."""
        burst = {"discard": 1} if steps > 1 else {}
        metrics: dict[str, float] = actor.ask({"steps": steps, **burst}, self.plan.timeout_s)["metrics"]
        self.timesheet.yardstick_s += steps * metrics["step_time_s"]
        return metrics

    def ask(self, actor: Actor, message: dict[str, Any]) -> dict[str, Any]:
        """Send the case's actor a message and wait for its answer.

        Raises:
            LaunchFailed: the actor failed, or did not answer within the plan's timeout.
        """
        begin = time.perf_counter()
        try:
            return actor.ask(message, self.plan.timeout_s)
        finally:
            self.timesheet.programs_s += time.perf_counter() - begin

    @contextmanager
    def actor(
        self, server: Server, workload: Workload, pass_name: str, slowdown: float = 0.0, into: Path | None = None
    ) -> Iterator[tuple[Actor, dict[str, Any]]]:
        """Launch an actor and let it build its program; yield the actor and its answer.

        Args:
            server: the server that the actor is forked from.
            workload: the workload that it runs.
            pass_name: the pass, which decides on the actor's instruments.
            slowdown: slowdown to add to each step; 0.03 is 3%.
            into: the file or folder that an instrument is to write.

        Raises:
            LaunchFailed: the program could not be built.
        """
        begin = time.perf_counter()
        unreached = self.unreached(server, workload)
        actor = server.launch(spawn=bool(unreached))
        self._actors.add(actor.pid)
        try:
            order = {
                "workload": workload.order,
                "pass": pass_name,
                **placed(self.device, workload, pinned=pass_name != "memory"),
                "threads": self.threads,
                "slowdown": slowdown,
                "instruments": self.plan.instruments if pass_name != "yardstick" else (),
                "timeout_s": self.plan.timeout_s,
                "into": str(into or ""),
            }
            ready = actor.ask(order, self.plan.timeout_s)["ready"]
            ready["start"] = Start("spawned", unreached) if unreached else Start("forked")
            took = time.perf_counter() - begin
            self.timesheet.fork_s.append(took - ready["setup_s"])
            if pass_name != "yardstick":
                self.timesheet.setups_s += ready["setup_s"]
                self.timesheet.programs_s += ready["setup_s"]
            if pass_name in TIMED:
                self._neighbours.look(begin=True)
            yield actor, ready
        finally:
            if pass_name in TIMED:
                self._neighbours.look(begin=False)
            # An ended actor no longer uses the device, so the device's clock falls.
            self._monitor.look(at_once=True)
            actor.close(kill=True)
        # Only the output of a failed launch is ever read, so other outputs are deleted.
        actor.output.unlink(missing_ok=True)

    @property
    def threads(self) -> int:
        """The number of threads that an actor may compute with; on a GPU's host all of the device's cores."""
        return len(self.device.cores) if self.device.bursts and self.device.cores else self.plan.threads

    def sharing_core(self, *actors: Actor) -> None:
        """Bind the main threads of actors that take turns to one of a GPU's cores, so that the core treats them alike.

        Threads that exist already keep their own cores.
        """
        if self.device.bursts and self.device.cores and hasattr(os, "sched_setaffinity"):
            for actor in actors:
                os.sched_setaffinity(actor.pid, self.device.cores[:1])

    def unreached(self, server: Server, workload: Workload) -> str:
        """The reason why an actor needs a fresh interpreter: a fork cannot use the device. Empty if it can."""
        if not self.device.bursts:
            return ""
        if package := sees_device_at_import(workload):
            return f"{package} looks for the device when it is imported"
        asked = any(workload.params.get(name, "off") != "off" for name in ("compile", "compile_decode"))
        compiled = asked or workload.params.get("cache") == "static"  # with a static cache, generate compiles by itself
        return server.unreached(self.device.order, compiled)

    def timed(self, *workloads: Workload) -> AbstractContextManager[None]:
        """The lock for a timed pass, which keeps all other processes off the pass's devices."""
        return exclusive(self.lock, self.device, workloads)

    def untimed(self, workload: Workload) -> AbstractContextManager[None]:
        """The lock for a pass that is not timed; on a GPU it keeps other processes from taking memory.

        An emulated card has all of its memory for each process.
        """
        alone = self.device.bursts and not DEVICE_KINDS[self.device.kind].emulates
        return self.timed(workload) if alone else self.lock.shared()

    @contextmanager
    def held(self, lock: AbstractContextManager[Any]) -> Iterator[None]:
        """Wait for a lock and hold it; the device is monitored meanwhile."""
        begin = time.perf_counter()
        with lock:
            self.timesheet.waiting_s += time.perf_counter() - begin
            limit_w = self.plan.power_limit_w or (self.device.machine.gpu or {}).get("power_limit_w")
            self._monitor = DeviceMonitor(self.device, self._actors, limit_w)
            self._neighbours = Neighbours(self.core, self._actors)
            yield
