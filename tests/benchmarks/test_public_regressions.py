"""Regressions that users reported between transformers 4.57.6 and what is installed are caught where they happen."""

import pytest

from benchmarks.public_regressions import FOUR, HERE, REPORTED, caught, judged, measured
from tests.support.environments import older_transformers

DRY = [row for row in REPORTED if (row.before, row.after) == (FOUR, HERE) and not row.counted]


@pytest.mark.slice
def test_what_was_reported_of_transformers_5_is_caught_by_case_metric_and_module():
    found = measured(DRY, {FOUR: older_transformers()})
    assert [(row.case, judged(row, found)) for row in DRY if not caught(row, judged(row, found))] == []
    calls = {row.case: judged(row, found) for row in DRY}
    grown = {case: verdict.candidate - verdict.reference for case, verdict in calls.items()}
    assert grown["test_padded_encoder[bert]"] == grown["test_padded_encoder[roberta]"] > 10
