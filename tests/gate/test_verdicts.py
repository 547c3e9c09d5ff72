"""From launches and baselines to verdicts, and from verdicts to what a person reads and what pytest does."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from perfgate.gate.against_baseline import against_baseline
from perfgate.gate.against_run import compare
from perfgate.gate.outcome import Outcome, decide
from perfgate.gate.verdicts import Comparison
from perfgate.gate.wording import interval, percent, sentence, summarize, telling_first
from perfgate.records.baselines import Baseline
from perfgate.records.details import Findings
from perfgate.records.launch import Launch
from perfgate.records.verdict import Name, Verdict
from perfgate.reports.summary import unshown
from tests.support.runs import CASE, OTHER_CASE, WORKLOAD, baseline, launches, timed_baseline

MEMORY = "peak_memory_bytes"
TIME = "step_time_s"
STEADY = [0.0200, 0.0201, 0.0199]
ACCEPT = "pytest 'perf_tests/training/test_batch_size.py::test_batch_size[gpt2-quick-8]'"
UPDATES = [None, "new", "improved", "more", "all"]


def judged(
    now: Sequence[Launch],
    stored: Baseline | None,
    tolerances: Mapping[str, float] | None = None,
    workload: str = WORKLOAD,
    pairs: int = 1,
) -> dict[str, Verdict]:
    """Verdicts against a baseline, by metric."""
    found = against_baseline(CASE, workload, now, stored, tolerances or {}, pairs)
    assert len({verdict.metric for verdict in found}) == len(found)
    return {verdict.metric: verdict for verdict in found}


def memory_verdict(before: float, now: float, tolerance: float | None = None) -> Verdict:
    """The verdict on memory, two launches now against one stored."""
    tolerances = {} if tolerance is None else {MEMORY: tolerance}
    return judged(launches([now, now], MEMORY), timed_baseline([[before]], MEMORY), tolerances)[MEMORY]


def decided(verdicts: Sequence[Verdict], *, strict: bool = False, update: str | None = None) -> Outcome:
    """How a case with these verdicts ends, where no launch was the program's fault."""
    return decide(verdicts, fault=False, strict=strict, update=update, accept=ACCEPT)


# -- bytes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [200, 1_000, 123_456_800, 80 * 10**9])
def test_bytes_may_grow_by_just_half_a_percent(before: int) -> None:
    limit = before + before // 200

    assert memory_verdict(before, limit).verdict == "pass"
    assert memory_verdict(before, limit + 1).verdict == "regressed"


@pytest.mark.parametrize("before", [2, 1_000, 123_456_789, 80 * 10**9])
def test_one_byte_fewer_is_improved_and_as_many_pass(before: int) -> None:
    assert memory_verdict(before, before - 1).verdict == "improved"
    assert memory_verdict(before, before).verdict == "pass"


@pytest.mark.parametrize("percents", [1, 2, 3, 5, 10, 20])
def test_bytes_may_grow_by_just_the_tolerance_that_a_case_names(percents: int) -> None:
    before, limit = 100_000_000, 1_000_000 * (100 + percents)

    assert memory_verdict(before, limit, percents / 100).verdict == "pass"
    assert memory_verdict(before, limit + 1, percents / 100).verdict == "regressed"


def test_exact_metrics_gate_from_the_first_stored_launch_on() -> None:
    found = memory_verdict(100_000_000, 110_000_000)

    assert found.verdict == "regressed"
    assert found.change == pytest.approx(0.1)
    assert found.smallest_detectable == found.tolerance == 0.005
    assert (found.reference, found.candidate, found.launches) == (100_000_000, 110_000_000, 2)


def test_memory_whose_launches_disagree_is_demoted_to_noisy_by_name() -> None:
    stored = timed_baseline([[100_000_000, 100_000_000]] * 3, MEMORY)

    found = judged(launches([100_700_000, 99_300_000, 100_000_000], MEMORY), stored)[MEMORY]

    assert found.verdict == "inconclusive"
    assert "demoted to noisy" in found.why
    assert sentence(found).startswith(f"{CASE}: peak_memory_bytes is undecided")


