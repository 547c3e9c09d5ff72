"""Numbers of other versions of the libraries: what may differ, what fails always, and what is said of it."""

import pytest

from perfgate.gate.against_baseline import against_baseline
from perfgate.gate.against_run import compare
from perfgate.gate.outcome import decide
from perfgate.gate.versions import Upgrade, differing
from perfgate.gate.wording import sentence
from perfgate.records.launch import Launch
from perfgate.records.verdict import Verdict
from perfgate.reports.summary import other_versions
from tests.support.runs import CASE, WORKLOAD, baseline, launches, timed_baseline

UPGRADE = Upgrade("transformers 4.57")


def judged(name: str, before: float, now: float, upgrade: Upgrade = UPGRADE, **tolerances: float) -> Verdict:
    """The verdict on one metric, stored under other versions."""
    stored = timed_baseline([[before]], name)
    (found,) = against_baseline(CASE, WORKLOAD, launches([now], name), stored, tolerances, 1, upgrade)
    return found


@pytest.mark.parametrize("name", ["operator_calls", "flops", "moved_bytes", "kernel_launches", "peak_memory_bytes"])
def test_what_is_counted_may_grow_by_the_tolerance_between_versions(name: str) -> None:
    verdicts = [judged(name, 1000, now).verdict for now in (999, 1000, 1010, 1011)]

    assert verdicts == ["improved", "pass", "pass", "regressed"]
    assert judged(name, 1000, 1010, Upgrade()).verdict == "regressed"
    assert judged(name, 1000, 1050, **{name: 0.05}).verdict == "pass", "a case's own tolerance is wider"


@pytest.mark.parametrize("name", ["host_syncs", "predicted_host_syncs"])
def test_a_new_host_sync_fails_whatever_the_tolerance(name: str) -> None:
    assert judged(name, 1000, 1001, Upgrade("torch 2.12", 0.5)).verdict == "regressed"
    assert judged(name, 1000, 999).verdict == "improved"


def test_two_runs_of_other_versions_compare_by_the_same_rule() -> None:
    sides = ({CASE: launches([count], "operator_calls")} for count in (1000, 1010))

    (found,) = compare(*sides, {}, UPGRADE)

    assert (found.verdict, found.since) == ("pass", "transformers 4.57")


def test_a_time_keeps_its_rule_and_says_since_when() -> None:
    sessions = [[0.0200, 0.0201, 0.0199]] * 4
    stored = timed_baseline(sessions)
    slow = launches([0.040, 0.041, 0.040])
    (same,) = against_baseline(CASE, WORKLOAD, slow, stored, {}, 1)
    (other,) = against_baseline(CASE, WORKLOAD, slow, stored, {}, 1, UPGRADE)

    assert (same.verdict, other.verdict) == ("regressed", "regressed")
    assert (same.change, same.tolerance) == (other.change, other.tolerance)
    assert sentence(other).startswith(f"{CASE}: step_time_s got worse by +101.7% since transformers 4.57 (")


def test_a_metric_that_nothing_is_stored_of_is_new_and_of_no_versions() -> None:
    stored = baseline({"s": [{"flops": (1e6, None)}]})
    found = against_baseline(CASE, WORKLOAD, launches([5], "operator_calls"), stored, {}, 1, UPGRADE)

    assert {(verdict.metric, verdict.verdict, verdict.since) for verdict in found} == {
        ("operator_calls", "new", ""),
        ("flops", "inconclusive", "transformers 4.57"),
    }


def test_only_libraries_that_decide_what_a_step_does_make_other_versions() -> None:
    before = {"torch": "2.13.0+cpu", "transformers": "4.57.6", "numpy": "2.3.0", "peft": "0.17.0"}
    now = {"torch": "2.13.0+cpu", "transformers": "5.23.0", "numpy": "2.4.6"}

    assert differing(before, now) == "transformers 4.57.6"
    assert differing({}, now) == "", "of an old baseline nothing is known"
    assert differing({"torch": "2.12.0+cpu"}, now) == "torch 2.12.0"


def test_a_prediction_without_rules_is_undecided_whichever_side_lacks_them() -> None:
    name, reason = "predicted_cuda_peak_bytes", "the rules of CUDA are known for torch 2.6 to 2.13"

    def launch(value: float, known: bool) -> Launch:
        (found,) = launches([value], name)
        told = {} if known else {"without_rules": {name: reason}}
        return found.detailed(findings=type(found.details.findings)(ledger={"work": {}, **told}))

    for before, now in ((True, False), (False, True)):
        (found,) = compare({CASE: [launch(1000, before)]}, {CASE: [launch(2000, now)]}, {}, UPGRADE)
        assert (found.verdict, found.why) == ("inconclusive", reason)
    (both,) = compare({CASE: [launch(1000, True)]}, {CASE: [launch(2000, True)]}, {}, UPGRADE)
    assert both.verdict == "regressed"


def test_the_commands_that_store_these_versions_are_named() -> None:
    worse = judged("flops", 1000, 1200)
    (told, accepting) = other_versions([worse], "pytest perf_tests")

    assert told.endswith(
        "for 1 case, which was held against those of transformers 4.57. Store what did not get worse with: "
        "pytest perf_tests --perf-update new"
    )
    assert accepting.endswith("pytest perf_tests --perf-update all --perf-reason 'upgrade from transformers 4.57'")
    assert len(other_versions([judged("flops", 1000, 1000)], "pytest")) == 1
    assert other_versions([judged("flops", 1000, 1000, Upgrade())], "pytest") == []
    assert decide([worse], fault=False, strict=False, update="new", accept="pytest x").kind == "failed"
