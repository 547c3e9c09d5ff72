"""What duets, or the knowledge that nothing changed, make of a verdict on a stored time."""

from dataclasses import replace

import pytest

from perfgate.gate import confirmed
from perfgate.gate.alpha_budget import FAILING_LOOKS, AlphaBudget
from perfgate.gate.verdicts import ALPHA, share_of_alpha
from perfgate.records.verdict import Verdict

STORED = Verdict(
    "a", "step_time_s", "regressed", 0.5, 0.3, 0.7, 0.2, reference=0.02, candidate=0.03, launches=3, tolerance=0.03
)
COMMIT = "0123456789abcdef"


@pytest.mark.parametrize("pairs", [1, 2, 3, 4, 7, 30, 100, 400])
@pytest.mark.parametrize("parts", [1, 2, 8])
def test_stored_times_and_all_looks_of_all_suspects_spend_at_most_alpha(pairs, parts):
    budget = confirmed.shared(AlphaBudget(pairs, parts=parts))
    spent = 0.0
    # Each process counts its own suspects; the worst is that every pair is suspected.
    for part in range(parts):
        own = budget
        for _ in range(part, pairs, parts):
            spent += FAILING_LOOKS * own.share
            own = own.spent()
    stored = pairs * share_of_alpha(round(pairs / confirmed.STORED_SHARE))
    assert spent + stored <= ALPHA * (1 + 1e-9)


@pytest.mark.parametrize(
    ("gpu", "verdict", "named"),
    [
        (False, STORED, True),
        (True, STORED, False),
        (False, replace(STORED, verdict="inconclusive"), True),
        (True, replace(STORED, verdict="inconclusive"), True),
        (False, replace(STORED, verdict="pass"), False),
        (False, replace(STORED, verdict="new"), False),
        (False, replace(STORED, metric="peak_memory_bytes"), False),
        (False, replace(STORED, verdict="inconclusive", candidate=None), False),  # it was not measured
    ],
)
def test_duets_decide_the_times_that_stored_times_do_not(gpu, verdict, named):
    assert confirmed.wanted([verdict], gpu) == ([verdict.metric] if named else [])


def test_where_nothing_changed_a_regression_is_the_machines_and_an_undecided_time_passes():
    found = confirmed.unchanged(STORED, COMMIT)
    assert (found.verdict, found.change, found.high) == ("pass", 0.5, None)
    assert found.why.startswith("the machine, not the code: the stored times say +50.0% (regressed), and code, ")
    assert found.why.endswith(" in the baseline's commit 0123456789ab")
    found = confirmed.unchanged(replace(STORED, verdict="inconclusive", why="baseline too young"), COMMIT)
    assert found.verdict == "pass"
    assert "machine, not" not in found.why
    assert found.why.endswith("0123456789ab; baseline too young")


def test_without_duets_the_stored_verdict_stands_or_is_undecided_with_the_reason():
    stands = confirmed.alone(STORED, "it crashed")
    assert (stands.verdict, stands.why) == ("regressed", "not confirmed by duets: it crashed")
    open_ = confirmed.undecided(STORED, "fetch it: git fetch")
    assert open_.verdict == "inconclusive"
    assert open_.why == "the stored times alone: +50.0% (regressed); not confirmed by duets: fetch it: git fetch"
    assert open_.low == STORED.low


def test_the_verdict_of_duets_tells_what_the_stored_times_said():
    found = replace(STORED, verdict="pass", change=0.001, against="reference", why="on processor time")
    told = confirmed.by_duets(STORED, found, COMMIT)
    assert replace(told, why=found.why) == found
    assert told.why == (
        "on processor time; beside the baseline's state 0123456789ab; the stored times alone: +50.0% (regressed)"
    )
