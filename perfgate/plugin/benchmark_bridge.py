"""Shows Perfgate's cases in pytest-benchmark's table, JSON, histogram and comparison, with one value a timed launch.

It does so only if one of pytest-benchmark's options is given, or ``--perf-benchmark-table``.

It rests on three internals of pytest-benchmark (5.3), which ``missing`` checks:

- ``config._benchmarksession.benchmarks``, the list from which it reports when the session finishes. It does so on the
  controller of xdist too, where it measures nothing itself; its workers report nothing.
- ``pytest_benchmark.stats.Metadata``, an entry of that list: made of a fixture, of which it reads the attributes of
  ``Source``, and given one duration in seconds after the other.
- its ``pytest_collection_modifyitems`` takes items for benchmarks that have ``benchmark`` among their ``fixturenames``.
"""

import importlib.metadata
import inspect
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from perfgate.plugin.selection import fixtures_of

FIXTURE = "benchmark"


@dataclass
class Source:
    """Replaces the ``benchmark`` fixture of a case; pytest-benchmark reads the attributes by these names.

    Attributes:
        name: the name of the pytest item.
        fullname: its node id, which identifies it in saved runs.
        group: the group in ``@pytest.mark.benchmark(group=...)``, if the case has one.
        param: the id of its parameters.
        params: the parameters, as plain values.
        extra_info: metrics and verdicts.
    """

    name: str
    fullname: str
    group: str | None = None
    param: str | None = None
    params: Mapping[str, Any] | None = None
    extra_info: Mapping[str, Any] = field(default_factory=dict)
    cprofile_stats: None = None
    has_error: bool = False


class Bridge:
    """A plugin that is registered if pytest-benchmark is; its methods are pytest hooks."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.controls = not hasattr(config, "workerinput")
        self.lost = ""
        self.asked = config.getoption("--perf-benchmark-table") or any(
            argument.startswith("--benchmark-") for argument in arguments_of(config)
        )

    def pytest_sessionstart(self) -> None:
        """Warn if this version of pytest-benchmark is unknown; pytest-benchmark's own session exists only now."""
        self.lost = missing(self.config)
        if self.lost and self.controls:
            self.config.issue_config_time_warning(pytest.PytestWarning(self.lost), stacklevel=2)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Iterator[None]:
        """Let ``--benchmark-only`` keep the cases, and ``--benchmark-skip`` skip them."""
        wanted = self.config.getoption("benchmark_only") or self.config.getoption("benchmark_skip")
        with taken_for_benchmarks([item for item in items if "perf" in fixtures_of(item)] if wanted else []):
            yield

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Give a finished case to pytest-benchmark, on the controller, if any of its options was given."""
        found = getattr(report, "perfgate", None)
        if not (found and found.get("steps_s") and self.controls and self.asked) or self.lost:
            return
        if not self.config.getoption("benchmark_disable") or self.config.getoption("benchmark_enable"):
            source = Source(fullname=report.nodeid, **found["benchmark"])
            rows = self.config._benchmarksession.benchmarks  # type: ignore[attr-defined]
            # Another plugin may have run the case before; only the last run counts.
            rows[:] = [*(row for row in rows if row.fullname != report.nodeid), entry(source, found["steps_s"])]


def arguments_of(config: pytest.Config) -> list[str]:
    """All arguments of a run: from the command line, the ini file and the environment."""
    added = config.getini("addopts")
    return [*config.invocation_params.args, *added, *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]


def connect(config: pytest.Config) -> None:
    """Build the bridge if pytest-benchmark is installed and not turned off."""
    if config.pluginmanager.hasplugin("benchmark"):
        config.pluginmanager.register(Bridge(config), "perfgate-benchmark")


def entry(source: Source, steps_s: Sequence[float]) -> Any:
    """One row of pytest-benchmark's table: its ``Metadata`` with one round a launch."""
    from pytest_benchmark.stats import Metadata

    found = Metadata(source, iterations=1, options={})
    for step_s in steps_s:
        found.update(step_s)
    return found


def described(item: pytest.Item, metrics: Mapping[str, float], verdicts: Mapping[str, str]) -> dict[str, Any]:
    """The fields of ``Source`` for a case, as plain values that a worker can send to the controller."""
    marker = item.get_closest_marker("benchmark")
    callspec = getattr(item, "callspec", None)
    return {
        "name": item.name,
        "group": marker.kwargs.get("group") if marker else None,
        "param": callspec.id if callspec else None,
        "params": {name: plain(value) for name, value in callspec.params.items()} if callspec else None,
        "extra_info": {**metrics, "verdicts": dict(verdicts)},
    }


def plain(value: Any) -> Any:
    """A parameter as a JSON value; an object becomes its ``name`` or its text."""
    return value if isinstance(value, str | int | float | None) else str(getattr(value, "name", value))


@contextmanager
def taken_for_benchmarks(cases: Sequence[Any]) -> Iterator[None]:
    """Make the cases look to other plugins as if they used the fixture ``benchmark``."""
    before = [case.fixturenames for case in cases]
    for case in cases:
        case.fixturenames = [*case.fixturenames, FIXTURE]
    try:
        yield
    finally:
        for case, names in zip(cases, before, strict=True):
            case.fixturenames = names


def missing(config: pytest.Config) -> str:
    """A sentence about parts of pytest-benchmark that the bridge misses, with the remedy; empty if none."""
    lost = []
    if not isinstance(getattr(getattr(config, "_benchmarksession", None), "benchmarks", None), list):
        lost.append("config._benchmarksession.benchmarks is no list")
    options = ("benchmark_only", "benchmark_skip", "benchmark_disable", "benchmark_enable")
    lost += [f"there is no option {name}" for name in options if not hasattr(config.option, name)]
    try:
        from pytest_benchmark.stats import Metadata

        inspect.signature(Metadata).bind(None, iterations=1, options={})
        if list(entry(Source("name", "fullname"), [1.0, 3.0]).as_dict()["stats"]["data"]) != [1.0, 3.0]:
            lost.append("stats.Metadata does not keep the durations that it is given")
    except (ImportError, AttributeError, TypeError, KeyError) as error:
        lost.append(f"stats.Metadata has other arguments or fields ({error})")
    if not lost:
        return ""
    version = importlib.metadata.version("pytest-benchmark")
    return (
        f"pytest-benchmark {version} shows no case of Perfgate: {'; '.join(lost)}. "
        "Cases are measured and judged all the same; install a version that is known to work with "
        "pip install 'pytest-benchmark==5.3.*', or turn it off with -p no:benchmark"
    )
