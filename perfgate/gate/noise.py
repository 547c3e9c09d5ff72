"""The spread of duets on a machine, learned from many cases and shared by all of them (``noise.json``).

Three duets say little about their spread. The rule assumes that the spreads of all cases lie around a common one, and
moves each case's own spread towards it (moderated variances: G. K. Smyth 2004, doi:10.2202/1544-6115.1027).
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from perfgate.gate.statistics import f_tail
from perfgate.records.clocks import Clock
from perfgate.shared.errors import UserError

SCHEMA = "perfgate.noise/1"
MIN_CASES = 3
FLOOR = 1e-5  # smallest variance, as a share of the median one, because a variance of zero has no logarithm
OUT_OF_KEEPING = 0.01


@dataclass(frozen=True)
class Spread:
    """The variance of the logarithm of one duet, and its degrees of freedom, which are 0 if nothing is known."""

    variance: float
    df: float


@dataclass(frozen=True)
class Noise:
    """The spread that is common to the cases of a machine.

    Attributes:
        machine: the machine's name.
        df: d0, the weight of the common spread beside a case's own, in degrees of freedom; infinite if all cases vary
            alike, 0 if nothing is known.
        spread: s0, the standard deviation of one duet; 0.01 is 1%.
        cases: the number of cases that it was learned from.
        date: the date on which it was learned, ISO 8601.
        processor: the noise of duets that were judged on processor time, beside other processes; ``None`` if it is not
            known.
    """

    machine: str = ""
    df: float = 0.0
    spread: float = 0.0
    cases: int = 0
    date: str = ""
    processor: "Noise | None" = None

    def on(self, clock: Clock) -> "Noise":
        """The noise of duets that are judged on this clock; the spread on one clock says nothing about the other."""
        return self if clock == "wall" else self.processor or UNKNOWN

    def learned(self, found: "Noise", clock: Clock) -> "Noise":
        """This noise, with the part for one clock replaced by newly learned noise."""
        if clock == "processor":
            return replace(self, machine=found.machine, processor=found)
        return replace(found, processor=self.processor)

    def fits(self, own: Spread) -> bool:
        """Whether a case's own spread can be explained by chance, given the spread that all cases share."""
        if not self.df or not own.df:
            return True
        return f_tail(own.variance, own.df, self.spread**2, self.df) >= OUT_OF_KEEPING

    def moderate(self, own: Spread) -> Spread:
        """The case's own spread, moved towards the common one: (d0 s0² + d s²) / (d0 + d).

        If a case varies more than chance allows (1%), it is of another kind, such as one with two speeds, and only its
        own spread counts. The common spread would make chance differences look proven (compare the robust variant of
        B. Phipson et al. 2016, doi:10.1214/16-AOAS920).
        """
        if not self.df or not self.fits(own):
            return own
        if math.isinf(self.df):
            return Spread(self.spread**2, math.inf)
        df = self.df + own.df
        return Spread((self.df * self.spread**2 + own.df * own.variance) / df, df)

    def to_json(self) -> dict[str, Any]:
        """The content of ``noise.json``; an infinite d0 is null."""
        df = None if math.isinf(self.df) else self.df
        processor = {"processor": self.processor.to_json()} if self.processor else {}
        return {
            "schema": SCHEMA,
            "machine": self.machine,
            "d0": df,
            "s0": self.spread,
            "cases": self.cases,
            "date": self.date,
            **processor,
        }

    @classmethod
    def from_json(cls, found: Any, where: str) -> "Noise":
        """Read what ``to_json`` wrote.

        Args:
            found: the object in the file.
            where: the file's name, for messages.

        Raises:
            UserError: naming the file, the key and the remedy.
        """
        if not isinstance(found, dict):
            raise UserError(f"{where}: is no JSON object{REMEDY}")
        if found.get("schema") != SCHEMA:
            raise UserError(f"{where}: key 'schema' is {found.get('schema')!r}, this perfgate reads {SCHEMA!r}{REMEDY}")
        for key, kinds in (("machine", str), ("d0", int | float | None), ("s0", int | float), ("cases", int)):
            if key not in found or not isinstance(found[key], kinds) or isinstance(found[key], bool):
                raise UserError(f"{where}: key {key!r} is missing or of the wrong type{REMEDY}")
        df = math.inf if found["d0"] is None else float(found["d0"])
        spread = float(found["s0"])
        if not (df >= 0 and 0 <= spread < math.inf and (spread or not df)):
            raise UserError(f"{where}: d0 {found['d0']!r} with s0 {found['s0']!r} is no spread of duets{REMEDY}")
        processor = found.get("processor")
        if processor is not None and not isinstance(processor, dict):
            raise UserError(f"{where}: key 'processor' is of the wrong type{REMEDY}")
        known = cls.from_json(processor, f"{where}: key 'processor'") if processor else None
        return cls(found["machine"], df, spread, found["cases"], str(found.get("date", "")), known)


REMEDY = "; remove it, and measure again with: perfgate calibrate"
UNKNOWN = Noise()


def fit(spreads: Sequence[Spread], machine: str, date: str) -> Noise:
    """Learn the common spread from cases in which nothing changed (Smyth 2004, section 6.2: moments of log variances).

    d0 is at most the sum of all cases' degrees of freedom, because s0 is not known any better than that. A variance of
    zero counts as a small share of the median.

    Args:
        spreads: the spread of each case; those without a degree of freedom are left out.
        machine: the machine's name.
        date: today, ISO 8601.

    Returns:
        The noise; it has 0 degrees of freedom if fewer than three cases were measured or none varied.
    """
    used = [spread for spread in spreads if spread.df > 0]
    middle = statistics.median(spread.variance for spread in used) if used else 0.0
    if not middle:
        middle = max((spread.variance for spread in used), default=0.0)
    if len(used) < MIN_CASES or not middle:
        return Noise(machine, cases=len(used), date=date)
    from scipy.special import digamma, polygamma

    halves = [spread.df / 2 for spread in used]
    logs = [
        math.log(max(spread.variance, FLOOR * middle)) - float(digamma(half)) + math.log(half)
        for spread, half in zip(used, halves, strict=True)
    ]
    centre = statistics.fmean(logs)
    excess = statistics.variance(logs) - statistics.fmean(float(polygamma(1, half)) for half in halves)
    df = math.fsum(spread.df for spread in used)
    if excess > 0:
        df = min(df, 2 * trigamma_inverse(excess))
    # The bias of a log variance with this freedom is taken off the centre (Smyth 2004).
    variance = math.exp(centre + float(digamma(df / 2)) - math.log(df / 2))
    return Noise(machine, df, math.sqrt(variance), len(used), date)


def trigamma_inverse(value: float) -> float:
    """The y for which trigamma(y) is ``value``, above 0: Newton's method, as in Smyth 2004's appendix."""
    from scipy.special import polygamma

    y = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, y))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, y))
        y += step
        if -step / y < 1e-10:
            break
    return y
