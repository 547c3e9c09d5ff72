"""Measures the workloads that fixtures ask for; the runner is opened for the first case."""

import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

import pytest

from perfgate.plugin.benchmark_bridge import described
from perfgate.plugin.options import Options
from perfgate.plugin.power_limits import limit_of
from perfgate.plugin.report_plugins import attach_to_allure, decided
from perfgate.plugin.selection import Selection, marks_of, tier_of
from perfgate.plugin.sides import Sides
from perfgate.plugin.target import Target
from perfgate.reports.live import one_line
from perfgate.shared.command import command
from perfgate.shared.device_kinds import DEVICE_KINDS, REAL
from perfgate.shared.errors import Unavailable, UserError
from perfgate.shared.workload import Workload
from perfgate.workloads.models.model import TIERS

if TYPE_CHECKING:
    from perfgate.cases.confirm import Confirmer
    from perfgate.cases.duets import Policy
    from perfgate.cases.lines import Case
    from perfgate.cases.result import Result
    from perfgate.cases.runner import CaseRunner
    from perfgate.cases.tracing import Tracer
    from perfgate.measure.stage import Stage

RESULT = pytest.StashKey[dict[str, Any]]()
CALLED = pytest.StashKey[str]()  # which of perf() and effect() the item called

SCRATCH = "perfgate-run-"
CLAIM = "claim"


@dataclass(frozen=True)
class Process:
    """This process's place in a run.

    Attributes:
        root: pytest's root folder.
        part: the file for this process's lines.
        workers: the number of processes that share the cases.
        instruments: the import paths of instruments that users added.
        traces: the folder for traces.
        shared: a temporary folder that all processes of the run share; ``None`` if this is the only one.
    """

    root: Path
    part: Path
    workers: int = 1
    instruments: tuple[str, ...] = ()
    traces: Path = Path("traces")
    shared: Path | None = None