@pytest.mark.parametrize(("name", "before", "now"), [(MEMORY, 1e8, 1.1e8), ("kernel_launches", 100, 110)])
def test_what_kernels_decide_that_a_compiler_chose_by_their_times_need_not_repeat_itself(name, before, now) -> None:
    stored = timed_baseline([[before]], name)

    def after(value: float) -> Verdict:
        found = launches([value, value], name)
        return judged([launch.detailed(findings=Findings(tuned=True)) for launch in found], stored)[name]

    assert judged(launches([now, now], name), stored)[name].verdict == "regressed"
    assert after(before).verdict == "pass"
    assert after(now).verdict == "inconclusive"
    recorded = [launch.detailed(findings=Findings(tuned=True)) for launch in launches([now, now], name)]
    (found,) = compare({CASE: launches([before, before], name)}, {CASE: recorded}, {})
    assert "the compiler chooses its kernels by their times" in found.why


def test_memory_whose_baseline_disagrees_is_demoted_to_noisy_by_name() -> None:
    stored = timed_baseline([[100_000_000, 100_700_000]] * 3, MEMORY)

    assert "demoted to noisy" in judged(launches([100_000_000] * 2, MEMORY), stored)[MEMORY].why


def test_memory_that_is_demoted_still_fails_where_it_grew_beyond_doubt() -> None:
    stored = timed_baseline([[100_000_000, 100_001_000, 100_002_000]] * 4, MEMORY)

    found = judged(launches([130_000_000, 130_001_000, 130_002_000], MEMORY), stored)[MEMORY]

    assert found.verdict == "regressed"
    assert "demoted to noisy" in found.why


def test_recorded_memory_that_disagrees_is_demoted_to_noisy_by_name() -> None:
    before, now = launches([1e8, 1e8, 1e8], MEMORY), launches([1e8, 1.02e8, 1e8], MEMORY)

    (found,) = compare({CASE: before}, {CASE: now}, {})

    assert found.verdict == "inconclusive"
    assert "demoted to noisy" in found.why


# -- times against a baseline -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sessions", "counts"),
    [
        ([STEADY], "3 launches from 1 session,"),
        ([STEADY] * 2, "6 launches from 2 sessions,"),
        ([[0.02, 0.02], [0.02], [0.02]], "4 launches from 3 sessions,"),
    ],
)
def test_a_time_is_not_judged_by_a_baseline_that_is_too_young(sessions: list[list[float]], counts: str) -> None:
    found = judged(launches([0.1] * 3), timed_baseline(sessions))[TIME]

    assert found.verdict == "inconclusive"
    assert found.why == f"baseline too young: {counts} 5 from 3 are needed"
    assert found.change == pytest.approx(4, rel=0.01)


def test_five_launches_from_three_sessions_are_old_enough() -> None:
    stored = timed_baseline([[0.02, 0.0201], [0.0199, 0.02], [0.0201]])

    assert judged(launches(STEADY), stored)[TIME].verdict == "pass"
    assert judged(launches([3 * value for value in STEADY]), stored)[TIME].verdict == "regressed"
    assert judged(launches([value / 3 for value in STEADY]), stored)[TIME].verdict == "improved"


def test_a_time_that_varies_too_much_to_tell_is_inconclusive_and_says_what_could_be_seen() -> None:
    stored = timed_baseline([[0.02, 0.03, 0.015]] * 3)

    found = judged(launches([0.02, 0.031, 0.016]), stored, pairs=100)[TIME]

    assert found.verdict == "inconclusive"
    assert found.smallest_detectable is not None
    assert found.smallest_detectable > 0.03
    assert found.smallest_detectable > 1
    assert "this gate cannot see 3.0% here; it can see next to nothing" in sentence(found)


def test_what_could_be_seen_is_said_where_it_is_within_the_tolerance_too() -> None:
    found = Verdict(CASE, TIME, "pass", 0.001, -0.001, 0.003, 0.021, 0.02, 0.02, 5, 0.03)

    assert sentence(found).endswith("(20 ms, baseline 20 ms; interval -0.10% to +0.30%; this gate can see 2.1%)")


def test_more_cases_leave_each_less_of_the_chance_of_a_false_alarm() -> None:
    stored = timed_baseline([STEADY] * 4)
    few, many = (judged(launches(STEADY), stored, pairs=pairs)[TIME] for pairs in (1, 100))

    assert few.smallest_detectable is not None
    assert many.smallest_detectable is not None
    assert few.smallest_detectable < many.smallest_detectable


