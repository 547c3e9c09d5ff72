"""Calibration: learns a machine's noise by stepping cases against themselves, with and without injected slowdowns."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from perfgate.cases.deadline import Deadline
from perfgate.cases.duets import DuetSeries, Progress
from perfgate.gate.alpha_budget import AlphaBudget
from perfgate.gate.clocks import ClockChoice, choose
from perfgate.gate.duets import Duet, of_pair, spread
from perfgate.gate.noise import Noise, Spread, fit
from perfgate.gate.power import Detection, detect
from perfgate.measure.duet import DuetSide
from perfgate.measure.stage import Stage
from perfgate.records.launch import Launch
from perfgate.shared.metrics import metric
from perfgate.shared.workload import Workload

NAME = "step_time_s"
SUITE = 100


def record(
    stage: Stage,
    case: str,
    workload: Workload,
    duets: int,
    slowdowns: Sequence[float],
    progress: Progress,
) -> list[Launch]:
    """Take duets of a case against itself, from two servers, with each slowdown injected into the candidate.

    The slowdowns take turns, so that a drift of the machine affects all of them alike.

    Args:
        stage: the stage with the device.
        case: its id.
        workload: the workload of both sides.
        duets: the number for each slowdown.
        slowdowns: shares of a step's time; 0 injects nothing.
        progress: called with a few words when something begins.
    """
    trials = {}
    for slowdown in slowdowns:
        parts = [DuetSide("reference", stage.pool, workload), DuetSide("candidate", stage.pool, workload, slowdown)]
        trials[slowdown] = DuetSeries(stage, case, parts, Deadline(None, 0), lambda _: None)
    for number in range(duets):
        for slowdown, series in trials.items():
            progress(f"round {number + 1} of {duets}, {slowdown:.0%} slower")
            series.invalid = ""
            series.take(1, "duet")
    # Duets with different slowdowns need different pair numbers.
    launches: list[Launch] = []
    for offset, series in enumerate(trials.values()):
        launches += [replace(launch, pair=(launch.pair or 0) + offset * duets) for launch in series.launches]
    return launches


@dataclass(frozen=True)
class Calibrated:
    """The ability of the gate to see slowdowns of one case on this machine.

    Attributes:
        case: its id.
        spread: the standard deviation of the logarithm between duets without a slowdown; 0.01 is 1%.
        duet_s: the seconds of a duet.
        detections: one for each slowdown, smallest first.
    """

    case: str
    spread: float
    duet_s: float
    detections: tuple[Detection, ...]


@dataclass(frozen=True)
class Calibration:
    """The results of a calibration.

    Attributes:
        results: one for each case with at least two usable duets of one slowdown.
        noise: the machine's noise on the clock of the duets.
        clock: the clock of the duets.
        left_out: the cases without a result.
    """

    results: tuple[Calibrated, ...]
    noise: Noise
    clock: ClockChoice
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecordedDuets:
    """The usable duets of a run.

    Attributes:
        duets: the duets by case and slowdown.
        took_s: the seconds of a duet, by case.
        clock: the clock on which all of them are judged.
    """

    duets: Mapping[str, Mapping[float, list[Duet]]]
    took_s: Mapping[str, float]
    clock: ClockChoice


def analyse(launches: Iterable[Launch], machine: str, date: str, draws: int, pairs: int = SUITE) -> Calibration:
    """Apply the gate's rule to recorded duets. For each case the noise is learned from the other cases.

    Args:
        launches: the launches in a calibration's run file.
        machine: its name.
        date: today, ISO 8601.
        draws: how often to shuffle the duets of a case.
        pairs: number of gated times of the suite, among which the chance of a false alarm is divided.

    Returns:
        A result for each case with usable duets, and the machine's noise on their clock.
    """
    launches = list(launches)
    found = by_case(launches)
    spreads = {case: pooled(levels.values()) for case, levels in found.duets.items()}
    noise = fit(list(spreads.values()), machine, date)
    share = AlphaBudget(pairs).share
    tolerance = metric(NAME).tolerance
    results = []
    for case, levels in found.duets.items():
        others = fit([found for name, found in spreads.items() if name != case], machine, date)
        detections = [
            detect(duets, slowdown, tolerance, share, others if others.df else noise, draws)
            for slowdown, duets in sorted(levels.items())
            if len(duets) > 1
        ]
        own = spreads[case].variance ** 0.5
        if detections:
            results.append(Calibrated(case, own, found.took_s[case], tuple(detections)))
    told = {result.case for result in results}
    left_out = sorted({launch.case for launch in launches if launch.pair is not None} - told)
    return Calibration(tuple(results), noise, found.clock, tuple(left_out))


def by_case(launches: Iterable[Launch]) -> RecordedDuets:
    """The valid duets by case and slowdown, all on one clock."""
    halves: dict[tuple[str, int], dict[str, Launch]] = {}
    for launch in launches:
        if launch.pair is not None and not launch.invalid:
            halves.setdefault((launch.case, launch.pair), {})[launch.side] = launch
    found: dict[str, dict[float, list[Duet]]] = {}
    took: dict[str, list[float]] = {}
    pairs = {key: sides for key, sides in halves.items() if len(sides) == 2}
    clock = choose([launch for sides in pairs.values() for launch in sides.values()])
    for (case, _), halved in pairs.items():
        sides = {side: launch.on(clock.clock or "wall") for side, launch in halved.items()}
        if NAME in sides["reference"].metrics:
            slowdown = sides["candidate"].details.turns.injected
            duet = of_pair(sides["reference"], sides["candidate"], NAME)
            found.setdefault(case, {}).setdefault(slowdown, []).append(duet)
            took.setdefault(case, []).append(sides["candidate"].details.span.took_s or 0.0)
    return RecordedDuets(found, {case: sum(values) / len(values) for case, values in took.items()}, clock)


def pooled(groups: Iterable[Sequence[Duet]]) -> Spread:
    """The spread between duets, pooled over groups that each have their own mean."""
    parts = [spread(group) for group in groups]
    df = sum(part.df for part in parts)
    if not df:
        return Spread(0.0, 0.0)
    return Spread(sum(part.variance * part.df for part in parts) / df, df)


def unusable(launches: Iterable[Launch]) -> str:
    """The reason why too few duets of a run are usable, as a clause."""
    halves = [launch for launch in launches if launch.pair is not None and launch.side == "candidate"]
    reasons = Counter(launch.invalid for launch in halves if launch.invalid)
    if not reasons:
        return f"it holds {len(halves)} duets, and a case needs two of one slowdown"
    reason, count = reasons.most_common(1)[0]
    return f"{sum(reasons.values())} of {len(halves)} could not be used, {count} of them since: {reason}"


def to_json(calibration: Calibration) -> Mapping[str, object]:
    """The document that ``perfgate calibrate --json`` prints."""
    clock = {"clock": calibration.clock.clock, "waited": calibration.clock.waited, "by": calibration.clock.by}
    return {
        "cases": [asdict(result) for result in calibration.results],
        "noise": calibration.noise.to_json(),
        **clock,
    }
