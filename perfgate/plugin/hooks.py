"""The plugin's entry point: options, a run, and the fixtures that cases use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from perfgate import __version__
from perfgate.plugin import hookspecs
from perfgate.plugin.benchmark_bridge import connect
from perfgate.plugin.builders import OF_MODEL, OF_NO_MODEL, places_of
from perfgate.plugin.namesakes import ALIAS, PerfgateWarning
from perfgate.plugin.options import add_options, read_options, read_tolerance
from perfgate.plugin.power_limits import check_alone, divide
from perfgate.plugin.run import Run
from perfgate.plugin.selection import marks_of
from perfgate.plugin.workers import Workers
from perfgate.shared.errors import Unavailable, UserError
from perfgate.shared.workload import Workload
from perfgate.workloads.models.model import resolve

if TYPE_CHECKING:
    from perfgate.cases.runner import Result

RUN = pytest.StashKey[Run]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare options and ini values."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks by which others add instruments and formats."""
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


@pytest.hookimpl(trylast=True)  # so that the limit stands last in a case's id
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a case of each power limit, in a sweep over some."""
    divide(metafunc, metafunc.config.stash[RUN].options.power_limits_w)


def pytest_report_header(config: pytest.Config) -> str:
    """Name the machine."""
    return f"perfgate {__version__}: {config.stash[RUN].headline()}"


def of_case(request: pytest.FixtureRequest) -> Callable[..., "Result"]:
    """Measure a workload and compare it with its baseline: ``perf(training(model, batch_size=8))``.

    Args of the function: the workload, and ``tolerance``, a share for all times or a mapping by metric.
    """
    run = request.config.stash[RUN]
    calls: list[Workload] = []

    def measure(workload: Workload, *, tolerance: Any = None) -> "Result":
        __tracebackhide__ = True
        given = marks_of(request.node).get("tolerance") if tolerance is None else tolerance
        with in_a_sentence(request.node):
            if calls:
                raise UserError(f"{request.node.nodeid} calls perf() twice; a case has one workload")
            calls.append(workload)
            tolerances = {} if given is None else read_tolerance(request.node.nodeid, given)
            result = run.cases.measure(request.node, workload, tolerances)
        return conclude(request.node, result)

    return measure


perf = pytest.fixture(of_case, name="perf")
perfgate_perf = pytest.fixture(of_case, name=ALIAS)  # for suites in which another plugin's fixture is called perf


@pytest.fixture
def effect(request: pytest.FixtureRequest) -> Callable[..., "Result"]:
    """Compare a setting with vanilla: ``effect(vanilla, setting, step_time_s="< 1.4x", peak_memory_bytes="< 0.7x")``.

    Args of the function: two workloads, and for each metric the ratio of setting over vanilla that is expected, or a
    mapping from device to ratio, as in ``step_time_s={"cpu": "< 2x", "cuda": "< 1.2x"}``; ``same`` names the outcomes
    (``tokens``, ``losses``, ``logits``) that must be vanilla's, ``near`` those that may be a share away from them, as
    in ``same="tokens", near={"logits": 0.05}``.
    """
    run = request.config.stash[RUN]

    def measure(vanilla: Workload, setting: Workload, **expected: Any) -> "Result":
        __tracebackhide__ = True
        with in_a_sentence(request.node):
            result = run.cases.try_effect(request.node, vanilla, setting, expected)
        return conclude(request.node, result)

    return measure


@contextmanager
def in_a_sentence(item: pytest.Item) -> Iterator[None]:
    """Turn ``UserError`` into a failure and ``Unavailable`` into a skip, each without a traceback.

    What another process printed goes into a section of the item's report, as pytest repeats the message in its summary.
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
        # Pytest's summary names the case in front of this, and cuts what is behind it to the width of the terminal.
        pytest.fail("\n".join(line.removeprefix(f"{result.case}: ") for line in message.split("\n")), pytrace=False)
    if result.outcome.kind == "skipped":
        pytest.skip(message)
    if result.outcome.kind == "warned":
        item.warn(PerfgateWarning(message))
    return result


def builder(name: str, build: Callable[..., Workload]) -> Any:
    """Make a fixture that builds workloads; a user's mistake in its arguments fails the case in one sentence."""

    def fixture(request: pytest.FixtureRequest) -> Callable[..., Workload]:
        def safe(*arguments: Any, **settings: Any) -> Workload:
            __tracebackhide__ = True
            with in_a_sentence(request.node):
                return build(*arguments, **settings)

        return safe

    fixture.__doc__ = build.__doc__
    return pytest.fixture(fixture, name=name)


def of_model(name: str) -> Any:
    """Make a fixture that builds workloads of a model; a folder is looked for from the test's own file on."""
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
