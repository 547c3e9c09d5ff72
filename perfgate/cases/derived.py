"""Metrics that are computed from others: throughput, percentiles, rates of work."""

import statistics
from collections.abc import Sequence
from dataclasses import replace

from perfgate.measure.steps import percentiles
from perfgate.records.launch import Launch
from perfgate.shared.metrics import METRICS


def with_derived(launch: Launch) -> Launch:
    """Add throughput and percentiles, which are computed from the steps."""
    steps = launch.metrics.get("step_time_s")
    if launch.invalid or not isinstance(steps, list):
        return launch
    typical_s = statistics.median(steps)
    derived = percentiles(steps)
    derived |= {name: amount / typical_s for name, amount in launch.rate_amounts.items()}
    derived |= of_energy(launch)
    # Percentiles over single steps, by the device's clock, are better than percentiles over bursts.
    return replace(launch, metrics={**derived, **launch.metrics})


def of_energy(launch: Launch) -> dict[str, float]:
    """The joules per sample and per token, if a launch has the joules of a step."""
    amounts = {"energy_per_sample_j": launch.samples, "energy_per_token_j": launch.tokens}
    step_j = launch.value("energy_j") if "energy_j" in launch.metrics else 0.0
    return {name: step_j / amount for name, amount in amounts.items() if step_j and amount}


def with_work(launches: Sequence[Launch]) -> list[Launch]:
    """Add FLOP/s and bytes/s to timed launches, from the work that the dry run of the same workload counted.

    Both are added as shares of the device's peak as well, if that was measured beside the steps.
    """
    dry = {(x.side, x.workload): x for x in launches if x.pass_name == "dry" and not x.invalid}
    return [
        replace(launch, metrics={**rates(launch, dry[launch.side, launch.workload]), **launch.metrics})
        if launch.pass_name == "time" and not launch.invalid and (launch.side, launch.workload) in dry
        else launch
        for launch in launches
    ]


def rates(timed: Launch, dry: Launch) -> dict[str, float]:
    """The rates of work of one timed launch, and their shares of the device's peaks."""
    found: dict[str, float] = {}
    for name, row in METRICS.items():
        if row.rate and row.rate.of in dry.metrics and (amount := dry.value(row.rate.of)):
            found[name] = amount / timed.value("step_time_s")
            if row.rate.peak in timed.metrics:
                spans_s, peaks = timed.steps("step_time_s"), timed.steps(row.rate.peak)
                found[row.rate.share] = statistics.median(amount / s / p for s, p in zip(spans_s, peaks, strict=True))
    return found
