"""One pytest run, in one process or over xdist's workers: from the first case to run file and baselines."""

import os
import secrets
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfgate.plugin.cases import RESULT, Cases
from perfgate.plugin.extensions import instruments_of, reports_of
from perfgate.plugin.options import Options
from perfgate.reports.live import Live
from perfgate.shared.command import command
from perfgate.shared.errors import UserError
from perfgate.system.git import git_state
from perfgate.system.provenance import software
from perfgate.workloads.programs import DRY_RUN, OF_FIXTURE, modules_of


class Run:
    """Holds what lives as long as the run. Registered as a plugin: its methods are pytest hooks."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self.config = config
        self.options = options
        self.results: list[Mapping[str, Any]] = []
        self.ran = 0
        self.problem = ""
        self._live: Live | None = None
        worker = getattr(config, "workerinput", None)
        self.worker: str | None = worker["workerid"] if worker else None
        now = datetime.now(UTC)
        self.created = now.isoformat(timespec="seconds")
        self.run_id: str = worker["perf_run_id"] if worker else f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        self.output = config.rootpath / options.output
        self._stack = ExitStack()
        part = self.output / f"{self.run_id}.{self.worker or 'main'}.part"
        self.cases = Cases(config, options, part, self.worker)
        self.cases.show = self._show

    def headline(self) -> str:
        """Machine, tier and baselines, for the header."""
        from perfgate.records.portable import pair_of

        try:
            where = f"machine {self.cases.device.machine.name}"
        except UserError as error:
            # A run that measures nothing has nothing to do with it; one that does says it again, and fails.
            where = str(error)
        if self.options.device == "none":
            where = f"no device, {pair_of(software())}"
        if self.options.reference:
            return f"{where}, tier {self.cases.tier}, against {self.options.reference}"
        return f"{where}, tier {self.cases.tier}, baselines {self.options.baselines}"

    def _show(self, case: str, what: str) -> None:
        if self._live is not None:
            capture = self.config.pluginmanager.getplugin("capturemanager")
            with capture.global_and_fixture_disabled():
                self._live.show(case, what)

    def pytest_sessionstart(self) -> None:
        """Make the reference ready, once for all workers."""
        options = self.options
        if not options.reference or self.config.option.collectonly:
            return
        from perfgate.reference.reference import Reference, opened

        if self.worker:
            self.cases.reference = Reference.from_json(self.config.workerinput["perf_reference"])  # type: ignore[attr-defined]
            return
        root = self.config.rootpath
        written = [root / options.output, root / options.baselines]
        how = (options.reference_python, options.locks, options.install, written)
        try:
            self.cases.reference = self._stack.enter_context(opened(options.reference, root, *how))
        except UserError as error:
            raise pytest.UsageError(str(error)) from None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """See which programs the selected cases need, and whether their result can be stored."""
        cases = [item for item in session.items if {"perf", "effect"} & set(getattr(item, "fixturenames", []))]
        self.cases.selected = len(cases)
        used = {name for item in cases for name in getattr(item, "fixturenames", [])}
        programs = [program for fixture, ids in OF_FIXTURE.items() if fixture in used for program in ids]
        # Beside a reference no yardstick is stepped, and both sides import the same.
        modules = modules_of(programs if self.options.reference else [*programs, "yardstick.cpu"])
        if programs:
            modules = (*modules, DRY_RUN)
        self.cases.preload = (*modules, *self.options.preload)
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
        reports_of(self.config, options.reports)
        instruments_of(self.config)
        if options.update:
            root = self.config.rootpath / options.baselines
            alone = options.device == "none"
            store = PortableStore(root, pair_of(software())) if alone else Store(root, self.cases.device.machine.name)
            store.check_writable()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of xdist to which run it belongs."""
        node.workerinput["perf_run_id"] = self.run_id
        node.workerinput["perf_reference"] = self.cases.reference.to_json() if self.cases.reference else None

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
        self.cases.close()
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
        machine: dict[str, Any] = self.cases.device.machine.to_json()
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
            "options": self.options.to_json() | {"device": self.cases.kind, "tier": self.cases.tier},
            **({"reference": self.cases.reference.to_json()} if self.cases.reference else {}),
        }
        runfile.merge(self.path, header, parts)
        options = self.options
        if options.update:
            from perfgate.cases.update import update_baselines

            root = self.config.rootpath / options.baselines
            update_baselines(runfile.read(self.path), root, options.update, options.reason)
        if options.reports:
            from perfgate.reports.run_report import run_report

            report = run_report([runfile.read(self.path)])
            for path, writer in reports_of(self.config, options.reports).items():
                write_text(path, writer(report))

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
        if self.cases.reference and self.cases.kind != "none" and not self.cases.noise.df:
            terminalreporter.write_line(UNCALIBRATED)
        if self.problem:
            terminalreporter.write_line(f"ERROR: {self.problem}", red=True)

    def pytest_unconfigure(self) -> None:
        """Leave no process behind, whatever happened."""
        self.cases.close()
        self._stack.close()


UNCALIBRATED = (
    "How much duets vary on this machine is not known, so what one duet cleared has no interval; learn it with: "
    "perfgate calibrate"
)


def write_text(path: Path, text: str) -> None:
    """Write a report.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--perf-report: {path} cannot be written: {error.strerror}") from None


def is_invalid(result: Mapping[str, Any]) -> bool:
    """Whether a case has no verdict but ``invalid``."""
    return {verdict["verdict"] for verdict in result["verdicts"]} == {"invalid"}


def relative(path: Path, folder: Path) -> str:
    """A path as short as it can be."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
