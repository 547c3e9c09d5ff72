"""The cases of the tour, which ``perfgate tour`` gives to pytest."""

from typing import Any

import pytest

from perfgate.reports.lecture.topics import topics
from perfgate.shared.workload import Workload

ROWS = [
    pytest.param(workload, id=f"{topic.name}-{number}")
    for topic in topics()
    for number, workload in enumerate(topic.rows.values())
]


@pytest.mark.parametrize("workload", ROWS)
def test_row(perf: Any, workload: Workload) -> None:
    """One row of a topic's table."""
    perf(workload)