def test_a_case_that_names_its_tolerance_is_judged_by_it() -> None:
    stored = timed_baseline([STEADY] * 5)
    now = launches([1.2 * value for value in STEADY])

    assert judged(now, stored)[TIME].verdict == "regressed"
    assert judged(now, stored, {TIME: 0.5})[TIME].verdict == "pass"
    assert judged(now, stored, {TIME: 0.5})[TIME].tolerance == 0.5


def with_yardstick(values: Sequence[float], yardstick_s: float) -> list[Launch]:
    """Launches beside a yardstick."""
    return [
        Launch(CASE, WORKLOAD, number, {TIME: [value] * 3}, yardstick_s=[yardstick_s] * 3)
        for number, value in enumerate(values)
    ]


def stored_with_yardstick(yardstick_s: float = 0.01) -> Baseline:
    """A settled baseline whose launches each had a yardstick."""
    return baseline({f"s{n}": [{TIME: (value, value / yardstick_s)} for value in STEADY] for n in range(4)})


def test_a_machine_that_slows_case_and_yardstick_alike_is_no_regression() -> None:
    now = with_yardstick([2 * value for value in STEADY], yardstick_s=0.02)

    found = judged(now, stored_with_yardstick())[TIME]

    assert found.verdict == "pass"
    assert found.change == pytest.approx(0, abs=0.01)


def test_a_case_that_slows_down_beside_a_steady_yardstick_regressed() -> None:
    now = with_yardstick([1.3 * value for value in STEADY], yardstick_s=0.01)

    found = judged(now, stored_with_yardstick())[TIME]

    assert found.verdict == "regressed"
    assert found.change == pytest.approx(0.3, rel=0.05)


def test_seconds_are_compared_where_either_side_lacks_a_yardstick() -> None:
    slow = [2 * value for value in STEADY]
    partly = baseline({f"s{n}": [{TIME: (value, 1.0 if n else None)} for value in STEADY] for n in range(4)})

    assert judged(launches(slow), stored_with_yardstick())[TIME].verdict == "regressed"
    assert judged(with_yardstick(slow, 0.02), timed_baseline([STEADY] * 4))[TIME].verdict == "regressed"
    assert judged(with_yardstick(slow, 0.02), partly)[TIME].verdict == "regressed"


def test_recorded_runs_are_compared_in_yardsticks_where_both_have_them() -> None:
    before, slow = with_yardstick(STEADY, 0.01), [2 * value for value in STEADY]

    (beside,) = compare({CASE: before}, {CASE: with_yardstick(slow, 0.02)}, {})
    (alone,) = compare({CASE: before}, {CASE: launches(slow)}, {})

    assert beside.verdict != "regressed"
    assert beside.change == pytest.approx(0, abs=0.01)
    assert alone.verdict == "regressed"


# -- new, stale, invalid, gone ----------------------------------------------------------------------------------------


def test_what_has_no_baseline_is_new() -> None:
    now = [Launch(CASE, WORKLOAD, 0, {TIME: 0.02, MEMORY: 1e6})]

    assert {name: found.verdict for name, found in judged(now, None).items()} == {TIME: "new", MEMORY: "new"}
    assert judged(now, timed_baseline([[1e6]], MEMORY))[TIME].verdict == "new"
    assert judged(now, timed_baseline([[1e6]], MEMORY))[MEMORY].verdict == "pass"


def test_a_workload_that_changed_under_its_id_is_stale() -> None:
    found = judged(launches([0.02] * 3), timed_baseline([STEADY] * 4), workload="b" * 64)[TIME]

    assert found.verdict == "stale"
    assert found.change is None


def test_a_recorded_workload_that_changed_under_its_id_is_stale() -> None:
    now = [Launch(CASE, "b" * 64, 0, {TIME: 0.02})]

    (found,) = compare({CASE: launches([0.02] * 3)}, {CASE: now}, {})

    assert found.verdict == "stale"


def test_a_pass_of_which_no_launch_may_be_used_is_invalid_with_its_reason() -> None:
    now = [*launches([0.02], pass_name="time", invalid="throttled"), *launches([1e6], MEMORY, pass_name="memory")]

    found = judged(now, timed_baseline([[1e6]], MEMORY))

    assert (found[TIME].verdict, found[TIME].why) == ("invalid", "throttled")
    assert found[MEMORY].verdict == "pass"


