"""The spread between launches on this machine, and the smallest slowdown that a stored baseline can see with it."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from perfgate.doctor.finding import Finding
from perfgate.gate.clocks import choose, on
from perfgate.gate.statistics import POWER, PRIOR_FREEDOM, SESSION_PRIOR, combine, errors_shown, safe_expm1
from perfgate.gate.verdicts import MIN_BASELINE_LAUNCHES, MIN_BASELINE_SESSIONS, share_of_alpha
from perfgate.gate.wording import can_see
from perfgate.measure.passes.timed import timed_launch
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.stage import Stage
from perfgate.records.launch import Launch
from perfgate.reference.interpreter import Interpreter
from perfgate.shared.errors import UserError
from perfgate.shared.metric import TOLERANCES
from perfgate.system.temporary import temporary_folder
from perfgate.workloads.programs import modules_of, workload_of

MODULES = modules_of(("calibration", "yardstick.cpu"))
LAUNCHES = 14
SUITE = 30
WAITED_S = 2.0


@dataclass(frozen=True)
class LaunchSpread:
    """The spread between launches of a small program.

    Attributes:
        launches: the number of usable launches.
        disturbed: the number of further launches that could not be used, because another process had the core.
        step_time_s: median over the launches of each launch's median step.
        spread_s: standard deviation between launches of the logarithm of the step time; 0.03 is 3%.
        spread_yardsticks: the same for the ratio of the step time to the yardstick.
        smallest_detectable: smallest slowdown that a baseline of 5 launches would show in 9 of 10 runs of a suite of 30
            cases; 0.05 is 5%.
        waited_s: seconds spent waiting until other runs released the device.
        clock: the clock of the times and why, as a clause; empty for wall time.
    """

    launches: int
    disturbed: int
    step_time_s: float
    spread_s: float
    spread_yardsticks: float
    smallest_detectable: float
    waited_s: float = 0.0
    clock: str = ""

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return asdict(self)


def calibrate(
    launches: int = LAUNCHES,
    progress: Callable[[str], None] = lambda what: None,
    preload: Sequence[str] = (),
    programs: Sequence[str] = (),
) -> LaunchSpread:
    """Time a small program like a case, stepped in turn with the yardstick; each launch takes about 1.3 s.

    Args:
        launches: the number of launches to take.
        progress: called with a few words before each launch.
        preload: the user's own modules that runs import in advance; they must be importable here too.
        programs: the folders of these modules.

    Raises:
        UserError: no fork server starts, or fewer than two launches could be used.
    """
    workload = workload_of("calibration", {})
    done: list[Launch] = []
    with temporary_folder("perfgate-doctor-") as folder:
        candidate = Interpreter(after=tuple(programs))
        stage = Stage((*MODULES, *preload), folder, MeasurementPlan(), candidate=candidate)
        try:
            for number in range(launches):
                progress(f"calibration, launch {number + 1} of {launches}")
                done.append(timed_launch(stage, "doctor", workload, stage.pool.next(), number))
        finally:
            stage.close()
    valid = [launch for launch in done if not launch.invalid]
    if len(valid) < 2:
        raise UserError(f"{launches - len(valid)} of {launches} launches could not be used: {done[-1].invalid}")
    choice = choose(valid)
    found = noise(on(choice, valid), launches - len(valid))
    return replace(found, waited_s=stage.timesheet.waiting_s, clock=choice.remark)


def noise(launches: Sequence[Launch], disturbed: int) -> LaunchSpread:
    """The spread of valid launches.

    Args:
        launches: the usable launches.
        disturbed: the number of launches that could not be used.

    Raises:
        ValueError: fewer than two launches are given.
    """
    steps_s = [launch.value("step_time_s") for launch in launches]
    ratios = [ratio for launch in launches if (ratio := launch.in_yardsticks("step_time_s"))]
    spread = statistics.stdev(map(math.log, ratios))
    return LaunchSpread(
        len(launches),
        disturbed,
        statistics.median(steps_s),
        statistics.stdev(map(math.log, steps_s)),
        spread,
        smallest_detectable(spread),
    )


def smallest_detectable(
    spread: float, stored: int = MIN_BASELINE_LAUNCHES, now: int = MeasurementPlan.launches
) -> float:
    """The smallest slowdown that a stored baseline shows in 9 of 10 runs, by ``gate.statistics``; 0.05 is 5%.

    One session does not show how much sessions differ, so the gate's first assumption is used. In simulations with
    spreads from 0.5% to 10%, between 86% and 98% of such slowdowns are caught.

    Args:
        spread: standard deviation between launches of the logarithm of the time.
        stored: the number of the baseline's launches, from three sessions.
        now: the number of launches of the run that is compared with it.
    """
    sessions = MIN_BASELINE_SESSIONS
    within = (spread**2 * (1 / now + 1 / stored), float(stored - sessions + now - 1))
    between = (SESSION_PRIOR**2 * (1 + 1 / sessions), float(PRIOR_FREEDOM + sessions - 1))
    error, df = combine([within, between])
    errors = errors_shown(share_of_alpha(SUITE), df, POWER)
    return safe_expm1(math.log1p(TOLERANCES["noisy"]) + errors * error)


def findings(found: LaunchSpread) -> list[Finding]:
    """Findings about the spread between launches."""
    told = [
        Finding(
            "noise",
            "ok",
            f"{found.launches} launches of a small program (steps of {found.step_time_s * 1e3:.1f} ms) vary by "
            f"{found.spread_s:.1%} in seconds and by {found.spread_yardsticks:.1%} in yardsticks"
            f"{f' ({found.clock})' if found.clock else ''}; real cases often vary more.",
        ),
        Finding(
            "noise",
            "note",
            f"A baseline of {MIN_BASELINE_LAUNCHES} launches from {MIN_BASELINE_SESSIONS} sessions cannot see a time "
            f"that is {TOLERANCES['noisy']:.1%} slower here; it can see {can_see(found.smallest_detectable)}. "
            f"--perf-ref sees smaller ones. Memory is seen to {TOLERANCES['bytes']:.1%} and exact metrics to one call, "
            "on any machine.",
            "pytest perf_tests --perf-update more --perf-launches 10 (more sessions and launches see smaller ones)",
        ),
    ]
    if found.disturbed:
        total = found.launches + found.disturbed
        text = f"{found.disturbed} of {total} launches could not be used, because another process had the core."
        told.append(Finding("noise", "note", text, "perfgate doctor (once more, when the machine is idle)"))
    if found.waited_s > WAITED_S:
        text = f"The calibration waited {found.waited_s:.0f} s for other runs on this machine; your runs will wait too."
        told.append(Finding("noise", "note", text))
    return told
