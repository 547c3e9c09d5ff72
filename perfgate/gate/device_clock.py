"""The clock rate of a GPU under load: times at another clock rate count as times of another machine."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from perfgate.gate.wording import percent
from perfgate.records.baselines import StoredLaunch
from perfgate.records.launch import Launch

LEAST = 0.10  # an unlocked clock moves by some percent with temperature and power
NAME = "clock_mhz"


@dataclass(frozen=True)
class OtherClock:
    """A clock rate that differs from that of the stored times, for example because it was locked in between.

    Attributes:
        before_mhz: under load in the stored launches.
        now_mhz: under load in this run.
        share: the device's share of the judged time; the clock changes only this share.
    """

    before_mhz: float
    now_mhz: float
    share: float = 1.0

    def explains(self, difference: float) -> bool:
        """Whether it could cause, or hide, a difference in time, given as the logarithm of a ratio.

        No work slows down by more than the clock does.
        """
        return abs(difference) <= self.share * abs(math.log(self.before_mhz / self.now_mhz))

    def __str__(self) -> str:
        change = percent(self.now_mhz / self.before_mhz - 1)
        return (
            f"the GPU's clock under load is {self.now_mhz:,.0f} MHz and was {self.before_mhz:,.0f} ({change}) when the "
            "baseline was measured, as where it is locked at one of the two"
        )


def other_clock(stored: Sequence[StoredLaunch], now: Sequence[Launch], host_share: float) -> OtherClock | None:
    """The other clock rate if it differs by at least 10%; ``None`` if not, or if it is not known.

    Args:
        stored: the launches of the baseline.
        now: the launches of this run that measured the judged time.
        host_share: the host's share of that time.
    """
    before = [launch.clock_mhz for launch in stored if launch.clock_mhz]
    after = [launch.value(NAME) for launch in now if NAME in launch.metrics]
    if not before or not after:
        return None
    found = OtherClock(statistics.median(before), statistics.median(after), 1 - host_share)
    return found if abs(math.log(found.now_mhz / found.before_mhz)) >= math.log1p(LEAST) else None
