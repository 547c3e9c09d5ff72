"""Disturbances of a launch on a GPU: the share of time with reduced clocks, and the share that others used of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from perfgate.measure.devices.base import Status, other_limit
from perfgate.records.details import CannotTell, DeviceSeen
from perfgate.records.launch import Launch

ALLOWED_SHARE = 0.05
# A launch is invalid if a GPU's clocks were held down for one of these reasons. The power limit is no such reason.
SLOWDOWNS = {
    "hw_thermal_slowdown": "it was too hot",
    "sw_thermal_slowdown": "it was too hot",
    "hw_power_brake_slowdown": "its power supply braked it",
    "hw_slowdown": "its hardware slowed it down",
}


@dataclass(frozen=True)
class Company:
    """Foreign processes on a device, which are no actors of the stage.

    Attributes:
        pids: the ids of those that can compute on it, whether they did or not; their memory counts.
        busy: the ids of those that computed.
        share: the share of the multiprocessors' time that they used together; ``None`` if the driver does not report
            it.
    """

    pids: Sequence[int] = ()
    busy: Sequence[int] = ()
    share: float | None = None


def undisturbed(
    launch: Launch, uuid: str, seen: Sequence[Status], company: Company | None, limit_w: float | None = None
) -> Launch:
    """Attach the driver's reports about the device, and reject a launch that was disturbed.

    Only times are disturbed by clocks that are held down and by processes that compute, each in more than 5% of the
    launch. The sides of a duet that take turns share the clock, so it does not change their ratio.
    Processes that hold memory disturb a launch that runs out of it, and memory outside of torch may then be theirs.

    Args:
        launch: the launch after its end.
        uuid: the UUID of the device.
        seen: the driver's reports from before the launch until after it.
        company: other processes on the device; ``None`` if that is not known.
        limit_w: the power limit that the launch should have had; ``None`` if that is not known.
    """
    slowdown_s, shares = held_down_s(seen), held_down_shares(seen)
    pids: Sequence[int] | CannotTell = "cannot tell" if company is None else list(company.pids)
    share: float | CannotTell = "cannot tell" if company is None or company.share is None else company.share
    launch = launch.detailed(seen=DeviceSeen(uuid, pids, slowdown_s, shares, share, seen[-1].power_limit_w))
    if company and company.pids:  # the driver reports the memory of all processes together
        own = {name: value for name, value in launch.metrics.items() if name != "non_torch_memory_bytes"}
        launch = replace(launch, metrics=own)
    if company and company.pids and launch.out_of_memory:
        why = f"process {named(company.pids)} was on the device, and the launch ended: {launch.invalid}"
        return launch.rejected(f"contended: {why}")
    if launch.pass_name != "time" or launch.invalid:
        return launch
    if company and (company.share or 0.0) > ALLOWED_SHARE:
        return launch.rejected(
            f"contended: process {named(company.busy)} used the device for {company.share:.0%} of the time"
        )
    if other_w := other_limit_w(seen, limit_w):
        return launch.rejected(f"other power limit: the device had {other_w:g} W, and not {limit_w:g} W")
    worst = max(SLOWDOWNS, key=lambda reason: shares.get(reason, 0.0))
    if shares.get(worst, 0.0) > ALLOWED_SHARE and launch.details.turns.stepped != "in turn":
        held = f"the device's clock was held down for {shares[worst]:.0%} of the time"
        return launch.rejected(f"throttled: {held}, as {SLOWDOWNS[worst]}")
    return launch


def named(pids: Sequence[int]) -> str:
    """Process ids as text."""
    return ", ".join(map(str, pids))


def other_limit_w(seen: Sequence[Status], limit_w: float | None) -> float | None:
    """A power limit that was in force in place of the right one; ``None`` if there was none, or it is not known."""
    told = [status.power_limit_w for status in seen if status.power_limit_w is not None]
    return next((found for found in told if limit_w is not None and other_limit(found, limit_w)), None)


def worked(seen: Sequence[Status]) -> Sequence[Status]:
    """The reports from the end of the first step on; earlier ones show an idle device, or another program."""
    return seen[1:] if len(seen) > 2 else seen


def held_down_s(seen: Sequence[Status]) -> dict[str, float | None]:
    """By reason, the seconds of reduced clocks between the end of the first step and the last report.

    The value is ``None`` if the driver does not count seconds, but a report gave that reason.
    """
    reports = worked(seen)
    first, last = reports[0].slowdown_ns, reports[-1].slowdown_ns
    grown = {name: (last[name] - first.get(name, 0)) / 1e9 for name in last}
    found: dict[str, float | None] = {name: seconds for name, seconds in grown.items() if seconds > 0}
    uncounted = {name for status in seen[1:] for name in status.reasons if name not in last}
    return dict.fromkeys(sorted(uncounted)) | found


def held_down_shares(seen: Sequence[Status]) -> dict[str, float]:
    """By reason, the share of the time with reduced clocks.

    If the driver does not count seconds, it is the share of reports that gave the reason.
    """
    reports = worked(seen)
    length_s = reports[-1].at_s - reports[0].at_s
    later = seen[1:]
    return {
        name: sum(name in status.reasons for status in later) / len(later)
        if seconds is None
        else min(seconds / length_s, 1.0)
        if length_s > 0
        else 1.0
        for name, seconds in held_down_s(seen).items()
    }
