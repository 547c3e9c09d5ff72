"""Measures a case under another power limit, as a case of its own that is compared with nothing."""

from collections.abc import Sequence
from dataclasses import replace

from perfgate.cases.duets import Policy, Progress
from perfgate.cases.lines import Case
from perfgate.cases.stored import Stored, judge
from perfgate.gate.clocks import choose_against, on
from perfgate.measure.devices.base import Device
from perfgate.measure.placement import ranks_of
from perfgate.measure.power_limit import limited
from perfgate.measure.schedule import measure
from perfgate.measure.stage import Stage
from perfgate.records.launch import Launch, medians
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError
from perfgate.shared.metrics import METRICS
from perfgate.shared.workload import Workload

NOTHING_STORED = Stored(None, None)


def under_limit(workload: Workload, device: Device, limit_w: int) -> Workload:
    """The workload under a power limit; under the machine's usual limit it is the unchanged workload.

    Raises:
        UserError: it uses several devices, and the limit is set on one.
    """
    if ranks_of(workload) > 1:
        raise UserError("--perf-power-limits sets the limit of one GPU, and this case takes several; deselect it")
    usual_w = (device.machine.gpu or {}).get("power_limit_w")
    setting = {**workload.setting, "power_limit_w": limit_w}
    return replace(workload, setting=setting, power_limit_w=None if limit_w == usual_w else limit_w)


def measured_under(
    stage: Stage, case: Case, workload: Workload, limit_w: int, policy: Policy, progress: Progress
) -> tuple[list[Launch], list[Verdict], str]:
    """Measure a case under a power limit. Only metrics that could not be measured get a verdict.

    Raises:
        UserError: the limit cannot be set or taken back.
    """
    with limited(stage.device, stage.lock, limit_w):
        launches = measure(stage, case.id, workload, progress)
    clock = choose_against(launches, None)
    launches = list(on(clock, launches))
    software = stage.pool.interpreter.software
    verdicts, remark = judge(case, workload, launches, clock, NOTHING_STORED, policy, software, alone=False)
    return launches, unmeasured(verdicts), "; ".join(filter(None, [in_words(limit_w, launches), remark]))


def in_words(limit_w: int, launches: Sequence[Launch]) -> str:
    """A clause with the limit, and the time and energy of a step under it."""
    values = medians(launches)
    told = [f"{METRICS[name].show(values[name])} a step" for name in ("step_time_s", "energy_j") if name in values]
    return ": ".join(filter(None, [f"under {limit_w} W", ", ".join(told)]))


def unmeasured(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts on metrics that could not be measured; all others are new, because no limited case is stored."""
    return [verdict for verdict in verdicts if verdict.verdict != "new"]
