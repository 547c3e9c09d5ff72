"""The word for a case on the page, from its verdicts."""

import pytest

from perfgate.gate.outcome import NO_TIMES
from perfgate.reports.page.rows import worst
from tests.support.verdicts import verdict

UNASKED = verdict("a", "invalid", why=NO_TIMES)


@pytest.mark.parametrize(
    ("asked", "ended", "word"),
    [
        (["pass"], "passed", "partly"),
        (["pass", "improved"], "passed", "partly"),
        (["pass", "inconclusive"], "passed", "invalid"),
        (["pass", "regressed"], "failed", "regressed"),
        (["pass"], "failed", "failed"),
        ([], "skipped", "invalid"),
    ],
)
def test_a_case_is_partly_decided_only_where_all_that_was_asked_is(asked: list[str], ended: str, word: str) -> None:
    assert worst([*(verdict("a", one) for one in asked), UNASKED], ended) == word
    assert worst([verdict("a", "pass")], "passed") == "pass"