def test_invalid_launches_are_left_out_beside_valid_ones() -> None:
    now = [*launches(STEADY), *launches([50.0], invalid="contended")]

    found = judged(now, timed_baseline([STEADY] * 4))[TIME]

    assert (found.verdict, found.launches) == ("pass", 3)


def test_what_is_stored_but_was_not_measured_is_inconclusive() -> None:
    stored = baseline({"s0": [{TIME: (0.02, None), MEMORY: (1e6, None)}]})

    found = judged(launches([1e6], MEMORY), stored)[TIME]

    assert (found.verdict, found.reference) == ("inconclusive", 0.02)
    assert "not measured" in found.why


def test_metrics_that_are_not_registered_are_never_gated() -> None:
    now = [Launch(CASE, WORKLOAD, 0, {"moon_phase": 0.5, "samples_per_s": 4.0, MEMORY: 1e6})]

    assert list(judged(now, None)) == [MEMORY]
    assert [found.metric for found in compare({CASE: now}, {CASE: now}, {})] == [MEMORY]


# -- recorded against recorded ----------------------------------------------------------------------------------------


def duets(ratios: Sequence[float], drift: Sequence[float] | None = None) -> tuple[list[Launch], list[Launch]]:
    """Reference and candidate launches of duets, each pair with the machine's speed of its moment."""
    speed = drift or [1.0] * len(ratios)
    reference, candidate = (
        [
            Launch(CASE, WORKLOAD, pair, {TIME: [0.02 * speed[pair] * factor] * 3}, side=side, pair=pair)
            for pair, factor in enumerate(factors)
        ]
        for side, factors in (("reference", [1.0] * len(ratios)), ("candidate", ratios))
    )
    return reference, candidate


def test_duets_cancel_what_their_sides_share() -> None:
    drift = [1.0, 1.8, 0.6, 1.3, 2.5]
    same, slower = duets([1.001, 0.999, 1.0, 1.002, 0.998], drift), duets([1.051, 1.049, 1.05, 1.052, 1.048], drift)

    (unchanged,) = compare({CASE: same[0]}, {CASE: same[1]}, {})
    (changed,) = compare({CASE: slower[0]}, {CASE: slower[1]}, {})

    assert unchanged.verdict == "pass"
    assert changed.verdict == "regressed"
    assert changed.change == pytest.approx(0.05, abs=0.002)


def test_the_order_of_duets_does_not_matter() -> None:
    reference, candidate = duets([1.051, 1.049, 1.05, 1.052, 1.048], [1.0, 1.8, 0.6, 1.3, 2.5])

    (straight,) = compare({CASE: reference}, {CASE: candidate}, {})
    (crossed,) = compare({CASE: reference[::-1]}, {CASE: [candidate[n] for n in (2, 0, 4, 1, 3)]}, {})

    assert crossed.verdict == straight.verdict
    assert crossed.low == pytest.approx(straight.low)


def test_steps_of_any_size_can_be_compared() -> None:
    tiny, huge = 1e-300, 1e300
    reference = [Launch(CASE, WORKLOAD, n, {TIME: [huge] * 3}, side="reference", pair=n) for n in range(3)]
    candidate = [Launch(CASE, WORKLOAD, n, {TIME: [tiny] * 3}, pair=n) for n in range(3)]

    (faster,) = compare({CASE: reference}, {CASE: candidate}, {})
    (slower,) = compare({CASE: candidate}, {CASE: reference}, {})

    assert (faster.verdict, slower.verdict) == ("improved", "regressed")
    assert all(math.isfinite(value) for found in (faster, slower) for value in (found.low, found.high, found.change))


def test_verdicts_stand_in_the_order_of_cases_and_metrics() -> None:
    now = {case: [Launch(case, WORKLOAD, 0, {MEMORY: 1e6, TIME: 0.02})] for case in (CASE, OTHER_CASE)}

    found = compare(now, now, {})

    assert [(verdict.case, verdict.metric) for verdict in found] == [
        (OTHER_CASE, TIME),
        (OTHER_CASE, MEMORY),
        (CASE, TIME),
        (CASE, MEMORY),
    ]


