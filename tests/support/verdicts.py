"""Verdicts for the tests of reports."""

from typing import Any

from perfgate.records.verdict import Verdict


def verdict(case: str, word: Any, metric: str = "step_time_s", **more: Any) -> Verdict:
    """A verdict with values, as the gate makes it."""
    known: dict[str, Any] = {"reference": 0.02, "candidate": 0.02, "tolerance": 0.03}
    return Verdict(case, metric, word, **known | more)
