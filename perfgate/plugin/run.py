"""One pytest run, in one process or over xdist's workers, from collection to run file and baselines."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from perfgate.plugin import annotations
from perfgate.plugin.cases import CALLED, RESULT, Cases, Process, scratch
from perfgate.plugin.ends import Ends
from perfgate.plugin.extensions import instruments_of, reports_of
from perfgate.plugin.history import check_history
from perfgate.plugin.imports import touched
from perfgate.plugin.last_lines import last_lines, product_lines, unseen_lines
from perfgate.plugin.namesakes import PerfgateWarning, namesakes, unasked
from perfgate.plugin.options import Options
from perfgate.plugin.power_limits import check_limits, timed_under
from perfgate.plugin.report_plugins import show_in_html
from perfgate.plugin.run_writer import RunWriter
from perfgate.plugin.screen import Screen
from perfgate.plugin.selection import (
    check_marks,
    fixtures_of,
    gated_pairs,
    in_shard,
    is_case,
    select,
    within_tier,
)
from perfgate.plugin.sides import Sides
from perfgate.plugin.target import Target
from perfgate.plugin.unjudged import Unjudged, unjudged
from perfgate.plugin.worth import put_in_order
from perfgate.records.durations import read_durations
from perfgate.shared.errors import UserError
from perfgate.system.git import git_state


@contextmanager
def a_usage_error() -> Iterator[None]:
    """Turn a user's mistake within the block into pytest's usage error, before anything is measured."""
    try:
        yield
    except UserError as error:
        raise pytest.UsageError(str(error)) from None


class Run:
    """One run, from collection to baselines. It is registered as a plugin: its methods are pytest hooks.

    Args:
        config: pytest's configuration.
        options: the options of the run.

    Attributes:
        target: the device that the run measures on.
        sides: the candidate and the reference.
        ends: the end of each case.
        writer: writes the run file.
    """

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self.config = config
        self.options = options
        self.ends = Ends()
        self.problem = ""
        self._screen = Screen(config)
        worker = getattr(config, "workerinput", None)
        self.worker: str | None = worker["workerid"] if worker else None
        self.target = Target(options, config.rootpath, self.worker)
        self.sides = Sides(config, options)
        self.writer = RunWriter(config, options, self.target, self.sides)
        self._pairs = 1
        self._digest = ""
        self._marked: list[str] = []
        self._plan: list[str] = []
        self._unjudged = Unjudged()
        self._touching: list[str] = []
        self._cases: Cases | None = None
        self._stack = ExitStack()
        self._stack.callback(self.writer.parts.close)

    @property
    def cases(self) -> Cases:
        """The run's cases, known once collection has ended."""
        if self._cases is None:
            raise RuntimeError("no case can be measured before collection has ended")
        return self._cases

    @cached_property
    def shared(self) -> Path:
        """A temporary folder that this run's workers share."""
        return self._stack.enter_context(scratch())

    def headline(self) -> str:
        """The header's line with machine, tier and baselines."""
        where = f"{self.target.headline(self.sides.software)}, tier {self.target.tier}"
        held = self.sides.headline() if self.options.reference else f"baselines {self.options.baselines}"
        return f"{where}, {held}"

    def pytest_sessionstart(self) -> None:
        """Make both sides ready, once for all workers."""
        if self.worker:
            self.sides.receive(self.config.workerinput["perf_sides"])  # type: ignore[attr-defined]
        elif self.sides.wanted_first and not self.config.option.collectonly:
            with a_usage_error():
                self.sides.open(self._stack, self._screen.tell)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Deselect cases above the tier or in another shard, before -k and --lf look at them."""
        for item, sentence in namesakes(items):
            item.warn(PerfgateWarning(sentence))
        cases = [item for item in items if is_case(item)]
        self.ends.collected = {item.nodeid for item in cases}
        with a_usage_error():
            check_marks(cases)
            durations = read_durations(self.config.rootpath / self.options.durations) if self._sharded else {}
        within = timed_under(within_tier(cases, self.target.tier), self.options.power_limits_w)
        self._pairs = gated_pairs(within, self.target.on_gpu)
        for item in cases:
            if "effect" in fixtures_of(item):
                item.add_marker("effect")
        with a_usage_error():
            concerned, self._touching = touched(within, self.options)
        mine, self._digest = in_shard(concerned, self.options.shard, durations, self.options.shards_at_once)
        if tries := self.writer.tries:
            tries.look(self.writer.header(), self._pairs, self._digest)
            mine = [item for item in mine if item.nodeid.removeprefix(f"{self.options.root}/") not in tries]
        chosen = set(mine)
        if dropped := [item for item in cases if item not in chosen]:
            self.config.hook.pytest_deselected(items=dropped)
            items[:] = [item for item in items if item in chosen or not is_case(item)]
        if self.options.budget_s is not None:
            put_in_order(items, self.options, self.target, self.sides.software)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Prepare to measure the selected cases, and check that their results can be stored."""
        identity = self.writer.tries.identity if self.writer.tries else ""
        selection = select(session.items, self._pairs, self.options, self._digest, identity)
        told = getattr(self.config, "workerinput", {})
        workers, shared = (told["workercount"], Path(told["perf_shared"])) if told else (1, None)
        with a_usage_error():
            traces = self.writer.path.with_suffix(".traces")
            instruments = instruments_of(self.config)
            process = Process(self.config.rootpath, self.writer.parts.own, workers, instruments, traces, shared)
        if self.options.plan:
            from perfgate.plugin.plan import planned

            self._plan = planned(session.items, self.options, self.target)
        self._cases = Cases(self.options, self.target, selection, process, self.sides, self._screen.show)
        if not selection.cases or self.config.option.collectonly:
            return
        if self.worker:
            with suppress(UserError):  # a folder without write access also fails each case, with a sentence
                self.writer.parts.claim()
            return
        with a_usage_error():
            self.sides.check(selection.needs_libraries)
            check_limits(self.target, self.options.power_limits_w)
            self.check_products()
            self.writer.parts.claim()
        self.expect(selection.cases)

    def check_products(self) -> None:
        """Refuse a run whose products could not be made at its end, before anything is measured."""
        with a_usage_error():
            reports_of(self.config, self.options.reports)
            check_history(self.options.history, self.config.rootpath)
            if self.options.update:
                self.target.check_writable(self.sides.software)

    def expect(self, items: int) -> None:
        """Begin to show the progress of the run, and note the commit that it measures."""
        if not self._screen.expects:
            self.writer.commit = git_state(self.config.rootpath)[0]
            self._screen.expect(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Forget the result of an item that another plugin ran before."""
        if RESULT in item.stash:
            del item.stash[RESULT]
        if CALLED in item.stash:
            del item.stash[CALLED]

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self) -> Iterator[None]:
        """End the processes after the last case, before pytest-cov collects their coverage."""
        try:
            return (yield)
        finally:
            self._close()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        """Attach a case's result to its report, so that it travels from a worker to the controller."""
        outcome: Any = yield
        report = outcome.get_result()
        report.perfgate_case = is_case(item)
        if report.perfgate_case and (call.when == "call" or (call.when == "setup" and RESULT in item.stash)):
            report.perfgate = item.stash.get(RESULT, {"asked": False})
            show_in_html(self.config, report)
            if report.passed and RESULT not in item.stash:
                self._warn_unasked(item, report)

    def _warn_unasked(self, item: pytest.Item, report: Any) -> None:
        """Warn about a test that passed and measured nothing; under ``--perf-strict`` it fails."""
        sentence = unasked(item)
        if self.options.strict:
            report.outcome, report.longrepr = "failed", sentence
        else:
            item.warn(PerfgateWarning(sentence))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Record how a case ended, and print its line if it was measured."""
        if self.worker or not getattr(report, "perfgate_case", True):
            return
        self.ends.add(report)
        if case := self.ends.passed(report):
            self.writer.passed(case)
        if hasattr(report, "node") and getattr(report, "perfgate_case", False):
            with suppress(UserError):
                self.writer.parts.claim()
        if report.failed and annotations.wanted():
            self._marked.append(annotations.annotation(report, self.config.rootpath))
        result = getattr(report, "perfgate", None)
        if result is None or "line" not in result or (report.when == "setup" and report.passed):
            return
        self._screen.ended("failed" if report.failed else result["kind"], result["line"], len(self.ends.results))

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """Show no dot for a case, because it has its own line."""
        result = getattr(report, "perfgate", None)
        if "line" not in (result or {}) or self.worker or report.when != "call" or hasattr(report, "wasxfail"):
            return None
        # Plugins that repeat a case have outcomes of their own.
        word = {"passed": "PASSED", "failed": "FAILED", "skipped": "SKIPPED"}.get(report.outcome)
        return (report.outcome, "", word) if word else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End all processes, write the run file, and make its products."""
        self._close()
        self._screen.clear()
        try:
            if not self.worker:
                # A shard without cases still writes that it had nothing to measure.
                of_shard = self._sharded and self._cases is not None and not self.config.option.collectonly
                self.writer.write(int(session.exitstatus), self.ends, even_empty=of_shard)
        except UserError as error:
            self.problem = str(error)
        finally:
            self._stack.close()
        if self.worker:
            self.config.workeroutput["perf_collected"] = sorted(self.ends.collected)  # type: ignore[attr-defined]
            return
        self._unjudged = unjudged(self.config, self.options, self.target, self.sides.software, self.ends)
        self.problem = self.problem or self._unjudged.problem(self.ends, self.options)
        if self.problem and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _close(self) -> None:
        if self._cases is not None:
            try:
                self._cases.close()
            except UserError as error:
                self.problem = str(error)

    @property
    def _sharded(self) -> bool:
        return self.options.shard[1] > 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the verdicts, and the commands that help."""
        concerned = f"cases that changes since {self.options.affected} concern"
        for title, lines in (("perfgate plan", self._plan), (concerned, [] if self.worker else self._touching)):
            if lines:
                terminalreporter.section(title)
                for line in lines:
                    terminalreporter.write_line(line)
        for line in self._marked:
            terminalreporter.write_line(line)
        taken, products = self.writer.taken_over(), self.writer.products
        if self.worker or not (self.ends.results or self.problem or taken or any(self._unjudged.lines())):
            return
        terminalreporter.section("perfgate")
        arguments = self.config.invocation_params.args
        ended = (self.ends.results, self.sides, products.update, self.writer.path)
        for line in last_lines(self.options, arguments, *ended):
            terminalreporter.write_line(line)
        unseen = unseen_lines(self.config, self.options, self.sides, self.target, self.ends, self._unjudged)
        for line in (*taken, *product_lines(products), *unseen):
            terminalreporter.write_line(line)
        if self.problem:
            terminalreporter.write_line(f"ERROR: {self.problem}", red=True)

    def pytest_unconfigure(self) -> None:
        """End every process that is left, whatever happened."""
        self._close()
        self._stack.close()
