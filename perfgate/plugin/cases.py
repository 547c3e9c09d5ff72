"""What cases ask for: the session that measures them, opened when the first one does."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from perfgate.models.model import TIERS
from perfgate.plugin.benchmark_bridge import described
from perfgate.plugin.extensions import instruments_of
from perfgate.plugin.options import Options
from perfgate.reports.live import one_line
from perfgate.shared.command import command
from perfgate.shared.errors import Unavailable, UserError
from perfgate.shared.workload import Workload
from perfgate.system.provenance import software

if TYPE_CHECKING:
    from perfgate.cases.duets import Policy
    from perfgate.cases.lines import Case
    from perfgate.cases.runner import CaseRunner, Result
    from perfgate.gate.noise import Noise
    from perfgate.measure.devices.base import Device
    from perfgate.reference.reference import Reference

RESULT = pytest.StashKey[dict[str, Any]]()


class Cases:
    """Measures one case after the other, in this process.

    Args:
        config: of pytest.
        options: of the run.
        part: the file that this process's lines go to.
        worker: name of this process among xdist's workers, or ``None``.

    Attributes:
        pairs: gated noisy case-metric pairs of the tier.
        selected: how many cases are to be measured, by all workers.
        preload: modules that the fork servers import.
        reference: what to hold this code against.
        show: told of each case's progress, in words.
    """

    def __init__(self, config: pytest.Config, options: Options, part: Path, worker: str | None) -> None:
        self.config = config
        self.options = options
        self.pairs = 1
        self.selected = 0
        self.preload: tuple[str, ...] = options.preload
        self.reference: Reference | None = None
        self.show: Callable[[str, str], None] = lambda case, what: None
        self._part = part
        self._worker = worker
        self._session: CaseRunner | None = None
        self._stack = ExitStack()
        if options.device not in ("auto", "cpu", "none"):
            # What is named must be there; what is found out by itself is looked for when first needed.
            self.device  # noqa: B018

    @cached_property
    def device(self) -> "Device":
        """What this process measures on; xdist's workers share out what the caller sees."""
        from perfgate.measure.devices.find import find_device

        return find_device(self.options.device, int(self._worker.removeprefix("gw")) if self._worker else 0)

    @property
    def kind(self) -> str:
        """The kind of the device, or ``none``."""
        return "none" if self.options.device == "none" else self.device.kind

    @cached_property
    def default_tier(self) -> str:
        """The tier of a run that names none: larger shapes where there is a GPU."""
        try:
            on_gpu = self.options.device != "none" and self.device.kind == "cuda"
        except UserError:  # said where something is to be measured
            on_gpu = False
        return "standard" if on_gpu else self.options.default_tier

    @property
    def tier(self) -> str:
        """The largest tier that runs."""
        return self.options.tier or self.default_tier

    def measure(
        self, item: pytest.Item, workload: Workload, tolerances: Mapping[str, float], marked: Mapping[str, Any]
    ) -> "Result":
        """Run one case."""
        from perfgate.cases.runner import require_workload

        accept = None if self.options.reference else self._again(item.nodeid, str(marked["tier"]))
        case = self._case(item, accept, tolerances)
        with self._planned(marked) as session:
            progress, checked = self._progress(case.id), require_workload(workload)
            if self.options.calibrate:
                result = session.calibrate(case, checked, self.options.calibrate, self.options.slowdowns, progress)
            else:
                result = session.run_case(case, checked, progress)
        self._attach(item, result)
        return result

    def try_effect(
        self,
        item: pytest.Item,
        vanilla: Workload,
        setting: Workload,
        expected: dict[str, Any],
        marked: Mapping[str, Any],
    ) -> "Result":
        """Run one effect."""
        from perfgate.cases.runner import require_workload
        from perfgate.gate.effects import parse_all
        from perfgate.gate.equivalence import parse_likenesses
        from perfgate.records.metrics import check_known

        likenesses = parse_likenesses(expected.pop("same", ()), expected.pop("near", {}))
        if not expected and not likenesses:
            raise UserError(f"{item.nodeid}: effect() needs what to expect of a metric, like step_time_s='< 1.4x'")
        check_known(expected, f"{item.nodeid}: effect()")
        expected = {name: text for name, text in self._here(expected).items() if text is not None}
        if not expected and not likenesses:
            raise Unavailable(f"{item.nodeid} promises nothing on this device ({self.kind})")
        case = self._case(item, None, {})
        sides = require_workload(vanilla), require_workload(setting)
        if vanilla.sha256 == setting.sha256:
            raise UserError(f"{item.nodeid}: effect() got the same workload twice; a setting must differ from vanilla")
        with self._planned(marked) as session:
            found = parse_all(expected), likenesses
            result = session.run_effect(case, *sides, *found, self._progress(case.id))
        self._attach(item, result)
        return result

    def _here(self, expected: Mapping[str, Any]) -> dict[str, Any]:
        """What is expected on this device, where a mapping says it for each."""
        kind = "cpu" if self.kind == "none" else self.kind
        return {name: text.get(kind) if isinstance(text, Mapping) else text for name, text in expected.items()}

    def _case(self, item: pytest.Item, accept: str | None, tolerances: Mapping[str, float]) -> "Case":
        from perfgate.cases.lines import Case

        technique = item.path.stem.removeprefix("test_")
        return Case(item.nodeid.removeprefix(f"{self.options.root}/"), technique, accept, tolerances)

    @contextmanager
    def _planned(self, marked: Mapping[str, Any]) -> Iterator["CaseRunner"]:
        """The session, with the effort that a case's mark asks for."""
        session = self._open()
        plan = session.stage.plan
        own = {key: marked[key] for key in ("launches", "timeout_s") if key in marked}
        own |= {"device": "none"} if marked.get("dry") else {}
        session.stage.plan = replace(plan, **own)
        try:
            yield session
        finally:
            session.stage.plan = plan

    def _again(self, nodeid: str, tier: str) -> str:
        """The command that measures one case as it was measured here."""
        device = self.options.device
        options = [] if device in ("auto", "cpu") else [f"--perf-device {shlex.quote(device)}"]
        if TIERS.index(tier) > TIERS.index(self.default_tier):
            options.append(f"--perf-tier {self.tier}")
        return " ".join([command(), shlex.quote(nodeid), *options])

    def _attach(self, item: pytest.Item, result: "Result") -> None:
        for name, value in result.metrics.items():
            item.user_properties.append((name, value))
        item.stash[RESULT] = {
            "case": result.case,
            "kind": result.outcome.kind,
            "line": one_line(result),
            "verdicts": [verdict.to_json() for verdict in result.verdicts],
            "steps_s": list(result.steps_s),
            "benchmark": described(item, result.metrics, {v.metric: v.verdict for v in result.verdicts}),
        }

    def _progress(self, case: str) -> Any:
        return partial(self.show, case)

    def _open(self) -> "CaseRunner":
        if self._session is None:
            from perfgate.cases.runner import CaseRunner
            from perfgate.measure.plan import MeasurementPlan
            from perfgate.measure.stage import Stage
            from perfgate.records.portable import PortableStore, pair_of
            from perfgate.records.store import Store, open_root

            options = self.options
            root = self._stack.enter_context(open_root(options.baselines, self.config.rootpath))
            folder = self._stack.enter_context(TemporaryDirectory(prefix="perfgate-", ignore_cleanup_errors=True))
            plan = MeasurementPlan(
                launches=options.launches,
                timeout_s=options.timeout_s,
                device=self.kind,
                instruments=instruments_of(self.config),
            )
            servers = 1 if self.kind == "none" else 2
            stage = Stage(self.preload, Path(folder), plan, servers, self.reference, self.device)
            store = Store(root, self.device.machine.name)
            portable = PortableStore(root, pair_of(software()))
            self._session = CaseRunner(store, portable, self._part, stage, self._rules())
        return self._session

    @cached_property
    def noise(self) -> "Noise":
        """What is known of this machine's duets; with baselines of a revision, what is known here all the same."""
        from perfgate.cases.noise_file import read_noise

        return read_noise(self.config.rootpath / self.options.baselines / self.device.machine.name)

    def _rules(self) -> "Policy":
        from perfgate.cases.deadline import Deadline
        from perfgate.cases.duets import Policy
        from perfgate.gate.alpha_budget import AlphaBudget

        options = self.options
        workers = self.config.workerinput["workercount"] if self._worker else 1  # type: ignore[attr-defined]
        budget = AlphaBudget(self.pairs, parts=workers * options.shard[1])
        limit = Deadline(options.budget_s, -(-self.selected // workers))
        return Policy(budget, limit, self.noise, options.strict, options.update)

    def close(self) -> None:
        """End all processes, and clear away what the session needed."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        self._stack.close()