def test_a_metric_that_only_the_reference_has_is_not_passed_over_in_silence() -> None:
    before = [Launch(CASE, WORKLOAD, 0, {TIME: 0.02, MEMORY: 1e6})]

    found = compare({CASE: before}, {CASE: launches([0.02])}, {})

    assert {verdict.metric for verdict in found} == {TIME, MEMORY}


def test_verdicts_are_counted_worst_first() -> None:
    names: list[Name] = ["pass", "new", "regressed", "pass", "improved", "stale"]

    found = summarize([Verdict(CASE, TIME, name) for name in names])

    assert list(found.items()) == [("regressed", 1), ("stale", 1), ("new", 1), ("improved", 1), ("pass", 2)]


# -- what pytest is told ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", ["pass", "improved", "regressed", "stale", "new", "inconclusive", "invalid"])
def test_a_case_ends_as_its_verdict_and_the_options_say(name: Name, strict: bool, update: str | None) -> None:
    kinds = {
        "pass": "passed",
        "improved": "passed",
        "regressed": "passed" if update == "all" else "failed",
        "stale": "passed" if update == "all" else "failed",
        "new": "failed" if strict and not update else "passed",
        # What is undecided has to be stored before it can be decided, and a case that failed is not stored.
        "inconclusive": "failed" if strict and update not in ("more", "all") else "warned",
        "invalid": "failed" if strict else "skipped",
    }

    found = decided([Verdict(CASE, MEMORY, "pass"), Verdict(CASE, TIME, name, 0.5)], strict=strict, update=update)

    assert found.kind == kinds[name]
    assert bool(found.message) == (found.kind != "passed")


def test_a_launch_that_the_program_itself_spoiled_fails_with_what_it_printed() -> None:
    verdicts = [Verdict(CASE, TIME, "invalid", why="the actor died")]

    found = decide(verdicts, fault=True, strict=False, update=None, accept=ACCEPT, output="ValueError: no such layer")

    assert found.kind == "failed"
    assert found.message == f"{CASE} could not be measured: the actor died"
    assert found.details == "ValueError: no such layer"


def test_a_metric_that_got_worse_fails_the_case_even_where_another_could_not_be_measured() -> None:
    verdicts = [Verdict(CASE, TIME, "invalid", why="throttled"), Verdict(CASE, MEMORY, "regressed", 0.5)]

    assert decided(verdicts).kind == "failed"


def test_the_message_of_a_failure_begins_with_one_sentence_that_says_it_all() -> None:
    found = judged(launches([1.5 * value for value in STEADY]), timed_baseline([STEADY] * 4))[TIME]
    assert found.low is not None
    assert found.high is not None

    message = decided([found]).message
    first, remedy = message.splitlines()

    assert first.startswith(f"{CASE}: step_time_s got worse by +50.0% (30 ms, baseline 20 ms; interval ")
    assert f"interval {percent(found.low)} to {percent(found.high)}" in first
    assert remedy == f"Accept it with: {ACCEPT} --perf-update all --perf-reason WHY"


def test_every_metric_that_got_worse_has_its_sentence_and_the_remedy_stands_once() -> None:
    verdicts = [Verdict(CASE, name, "regressed", 0.5) for name in (TIME, MEMORY)]

    lines = decided([*verdicts, Verdict(CASE, "time_to_first_token_s", "pass")]).message.splitlines()

    assert [line.split(" got worse by ")[0] for line in lines[:-1]] == [f"{CASE}: {TIME}", f"{CASE}: {MEMORY}"]
    assert lines[-1].startswith("Accept it with: ")


def test_memory_that_grew_is_told_with_its_tolerance() -> None:
    message = decided([memory_verdict(100 * 2**20, 110 * 2**20)]).message

    assert message.startswith(
        f"{CASE}: peak_memory_bytes got worse by +10.0% (110.00 MiB, baseline 100.00 MiB; tolerance 0.5%)\n"
    )


def test_a_stale_case_is_told_how_to_store_the_new_workload() -> None:
    found = judged(launches([0.02] * 3), timed_baseline([STEADY] * 4), workload="b" * 64)[TIME]

    message = decided([found]).message

    assert message.startswith(f"{CASE}: the workload changed under its id")
    assert f"{ACCEPT} --perf-update all --perf-reason WHY" in message


