"""The plugin's entry point: declares options and hooks, registers the run, and defines the fixtures of cases."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from perfgate import __version__
from perfgate.plugin import hookspecs
from perfgate.plugin.benchmark_bridge import connect
from perfgate.plugin.builders import OF_MODEL, OF_NO_MODEL, places_of
from perfgate.plugin.cases import CALLED
from perfgate.plugin.declared_options import add_options
from perfgate.plugin.marks import read_tolerance
from perfgate.plugin.namesakes import ALIAS, PerfgateWarning
from perfgate.plugin.options import read_options
from perfgate.plugin.power_limits import check_alone, divide
from perfgate.plugin.run import Run
from perfgate.plugin.selection import marks_of
from perfgate.plugin.workers import Workers
from perfgate.shared.errors import Unavailable, UserError
from perfgate.shared.workload import Workload
from perfgate.workloads.models.model import resolve

if TYPE_CHECKING:
    from perfgate.cases.result import Result

RUN = pytest.StashKey[Run]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare options and ini values."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks by which packages and ``conftest.py`` files add instruments and formats."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options and register a run. No process starts before the first case."""
    config.addinivalue_line(
        "markers", "perf(tier, tolerance, launches, timeout_s, dry): how a performance case is measured and judged"
    )
    config.addinivalue_line("markers", "effect: sees whether a setting does what it promises; set by the fixture")
    try:
        options = read_options(config)
        check_alone(config, options)
        run = Run(config, options)
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[RUN] = run
    config.pluginmanager.register(run, "perfgate-run")
    config.pluginmanager.register(Workers(run), "perfgate-workers")
    connect(config)


@pytest.hookimpl(trylast=True)  # so that the power limit is the last part of a case's id
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one case for each power limit in a sweep over power limits."""
    divide(metafunc, metafunc.config.stash[RUN].options.power_limits_w)


def pytest_report_header(config: pytest.Config) -> str:
    """The line about the machine in pytest's header."""
    return f"perfgate {__version__}: {config.stash[RUN].headline()}"


def of_case(request: pytest.FixtureRequest) -> Callable[..., "Result"]:
    """Measure a workload, compare it with its baseline or reference, and fail if it got worse.

    Call it as ``perf(training(model, batch_size=8))``. ``tolerance=0.05`` sets the largest acceptable change of all
    times, and a mapping, as in ``tolerance={"peak_memory_bytes": 0.01}``, those of single metrics. It returns the
    result of the case.
    """
    run = request.config.stash[RUN]

    def measure(workload: Workload, *, tolerance: Any = None) -> "Result":
        __tracebackhide__ = True
        given = marks_of(request.node).get("tolerance") if tolerance is None else tolerance
        with in_a_sentence(request.node):
            only_call(request.node, "perf()")
            tolerances = {} if given is None else read_tolerance(request.node.nodeid, given)
            result = run.cases.measure(request.node, workload, tolerances)
        return conclude(request.node, result)

    return measure


perf = pytest.fixture(of_case, name="perf")
perfgate_perf = pytest.fixture(of_case, name=ALIAS)  # for suites in which another plugin has a fixture called perf


@pytest.fixture
def effect(request: pytest.FixtureRequest) -> Callable[..., "Result"]:
    """Compare a setting with vanilla, the default configuration, and fail if it does not have the promised effect.

    Call it as ``effect(vanilla, setting, step_time_s="< 1.4x", peak_memory_bytes="< 0.7x")``, with two workloads and
    for each metric the promised ratio of setting to vanilla. The ratio can differ by device, as in
    ``step_time_s={"cpu": "< 2x", "cuda": "< 1.2x"}``. ``same="tokens"`` requires results that are equal to vanilla's
    (``tokens``, ``losses`` or ``logits``), and ``near={"logits": 0.05}`` requires results at most that share away from
    them.
    """
    run = request.config.stash[RUN]

    def measure(vanilla: Workload, setting: Workload, **expected: Any) -> "Result":
        __tracebackhide__ = True
        with in_a_sentence(request.node):
            only_call(request.node, "effect()")
            result = run.cases.try_effect(request.node, vanilla, setting, expected)
        return conclude(request.node, result)

    return measure


def only_call(item: pytest.Item, name: str) -> None:
    """Refuse a second measurement in one test: under the id of a case, a run file holds what was measured last.

    Raises:
        UserError: naming both.
    """
    before = item.stash.get(CALLED, "")
    if before == name:
        one = "a case has one workload" if name == "perf()" else "a case tries one effect"
        raise UserError(f"{item.nodeid} calls {name} twice; {one}")
    if before:
        raise UserError(f"{item.nodeid} calls {before} and {name}; a case is measured once, so make each a test")
    item.stash[CALLED] = name


@contextmanager
def in_a_sentence(item: pytest.Item) -> Iterator[None]:
    """Turn ``UserError`` into a failure and ``Unavailable`` into a skip, each without a traceback.

    The output of another process goes into a section of the report, because pytest repeats the message in its summary.
    """
    __tracebackhide__ = True
    try:
        yield
    except Unavailable as missing:
        raise pytest.skip.Exception(str(missing)) from None
    except UserError as error:
        if error.details:
            item.add_report_section("call", "perfgate", error.details)
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def conclude(item: pytest.Item, result: "Result") -> "Result":
    """Tell pytest how a case ended."""
    __tracebackhide__ = True
    message, details = result.outcome.message, result.outcome.details
    if details:
        item.add_report_section("call", "perfgate", details)
    if result.outcome.kind == "failed":
        # Pytest's summary puts the case's name before this text, and cuts the line at the width of the terminal.
        pytest.fail("\n".join(line.removeprefix(f"{result.case}: ") for line in message.split("\n")), pytrace=False)
    if result.outcome.kind == "skipped":
        pytest.skip(message)
    if result.outcome.kind == "warned":
        item.warn(PerfgateWarning(message))
    return result


def builder(name: str, build: Callable[..., Workload]) -> Any:
    """Make a fixture that builds workloads; a mistake in its arguments fails the case with one sentence."""

    def fixture(request: pytest.FixtureRequest) -> Callable[..., Workload]:
        def safe(*arguments: Any, **settings: Any) -> Workload:
            __tracebackhide__ = True
            with in_a_sentence(request.node):
                return build(*arguments, **settings)

        return safe

    fixture.__doc__ = build.__doc__
    return pytest.fixture(fixture, name=name)


def of_model(name: str) -> Any:
    """Make a fixture that builds workloads of a model; a model's folder is first looked for beside the test file."""
    build = OF_MODEL[name]

    def fixture(request: pytest.FixtureRequest) -> Callable[..., Workload]:
        places = places_of(request.path, request.config)

        def safe(model: Any, **settings: Any) -> Workload:
            __tracebackhide__ = True
            with in_a_sentence(request.node):
                return build(resolve(model, places), **settings)

        return safe

    fixture.__doc__ = build.__doc__
    return pytest.fixture(fixture, name=name)


training = of_model("training")
generation = of_model("generation")
serving = of_model("serving")
forward = of_model("forward")
image_generation = of_model("image_generation")
denoiser_training = of_model("denoiser_training")
loading = of_model("loading")
operator = builder("operator", OF_NO_MODEL["operator"])
tokenizing = builder("tokenizing", OF_NO_MODEL["tokenizing"])
reading = builder("reading", OF_NO_MODEL["reading"])
