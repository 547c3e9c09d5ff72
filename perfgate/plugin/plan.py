"""Plans a run on a GPU: predicts the seconds of each of its cases, without measuring anything."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from perfgate.gate.wording import many
from perfgate.plugin.builders import OF_MODEL, OF_NO_MODEL, places_of
from perfgate.plugin.options import Options
from perfgate.plugin.selection import fixtures_of, is_case, marks_of
from perfgate.plugin.target import Target
from perfgate.predict.gpu_catalog import find_gpu
from perfgate.predict.session_cost import case_s, step_s
from perfgate.shared.errors import UserError
from perfgate.shared.workload import Workload
from perfgate.workloads.models.model import resolve


class PlannedError(Exception):
    """Ends a case in a plan at the moment when it asks for its measurement."""


def workload_of(item: pytest.Item) -> Workload | None:
    """The workload that a case would measure; ``None`` if only a run can tell, as for an effect."""
    if "perf" not in fixtures_of(item) or not isinstance(item, pytest.Function):
        return None
    places = places_of(item.path, item.config)
    asked: list[Workload] = []

    def perf(workload: Workload, **_: Any) -> None:
        asked.append(workload)
        raise PlannedError

    def of_model(build: Callable[..., Workload]) -> Callable[..., Workload]:
        return lambda model, **settings: build(resolve(model, places), **settings)

    known: dict[str, Any] = {"perf": perf, "perfgate_perf": perf, **OF_NO_MODEL}
    known |= {name: of_model(build) for name, build in OF_MODEL.items()}
    known |= item.callspec.params if hasattr(item, "callspec") else {}
    names = item._fixtureinfo.argnames
    if any(name not in known for name in names):
        return None
    try:
        item.obj(**{name: known[name] for name in names})
    except PlannedError:
        return asked[0]
    except (UserError, pytest.skip.Exception):
        return None
    return None


def planned(items: Sequence[pytest.Item], options: Options, target: Target) -> list[str]:
    """The plan for a run's cases on the GPU that ``--perf-plan`` names.

    Raises:
        pytest.UsageError: there is no such GPU.
    """

    def stored_step_s(node: str, workload: Workload) -> float | None:
        return target.stored_step_s(node.removeprefix(f"{options.root}/"), workload)

    cases = [item for item in items if is_case(item)]
    try:
        return list(plan_lines(cases, options.plan, options.launches, stored_step_s))
    except UserError as error:
        raise pytest.UsageError(str(error)) from None


def plan_lines(
    items: Sequence[pytest.Item], card: str, launches: int, stored_step_s: Callable[[str, Workload], float | None]
) -> Iterator[str]:
    """Lines with the expected seconds of each case, and their sum.

    Args:
        items: the cases of the run.
        card: the name of a GPU in the catalogue.
        launches: timed launches of a case.
        stored_step_s: the stored step time of a case, or ``None``.

    Raises:
        UserError: there is no such GPU.
    """
    gpu = find_gpu(card)
    found: dict[str, tuple[float | None, str]] = {}
    for item in items:
        workload = workload_of(item)
        stored = stored_step_s(item.nodeid, workload) if workload else None
        step = stored or (step_s(workload, gpu) if workload else None)
        seconds = case_s(workload, step, marks_of(item).get("launches", launches)) if workload and step else None
        why = "" if step is None else f"a step of {1e3 * step:,.1f} ms, {'stored' if stored else 'by arithmetic'}"
        found[item.nodeid] = seconds, why
    known = [seconds for seconds, _ in found.values() if seconds is not None]
    usual = statistics.median(known) if known else 30.0
    for case, (seconds, why) in found.items():
        yield f"{usual if seconds is None else seconds:7.0f} s  {case}  ({why or 'not known, so as the others'})"
    total = sum(usual if seconds is None else seconds for seconds, _ in found.values())
    minutes = f"{total / 60:.1f} min for {many(len(found), 'case')}"
    yield f"{total:7.0f} s  = {minutes} on {gpu.name}, planned and not measured"