def test_a_new_case_is_told_how_to_store_it_under_strict() -> None:
    message = decided([Verdict(CASE, TIME, "new"), Verdict(CASE, MEMORY, "new")], strict=True).message

    assert message.startswith(f"{CASE} has no baseline for step_time_s, peak_memory_bytes")
    assert message.endswith(f"{ACCEPT} --perf-update new")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (0.0, "+0.00%"),
        (0.005, "+0.50%"),
        (-0.0005, "-0.05%"),
        (0.05, "+5.0%"),
        (-0.25, "-25.0%"),
        (9.0, "+900.0%"),
        (10.0, "11-fold"),
        (1e9, "beyond measure"),
        (-0.89, "-89.0%"),
        (1 / 2857 - 1, "1/2857"),
        (-1.0, "-100.0%"),
    ],
)
def test_changes_are_written_with_enough_digits_and_no_more(change: float, text: str) -> None:
    assert percent(change) == text


@pytest.mark.parametrize("change", [0.053, -0.24, 2855.0])
def test_the_numbers_of_a_line_agree_though_the_change_is_not_that_of_the_pooled_medians(change: float) -> None:
    found = Comparison(CASE, TIME, 0.0314, 0.0314, 3, 0.03).verdict("inconclusive", "", change)

    assert found.candidate is not None
    assert found.reference is not None
    assert found.candidate == 0.0314
    assert found.candidate / found.reference - 1 == pytest.approx(change)


def test_what_was_seen_does_not_ask_what_could_be_seen() -> None:
    held = Comparison(CASE, TIME, 0.001, 2.856, 3, 0.03)

    seen = sentence(held.verdict("regressed", "", 2855, 1900, 4200, 238.0))
    unseen = sentence(held.verdict("inconclusive", "", 0.02, -0.9, 50, 238.0))

    assert seen.endswith("step_time_s got worse by 2856-fold (2.86 s, baseline 1 ms; interval 1901-fold to 4201-fold)")
    assert unseen.endswith("this gate cannot see 3.0% here; it can see next to nothing)")


def test_large_changes_that_are_not_shown_are_named_all_the_same() -> None:
    found = [Comparison(f"case {number}", TIME, 1, 1, 3, 0.03) for number in range(6)]
    names: list[Name] = ["pass", "inconclusive", "inconclusive", "pass", "improved", "inconclusive"]
    changes = [-0.24, 0.4, -0.999, 0.01, -0.5, None]

    lines = unshown([held.verdict(name, "", x) for held, name, x in zip(found, names, changes, strict=True)])

    assert lines == [
        "Looks better, not shown: case 2: step_time_s to 1/1000, case 0: step_time_s -24.0%.",
        "Looks worse, not shown: case 1: step_time_s +40.0%.",
    ]


def test_a_verdict_without_an_interval_is_told_without_one() -> None:
    assert interval(Verdict(CASE, TIME, "new")) == ""
    assert sentence(Verdict(CASE, TIME, "new")) == f"{CASE}: step_time_s is new"


def test_what_grew_is_looked_up_in_the_ledger_of_the_pass_that_tells_it() -> None:
    names = {"kernel_launches": "kernels", MEMORY: "held_at_peak"}
    stored = baseline({"s": [{"kernel_launches": (2, None)}, {MEMORY: (100, None)}]})
    kept = [
        replace(launch, ledger={names[next(iter(launch.metrics))]: {"a": {"mul": 2}}}) for launch in stored.launches
    ]
    counted, memory = (*launches([3], "kernel_launches"), *launches([100], MEMORY))
    now = [
        counted.detailed(findings=Findings(ledger={"kernels": {"a": {"mul": 3}}})),
        memory.detailed(findings=Findings(ledger={"held_at_peak": {"a": {"mul": 2}}})),
    ]

    found = judged(now, replace(stored, launches=tuple(kept)))["kernel_launches"]
    assert found.why == "grown: mul in a +1"


def test_what_names_a_line_of_code_is_told_before_the_operator_calls_that_it_makes() -> None:
    names = ("operator_calls", "moved_bytes", "predicted_host_syncs")
    worse = [Verdict(CASE, name, "regressed", change=0.1, reference=10, candidate=11) for name in names]

    assert [verdict.metric for verdict in telling_first(worse)] == [names[2], *names[:2]]
    outcome = decide(worse, fault=False, strict=False, update=None, accept=ACCEPT)
    assert outcome.message.startswith(f"{CASE}: predicted_host_syncs got worse")
