"""One pytest run, in one process or over xdist's workers: from the first case to run file and baselines."""

import os
import secrets
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from perfgate.errors import UserError
from perfgate.model import TIERS
from perfgate.options import Options
from perfgate.records.provenance import git_state, software
from perfgate.reports.benchmark import described
from perfgate.reports.live import Live, one_line
from perfgate.workload import Workload

if TYPE_CHECKING:
    from perfgate.account import Case
    from perfgate.records.store import Store
    from perfgate.reference import Reference
    from perfgate.session import Result, Session
    from perfgate.stage.devices import Device
    from perfgate.trial import Rules

PROGRAMS = {
    "training": ("trainer", "accelerated"),
    "generation": ("generation",),
    "forward": ("forward",),
}


class Run:
    """Holds what lives as long as the run. Registered as a plugin: its methods are pytest hooks."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self.config = config
        self.options = options
        self.pairs = 1
        self.results: list[Mapping[str, Any]] = []
        self.ran = 0
        self.problem = ""
        self.reference: Reference | None = None
        self._session: Session | None = None
        self._live: Live | None = None
        self._selected = 0
        self._preload: tuple[str, ...] = options.preload
        worker = getattr(config, "workerinput", None)
        self.worker: str | None = worker["workerid"] if worker else None
        now = datetime.now(UTC)
        self.created = now.isoformat(timespec="seconds")
        self.run_id: str = worker["perf_run_id"] if worker else f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        self.output = config.rootpath / options.output
        self._stack = ExitStack()
        if options.device not in ("auto", "cpu", "none"):
            # What is named must be there; what is found out by itself is looked for when first needed.
            self.device  # noqa: B018

    @cached_property
    def device(self) -> "Device":
        """What this process measures on; xdist's workers share out what the caller sees."""
        from perfgate.stage.devices import find_device

        return find_device(self.options.device, int(self.worker.removeprefix("gw")) if self.worker else 0)

    @property
    def _kind(self) -> str:
        return "none" if self.options.device == "none" else self.device.kind

    # -- what cases ask for ------------------------------------------------------------------------------------------

    def headline(self) -> str:
        """Machine, tier and baselines, for the header."""
        from perfgate.records.portable import pair_of

        try:
            where = f"machine {self.device.machine.name}"
        except UserError as error:
            # A run that measures nothing has nothing to do with it; one that does says it again, and fails.
            where = str(error)
        if self.options.device == "none":
            where = f"no device, {pair_of(software())}"
        if self.options.reference:
            return f"{where}, tier {self.options.tier}, against {self.options.reference}"
        return f"{where}, tier {self.options.tier}, baselines {self.options.baselines}"

    def measure(
        self, item: pytest.Item, workload: Workload, tolerances: Mapping[str, float], marked: Mapping[str, Any]
    ) -> "Result":
        """Run one case."""
        from perfgate.session import require_workload

        accept = None if self.options.reference else self._again(item.nodeid, str(marked["tier"]))
        case = self._case(item, accept, tolerances)
        with self._effort(marked) as session:
            progress, checked = self._progress(case.id), require_workload(workload)
            if self.options.calibrate:
                result = session.calibrate(case, checked, self.options.calibrate, progress)
            else:
                result = session.run_case(case, checked, progress)
        self._attach(item, result)
        return result

    def try_effect(
        self,
        item: pytest.Item,
        vanilla: Workload,
        setting: Workload,
        expected: Mapping[str, Any],
        marked: Mapping[str, Any],
    ) -> "Result":
        """Run one effect."""
        from perfgate.gate.effects import parse_all
        from perfgate.records.metrics import check_known
        from perfgate.session import require_workload

        if not expected:
            raise UserError(f"{item.nodeid}: effect() needs what to expect of a metric, like step_time_s='< 1.4x'")
        check_known(expected, f"{item.nodeid}: effect()")
        expected = {name: text for name, text in self._here(expected).items() if text is not None}
        case = self._case(item, None, {})
        sides = require_workload(vanilla), require_workload(setting)
        with self._effort(marked) as session:
            result = session.run_effect(case, *sides, parse_all(expected), self._progress(case.id))
        self._attach(item, result)
        return result

    def _here(self, expected: Mapping[str, Any]) -> dict[str, Any]:
        """What is expected on this device, where a mapping says it for each."""
        kind = "cpu" if self._kind == "none" else self._kind
        return {name: text.get(kind) if isinstance(text, Mapping) else text for name, text in expected.items()}

    def _case(self, item: pytest.Item, accept: str | None, tolerances: Mapping[str, float]) -> "Case":
        from perfgate.account import Case

        technique = item.path.stem.removeprefix("test_")
        return Case(item.nodeid.removeprefix(f"{self.options.root}/"), technique, accept, tolerances)

    @contextmanager
    def _effort(self, marked: Mapping[str, Any]) -> Iterator["Session"]:
        """The session, with the effort that a case's mark asks for."""
        session = self._open()
        effort = session.stage.effort
        own = {key: marked[key] for key in ("launches", "timeout_s") if key in marked}
        own |= {"device": "none"} if marked.get("dry") else {}
        session.stage.effort = replace(effort, **own)
        try:
            yield session
        finally:
            session.stage.effort = effort

    def _again(self, nodeid: str, tier: str) -> str:
        """The command that measures one case as it was measured here."""
        device = self.options.device
        options = [] if device in ("auto", "cpu") else [f"--perf-device {shlex.quote(device)}"]
        if TIERS.index(tier) > TIERS.index(self.options.default_tier):
            options.append(f"--perf-tier {self.options.tier}")
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
        def tell(what: str) -> None:
            if self._live is not None:
                capture = self.config.pluginmanager.getplugin("capturemanager")
                with capture.global_and_fixture_disabled():
                    self._live.show(case, what)

        return tell

    def _open(self) -> "Session":
        if self._session is None:
            from perfgate.records.portable import PortableStore, pair_of
            from perfgate.records.store import Store, open_root
            from perfgate.session import Session
            from perfgate.stage.conductor import Effort, Stage

            options = self.options
            root = self._stack.enter_context(open_root(options.baselines, self.config.rootpath))
            folder = self._stack.enter_context(TemporaryDirectory(prefix="perfgate-", ignore_cleanup_errors=True))
            part = self.output / f"{self.run_id}.{self.worker or 'main'}.part"
            effort = Effort(launches=options.launches, timeout_s=options.timeout_s, device=self._kind)
            servers = 1 if self._kind == "none" else 2
            stage = Stage(self._preload, Path(folder), effort, servers, self.reference, self.device)
            store = Store(root, self.device.machine.name)
            portable = PortableStore(root, pair_of(software()))
            self._session = Session(store, portable, part, stage, self._rules(store))
        return self._session

    def _rules(self, store: "Store") -> "Rules":
        from perfgate.gate.budget import Budget
        from perfgate.limit import Limit
        from perfgate.noise import read_noise
        from perfgate.trial import Rules

        options = self.options
        workers = self.config.workerinput["workercount"] if self.worker else 1  # type: ignore[attr-defined]
        budget = Budget(self.pairs, parts=workers * options.shard[1])
        limit = Limit(options.budget_s, -(-self._selected // workers))
        return Rules(budget, limit, read_noise(store.folder), options.strict, options.update)

    # -- hooks -------------------------------------------------------------------------------------------------------

    def pytest_sessionstart(self) -> None:
        """Make the reference ready, once for all workers."""
        options = self.options
        if not options.reference or self.config.option.collectonly:
            return
        from perfgate.reference import Reference, opened

        if self.worker:
            self.reference = Reference.from_json(self.config.workerinput["perf_reference"])  # type: ignore[attr-defined]
            return
        root = self.config.rootpath
        written = [root / options.output, root / options.baselines]
        how = (options.reference_python, options.locks, options.install, written)
        try:
            self.reference = self._stack.enter_context(opened(options.reference, root, *how))
        except UserError as error:
            raise pytest.UsageError(str(error)) from None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """See which programs the selected cases need, and whether their result can be stored."""
        cases = [item for item in session.items if {"perf", "effect"} & set(getattr(item, "fixturenames", []))]
        self._selected = len(cases)
        used = {name for item in cases for name in getattr(item, "fixturenames", [])}
        programs = [program for fixture, names in PROGRAMS.items() if fixture in used for program in names]
        modules = [f"perfgate.actor.programs.{name}" for name in (*programs, "yardstick")]
        if programs:
            modules.append("perfgate.actor.ledger.dry_run")
        self._preload = (*modules, *self.options.preload)
        if not cases or self.worker or self.config.option.collectonly:
            return
        try:
            self._check()
        except UserError as error:
            raise pytest.UsageError(str(error)) from None
        self._live = Live(sys.stdout, len(cases))

    def _check(self) -> None:
        """Find out before the first case what would make the whole run useless."""
        from perfgate.records.portable import PortableStore, pair_of
        from perfgate.records.store import Store

        options = self.options
        if options.update:
            root = self.config.rootpath / options.baselines
            alone = options.device == "none"
            store = PortableStore(root, pair_of(software())) if alone else Store(root, self.device.machine.name)
            store.check_writable()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of xdist to which run it belongs."""
        node.workerinput["perf_run_id"] = self.run_id
        node.workerinput["perf_reference"] = self.reference.to_json() if self.reference else None

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Learn from a worker how many items there are."""
        if self._live is None:
            self._live = Live(sys.stdout, len(ids))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        """Let a case's result travel with its report, from a worker to the controller."""
        outcome: Any = yield
        report = outcome.get_result()
        if call.when == "call" and {"perf", "effect"} & set(getattr(item, "fixturenames", [])):
            report.perfgate = item.stash.get(RESULT, {})

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Show a finished case."""
        result = getattr(report, "perfgate", None)
        if result is None or self.worker:
            return
        self.ran += not report.skipped
        if not result:
            return
        self.results.append(result)
        writer = self.config.pluginmanager.getplugin("terminalreporter")
        live = self._live or Live(sys.stdout, 0)
        live.clear()
        text = live.finished(result["line"])
        if writer is not None and writer.verbosity >= 0:
            # Not as a line of its own, or pytest would repeat the file's name before every case.
            writer.write(f"\n{text}", flush=True)

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """A case has its own line, so it needs no dot."""
        result = getattr(report, "perfgate", None)
        if not result or self.worker or report.when != "call":
            return None
        return report.outcome, "", {"passed": "PASSED", "failed": "FAILED"}.get(report.outcome, "SKIPPED")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End all processes, write the run file, move the baselines."""
        if self._session is not None:
            self._session.close()
        if self._live is not None:
            self._live.clear()
        try:
            if not self.worker:
                self._finish()
        except UserError as error:
            self.problem = str(error)
        finally:
            self._stack.close()
        if self.worker:
            return
        if not self.problem and self.ran and not self.results:
            reports = "ran and none of them called perf(), so nothing was measured"
            self.problem = f"{self.ran} {'case' if self.ran == 1 else 'cases'} {reports}"
        if not self.problem and self.results and all(is_invalid(result) for result in self.results):
            self.problem = "no case could be measured; see the reasons above"
        if self.problem and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _finish(self) -> None:
        from perfgate.records import runfile
        from perfgate.records.portable import pair_of

        parts = sorted(self.output.glob(f"{self.run_id}.*.part"))
        if not parts:
            return
        commit, dirty = git_state(self.config.rootpath)
        machine: dict[str, Any] = self.device.machine.to_json()
        if self.options.device == "none":
            machine = {"name": f"portable/{pair_of(software())}", "device": "none"}
        header = {
            "schema": runfile.SCHEMA,
            "run_id": self.run_id,
            "created": self.created,
            "commit": commit,
            "dirty": dirty,
            "machine": machine,
            "software": software(),
            "options": self.options.to_json() | {"device": self._kind},
            **({"reference": self.reference.to_json()} if self.reference else {}),
        }
        runfile.merge(self.path, header, parts)
        if self.options.update:
            from perfgate.update import update_baselines

            update_baselines(runfile.read(self.path), self.config.rootpath / self.options.baselines, self.options)

    @property
    def path(self) -> Path:
        """Where the run file lies."""
        return self.output / f"{self.run_id}.jsonl"

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was decided, and what to do about it."""
        if self.worker or not (self.results or self.problem):
            return
        from perfgate.reports.summary import summary

        terminalreporter.section("perfgate")
        again = f"{command()} {shlex.join(self.config.invocation_params.args)}".strip()
        again = (
            again.replace(f"{command()} {self.options.root}", command()) if "PERFGATE_COMMAND" in os.environ else again
        )
        shown = relative(self.path, Path.cwd())
        storable = None if self.options.reference else again
        for line in summary(self.results, storable, shown, self.options.update) if self.results else ():
            terminalreporter.write_line(line)
        if self.problem:
            terminalreporter.write_line(f"ERROR: {self.problem}", red=True)

    def pytest_unconfigure(self) -> None:
        """Leave no process behind, whatever happened."""
        if self._session is not None:
            self._session.close()
        self._stack.close()


RESULT = pytest.StashKey[dict[str, Any]]()


def is_invalid(result: Mapping[str, Any]) -> bool:
    """Whether a case has no verdict but ``invalid``."""
    return {verdict["verdict"] for verdict in result["verdicts"]} == {"invalid"}


def command() -> str:
    """The command that people type here."""
    return os.environ.get("PERFGATE_COMMAND", "pytest")


def relative(path: Path, folder: Path) -> str:
    """A path as short as it can be."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
