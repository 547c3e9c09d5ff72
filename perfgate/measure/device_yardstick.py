"""Runs a GPU's yardstick in turn with the case's bursts. (Calls to a GPU return before the work is done.)"""

from contextlib import ExitStack

from perfgate.measure.actor import Actor, LaunchFailed
from perfgate.measure.server import Server
from perfgate.measure.stage import Stage
from perfgate.records.clocks import PREFIX
from perfgate.records.details import Yardstick
from perfgate.records.launch import YARDSTICK_VERSIONS
from perfgate.workloads.programs import workload_of

STEPS = 4


class DeviceYardstick:
    """The actor of the yardstick. If it fails, the case continues without it, and ``why_not`` has the reason.

    It is launched after the case has warmed up and allocated its memory, so that it can only take what is left.

    Args:
        stage: the stage with the device.
        server: the server that the actor is forked from.
        stack: ends the actor when it is closed.
    """

    def __init__(self, stage: Stage, server: Server, stack: ExitStack) -> None:
        self._stage = stage
        self._kind = stage.device.kind
        self._rows: list[dict[str, float]] = []
        self._actor: Actor | None = None
        self.why_not = ""
        workload = workload_of(f"yardstick.{self._kind}", {"version": YARDSTICK_VERSIONS[self._kind]})
        try:
            self._actor, _ = stack.enter_context(stage.actor(server, workload, "yardstick"))
        except LaunchFailed as failure:
            self._leave(failure)
        # The first steps warm the caches, as the case's first burst does.
        self.step()
        self._rows.clear()

    def step(self) -> None:
        """Take some steps, and keep their mean time as the one beside a burst."""
        if self._actor is None:
            return
        try:
            self._rows.append(self._stage.step_yardstick(self._actor, STEPS))
        except LaunchFailed as failure:
            self._leave(failure)

    def _leave(self, failure: LaunchFailed) -> None:
        self._actor = None
        self._rows.clear()
        self.why_not = failure.reason

    @property
    def yardstick_s(self) -> list[float] | None:
        """The yardstick's time beside each burst; ``None`` if it failed."""
        return [row["step_time_s"] for row in self._rows] or None

    @property
    def details(self) -> Yardstick:
        """The facts about the yardstick for the launch's details."""
        if not self._rows:
            return Yardstick(self._kind, missing=self.why_not)
        parts = [name for name in self._rows[0] if name.removesuffix("_time_s") == name and not name.startswith(PREFIX)]
        parts_s = {part: [row[part] for row in self._rows] for part in parts}
        return Yardstick(self._kind, YARDSTICK_VERSIONS[self._kind], STEPS, parts_s)