class Cases:
    """Measures one case after the other, in this process.

    Args:
        options: the options of the run.
        target: the device to measure on.
        selection: the cases that the run measures.
        process: this process's place in the run.
        sides: the candidate and the reference.
        show: called with a case's id and a few words on its progress.
    """

    def __init__(
        self,
        options: Options,
        target: Target,
        selection: Selection,
        process: Process,
        sides: Sides,
        show: Callable[[str, str], None],
    ) -> None:
        self._options = options
        self._target = target
        self._selection = selection
        self._process = process
        self._sides = sides
        self._show = show
        self._runner: CaseRunner | None = None
        self._stack = ExitStack()

    def measure(self, item: pytest.Item, workload: Workload, tolerances: Mapping[str, float]) -> "Result":
        """Measure a workload and compare it with its reference or its baseline.

        Raises:
            Unavailable: something that the workload needs is missing.
            UserError: the case asks for something impossible.
        """
        from perfgate.cases.runner import require_workload

        item.stash[RESULT] = {}  # empty for a case that asked for a measurement and has no result yet
        options, limit_w = self._options, limit_of(item)
        accept = None if options.reference or limit_w else self._again(item)
        case = self._case(item, accept, tolerances)
        with self._planned(item) as runner:
            progress, checked = partial(self._show, case.id), require_workload(workload)
            if options.calibrate:
                result = runner.calibrate(case, checked, options.calibrate, options.slowdowns, progress)
            elif limit_w:
                result = runner.run_limited(case, checked, limit_w, progress)
            else:
                result = runner.run_case(case, checked, progress)
        attach(item, result)
        return result

    def try_effect(self, item: pytest.Item, vanilla: Workload, setting: Workload, expected: dict[str, Any]) -> "Result":
        """Measure vanilla and the setting, and decide whether the setting has the expected effect.

        Raises:
            Unavailable: something that a workload needs is missing, or nothing is expected on this device.
            UserError: the case asks for something impossible.
        """
        from perfgate.cases.runner import require_workload
        from perfgate.gate.effects import on_device, parse_all
        from perfgate.gate.equivalence import parse_likenesses
        from perfgate.shared.metrics import check_known

        item.stash[RESULT] = {}
        likenesses = parse_likenesses(expected.pop("same", ()), expected.pop("near", {}))
        if not expected and not likenesses:
            raise UserError(f"{item.nodeid}: effect() needs what to expect of a metric, like step_time_s='< 1.4x'")
        check_known(expected, f"{item.nodeid}: effect()")
        kind = "cpu" if self._target.kind == "none" else DEVICE_KINDS[self._target.kind].real
        expected = on_device(expected, kind, [name for name in REAL if name == kind or not DEVICE_KINDS[name].scripted])
        if not expected and not likenesses:
            raise Unavailable(f"{item.nodeid} promises nothing on this device ({self._target.kind})")
        case = self._case(item, None, {})
        sides = require_workload(vanilla), require_workload(setting)
        if vanilla.sha256 == setting.sha256:
            raise UserError(f"{item.nodeid}: effect() got the same workload twice; a setting must differ from vanilla")
        with self._planned(item) as runner:
            found = parse_all(expected), likenesses
            result = runner.run_effect(case, *sides, *found, partial(self._show, case.id))
        attach(item, result)
        return result

    def _case(self, item: pytest.Item, accept: str | None, tolerances: Mapping[str, float]) -> "Case":
        from perfgate.cases.lines import Case

        technique = item.path.stem.removeprefix("test_")
        return Case(item.nodeid.removeprefix(f"{self._options.root}/"), technique, accept, tolerances)

    @contextmanager
    def _planned(self, item: pytest.Item) -> Iterator["CaseRunner"]:
        """The runner, with a measurement plan that follows the case's marks."""
        runner = self._open()
        plan, marked = runner.stage.plan, marks_of(item)
        own: dict[str, Any] = {key: marked[key] for key in ("launches", "timeout_s") if key in marked}
        own |= {} if plan.launches else {"launches": 0}
        own |= {"device": "none"} if marked.get("dry") else {}
        own["power_limit_w"] = limit_of(item)
        runner.stage.plan = replace(plan, **own)
        try:
            yield runner
        finally:
            runner.stage.plan = plan

    def _again(self, item: pytest.Item) -> str:
        """The command that measures this case again in the same way."""
        device = self._options.device
        options = [] if device in ("auto", "cpu") else [f"--perf-device {shlex.quote(device)}"]
        if TIERS.index(tier_of(item)) > TIERS.index(self._target.default_tier):
            options.append(f"--perf-tier {self._target.tier}")
        return " ".join([command(), shlex.quote(item.nodeid), *options])

    def _open(self) -> "CaseRunner":
        if self._runner is None:
            from perfgate.cases.runner import CaseRunner
            from perfgate.measure.plan import MeasurementPlan
            from perfgate.measure.stage import Stage
            from perfgate.records.portable import PortableStore, pair_of
            from perfgate.records.store import Store, open_root

            options, target = self._options, self._target
            root = self._stack.enter_context(open_root(options.baselines, self._process.root))
            folder = self._stack.enter_context(scratch())
            plan = MeasurementPlan(
                launches=options.launches,
                timeout_s=options.timeout_s,
                instruments=self._process.instruments,
                device=target.kind,
            )
            servers = 2 if plan.timed else 1  # two servers only if times are taken
            preload = self._selection.preload
            candidate, reference = self._sides.candidate(), self._sides.reference
            code = reference, target.device, candidate
            stage = Stage(preload, folder, plan, servers, *code, self._process.shared)
            store = Store(root, target.device.machine.name)
            portable = PortableStore(root, pair_of(self._sides.software))
            policy = self._policy()
            confirmer = self._confirmer(stage, policy)
            part = self._process.part
            more = confirmer, self._sides.packages, self._dealt, self._tracer(stage, policy)
            self._runner = CaseRunner(store, portable, part, stage, policy, *more)
        return self._runner

    @property
    def _confirms(self) -> bool:
        """Whether duets may decide times that stored times leave open."""
        return self._options.confirm == "auto" and not self._options.reference and self._target.kind != "none"

    def _confirmer(self, stage: "Stage", policy: "Policy") -> "Confirmer | None":
        from perfgate.cases.confirm import Confirmer

        if not self._confirms:
            return None
        states = self._sides.baseline_states(self._target.device.machine.name)
        return Confirmer(stage, states, policy, policy.alpha_budget)

    def _tracer(self, stage: "Stage", policy: "Policy") -> "Tracer | None":
        from perfgate.cases.tracing import Tracer

        wanted = self._options.trace
        return None if wanted == "off" else Tracer(stage, self._process.traces, wanted == "all", policy.deadline)

    @property
    def _parts(self) -> int:
        """The number of processes that share the chance of a false alarm: all workers of all shards."""
        return self._process.workers * self._options.shard[1]

    @property
    def _dealt(self) -> Mapping[str, Any] | None:
        """The division of the suite into shards, for ``perfgate merge``; ``None`` without shards."""
        if self._options.shard[1] == 1:
            return None
        told = {"pairs": self._selection.pairs, "parts": self._parts, "digest": self._selection.digest}
        return told | ({"of": self._selection.identity} if self._selection.identity else {})

    def _policy(self) -> "Policy":
        from perfgate.cases.deadline import Deadline
        from perfgate.cases.duets import Policy
        from perfgate.gate import confirmed
        from perfgate.gate.alpha_budget import AlphaBudget

        options, workers = self._options, self._process.workers
        alpha_budget, stored_share = AlphaBudget(self._selection.pairs, parts=self._parts), 1.0
        if self._confirms:
            alpha_budget, stored_share = confirmed.shared(alpha_budget), confirmed.STORED_SHARE
        deadline = Deadline(options.budget_s, -(-self._selection.cases // workers))
        judging = options.strict, options.version_tolerance, options.update
        return Policy(
            alpha_budget, deadline, self._target.noise, *judging, self._sides.accepted, stored_share, options.thorough
        )

    def close(self) -> None:
        """End all processes, and delete the runner's temporary files."""
        runner, self._runner = self._runner, None
        try:
            if runner is not None:
                runner.close()
        finally:
            self._stack.close()


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder for the output of processes; folders left by killed runs are deleted."""
    from perfgate.system.claims import abandoned, claimed
    from perfgate.system.temporary import removed, temporary_folder

    for path in Path(gettempdir()).glob(f"{SCRATCH}*/{CLAIM}"):
        if abandoned(path):
            shutil.rmtree(path.parent, ignore_errors=True)
    with temporary_folder(SCRATCH) as folder, claimed(folder / CLAIM):
        try:
            yield folder
        finally:
            removed(folder, last=CLAIM)  # while it is claimed, so that what a killed run leaves of it is found


def attach(item: pytest.Item, result: "Result") -> None:
    """Attach a result to its item, for JUnit files, Perfgate's own lines and pytest-benchmark's table."""
    # Another plugin may have run the item before, so older properties are replaced.
    told = {**result.metrics, **decided(result.verdicts)}
    others = [found for found in item.user_properties if found[0] not in told]
    item.user_properties[:] = [*others, *told.items()]
    attach_to_allure(item.config, item.user_properties)
    item.stash[RESULT] = {
        "case": result.case,
        "kind": result.outcome.kind,
        "line": one_line(result),
        "verdicts": [verdict.to_json() for verdict in result.verdicts],
        "steps_s": list(result.steps_s),
        "traces": [trace.to_json() for trace in result.traces],
        "benchmark": described(item, result.metrics, {v.metric: v.verdict for v in result.verdicts}),
    }
