"""The pytest hooks and fixtures; what they wire together lives elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from perfgate import __version__
from perfgate.models.model import TIERS
from perfgate.plugin import hookspecs
from perfgate.plugin.benchmark_bridge import connect
from perfgate.plugin.options import add_options, check_marker, read_options, read_tolerance
from perfgate.plugin.run import Run
from perfgate.shared.errors import Unavailable, UserError
from perfgate.shared.workload import Workload
from perfgate.workloads import operators, tasks

if TYPE_CHECKING:
    from perfgate.cases.runner import Result

RUN = pytest.StashKey[Run]()
GENERATION_METRICS = 3


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare options and ini values."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks by which others add instruments and formats."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options, and prepare a run; nothing starts before the first case."""
    config.addinivalue_line(
        "markers", "perf(tier, tolerance, launches, timeout_s, dry): how a performance case is measured and judged"
    )
    config.addinivalue_line("markers", "effect: sees whether a setting does what it promises; set by the fixture")
    try:
        run = Run(config, read_options(config))
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[RUN] = run
    config.pluginmanager.register(run, "perfgate-run")
    connect(config)


def pytest_report_header(config: pytest.Config) -> str:
    """Name the machine."""
    return f"perfgate {__version__}: {config.stash[RUN].headline()}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is beyond the tier or in another shard, before -k and --lf look at it."""
    run = config.stash[RUN]
    cases = [item for item in items if is_case(item)]
    try:
        for item in cases:
            for marker in item.iter_markers("perf"):
                check_marker(item.nodeid, marker.args, dict(marker.kwargs))
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    limit = TIERS.index(run.cases.tier)
    within = [item for item in cases if TIERS.index(tier_of(item)) <= limit]
    gated = [item for item in within if "perf" in fixtures_of(item)]
    run.cases.pairs = sum(GENERATION_METRICS if "generation" in fixtures_of(item) else 1 for item in gated)
    for item in cases:
        if "effect" in fixtures_of(item):
            item.add_marker("effect")
    first, count = run.options.shard
    chosen = set(within[first - 1 :: count])
    dropped = [item for item in cases if item not in chosen]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item in chosen or not is_case(item)]


def is_case(item: pytest.Item) -> bool:
    """Whether an item measures anything."""
    return bool({"perf", "effect"} & set(fixtures_of(item)))


def fixtures_of(item: pytest.Item) -> list[str]:
    """Names of all fixtures that an item uses."""
    return list(getattr(item, "fixturenames", []))


def tier_of(item: pytest.Item) -> str:
    """The smallest tier that runs a case: the largest of its marks' and of its model's."""
    named: list[str] = [marker.kwargs["tier"] for marker in item.iter_markers("perf") if "tier" in marker.kwargs]
    callspec = getattr(item, "callspec", None)
    models: list[str] = [
        value.tier for value in (callspec.params.values() if callspec else ()) if hasattr(value, "tier")
    ]
    return max([TIERS[0], *named, *models], key=TIERS.index)


def marks_of(item: pytest.Item) -> dict[str, Any]:
    """The arguments of all perf marks, those of the closest first."""
    found: dict[str, Any] = {}
    for marker in item.iter_markers("perf"):
        found = {**marker.kwargs, **found}
    return found


class PerfgateWarning(pytest.PytestWarning):
    """A case passed, but whether it got worse could not be told."""


@pytest.fixture
def perf(request: pytest.FixtureRequest) -> Callable[..., "Result"]:
    """Measure a workload and hold it against its baseline: ``perf(training(model, batch_size=8))``.

    Args of the function: the workload, and ``tolerance``, a share for all times or a mapping by metric.
    """
    run = request.config.stash[RUN]
    marked = marks_of(request.node)
    calls: list[Workload] = []

    def measure(workload: Workload, *, tolerance: Any = None) -> "Result":
        __tracebackhide__ = True
        given = marked.get("tolerance") if tolerance is None else tolerance
        with in_a_sentence():
            if calls:
                raise UserError(f"{request.node.nodeid} calls perf() twice; a case has one workload")
            calls.append(workload)
            tolerances = {} if given is None else read_tolerance(request.node.nodeid, given)
            result = run.cases.measure(request.node, workload, tolerances, {**marked, "tier": tier_of(request.node)})
        return conclude(request.node, result)

    return measure


@pytest.fixture
def effect(request: pytest.FixtureRequest) -> Callable[..., "Result"]:
    """Hold a setting against vanilla: ``effect(vanilla, setting, step_time_s="< 1.4x", peak_memory_bytes="< 0.7x")``.

    Args of the function: two workloads, and for each metric the ratio of setting over vanilla that is expected, or a
    mapping from device to ratio, as in ``step_time_s={"cpu": "< 2x", "cuda": "< 1.2x"}``; ``same`` names the outcomes
    (``tokens``, ``losses``, ``logits``) that must be vanilla's, ``near`` those that may be a share away from them, as
    in ``same="tokens", near={"logits": 0.05}``.
    """
    run = request.config.stash[RUN]
    marked = {**marks_of(request.node), "tier": tier_of(request.node)}

    def measure(vanilla: Workload, setting: Workload, **expected: Any) -> "Result":
        __tracebackhide__ = True
        with in_a_sentence():
            result = run.cases.try_effect(request.node, vanilla, setting, expected, marked)
        return conclude(request.node, result)

    return measure


@contextmanager
def in_a_sentence() -> Iterator[None]:
    """What a user can mend fails a case, and what is not installed skips it, without a traceback."""
    __tracebackhide__ = True
    try:
        yield
    except Unavailable as missing:
        raise pytest.skip.Exception(str(missing)) from None
    except UserError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def conclude(item: pytest.Item, result: "Result") -> "Result":
    """Tell pytest how a case ended."""
    __tracebackhide__ = True
    message = result.outcome.message
    if result.outcome.kind == "failed":
        pytest.fail(message, pytrace=False)
    if result.outcome.kind == "skipped":
        pytest.skip(message)
    if result.outcome.kind == "warned":
        item.warn(PerfgateWarning(message))
    return result


def builder(name: str, build: Callable[..., Workload]) -> Any:
    """A fixture that builds workloads; what a user gets wrong in it is one sentence, not a traceback."""

    def safe(*arguments: Any, **settings: Any) -> Workload:
        __tracebackhide__ = True
        try:
            return build(*arguments, **settings)
        except UserError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None

    def fixture() -> Iterator[Callable[..., Workload]]:
        yield safe

    fixture.__doc__ = build.__doc__
    return pytest.fixture(fixture, name=name)


training = builder("training", tasks.training)
generation = builder("generation", tasks.generation)
serving = builder("serving", tasks.serving)
forward = builder("forward", tasks.forward)
operator = builder("operator", operators.operator)
