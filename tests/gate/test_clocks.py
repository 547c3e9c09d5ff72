"""The clock of a series: chosen by how long its steps waited for the core, and what it can tell."""

from dataclasses import replace

import pytest

from perfgate.gate.against_baseline import against_baseline
from perfgate.gate.against_run import compare
from perfgate.gate.clocks import CONTENDED, IDLE, WAITED, choose, choose_against, on
from perfgate.gate.effects import parse
from perfgate.records.clocks import Times, by_clock
from perfgate.records.launch import Launch
from perfgate.records.moved_baseline import moved_baseline
from perfgate.records.verdict import Verdict
from tests.support.runs import CASE, WORKLOAD, about

TIME = "step_time_s"
STEPS = 12


def launch(computed_s=0.02, waited=0.0, idle_s=0.0, other=True, number=0, **fields):
    """A launch whose steps computed, waited for the core (a share of the time it was ready to run) and idled."""
    queued_s = computed_s * waited / (1 - waited)
    wall = [computed_s + queued_s + idle_s] * STEPS
    metrics = {TIME: wall, "queue_time_s": [queued_s] * STEPS, "idle_time_s": [idle_s] * STEPS}
    times = Times({TIME: [computed_s] * STEPS}, [0.01] * STEPS) if other else None
    return Launch(CASE, WORKLOAD, number, metrics, yardstick_s=[0.01] * STEPS, pass_name="time", other=times, **fields)


def launches(*speeds, **fields):
    """A launch for each time on the processor."""
    return [launch(speed, number=number, **fields) for number, speed in enumerate(speeds)]


def stored(sessions=3, **fields):
    """A baseline of two launches a session."""
    found = None
    for number in range(sessions):
        now = launches(0.02 + 1e-5 * number, 0.0201, **fields)
        verdict = Verdict(CASE, TIME, "pass" if found else "new")
        found = moved_baseline("more" if found else "new", CASE, now, [verdict], found, about(f"s{number}"))
    return found


def judged(now, baseline):
    """The verdict on the step time."""
    clock = choose_against(now, baseline)
    (verdict,) = against_baseline(CASE, WORKLOAD, on(clock, now), baseline, {}, 1, clock=clock)
    return verdict


def test_an_actor_s_columns_are_split_by_clock():
    told = {TIME: [0.2], "process_time_s": [0.1], "process_data": 3.0, "process_copy_s": [0.0], "copy_s": [0.1]}
    assert by_clock(told) == ({TIME: [0.2], "process_data": 3.0, "copy_s": [0.1]}, {TIME: [0.1]})


def test_a_launch_changes_its_clock_and_back_and_is_read_back_on_either():
    on_wall = launch(0.02, waited=0.5, disturbed_by="python 1234")
    on_processor = on_wall.on("processor")
    assert on_processor.value(TIME) == 0.02
    assert on_processor.on("wall") == on_wall
    assert on_wall.waited == on_processor.waited == pytest.approx(0.5)
    for found in (on_wall, on_processor):
        assert Launch.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("waits", "other", "clock"),
    [
        ((0.0, WAITED / 2), True, "wall"),
        ((0.0, 0.5), True, "processor"),
        ((0.5, 0.0), True, "processor"),
        ((0.0, CONTENDED / 2), False, "wall"),
        ((0.0, 0.5), False, None),
    ],
)
def test_both_sides_of_a_series_have_one_clock(waits, other, clock):
    sides = [launch(waited=waited, other=True) for waited in waits]
    if not other:
        sides[0] = replace(sides[0], other=None)
    assert choose(sides).clock == clock


def test_the_clock_does_not_depend_on_which_side_is_slower():
    for speeds in ((0.02, 0.04), (0.04, 0.02)):
        assert choose([launch(speed, waited=0.4) for speed in speeds]).clock == "processor"


def test_where_steps_waited_the_processor_s_time_is_judged_and_the_verdict_says_so():
    baseline = stored()
    same = judged(launches(0.02, 0.0201, 0.02, waited=0.34, disturbed_by="python 1234"), baseline)
    assert "on processor time: other processes took 34% of the core (python 1234)" in same.why
    assert same.candidate == 0.02
    assert same.change == pytest.approx(0.0, abs=0.01)
    slower = judged(launches(0.04, 0.0401, 0.04, waited=0.34), baseline)
    assert slower.verdict == "regressed"
    assert judged(launches(0.02, 0.0201, 0.02), stored(waited=0.4)).why.count("when the baseline was measured") == 1


def test_an_old_baseline_is_judged_on_the_wall_as_far_as_that_says_something():
    old = stored()
    old = replace(old, launches=tuple(replace(x, processor={}, waited=None) for x in old.launches))
    quiet, mild, heavy = (judged(launches(0.02, 0.0201, 0.02, waited=waited), old) for waited in (0.0, 0.1, 0.5))
    assert "processor" not in quiet.why
    assert choose_against(launches(0.02, waited=0.1), old).clock == "wall"
    assert "10% of the core, and the baseline holds no times on the processor" in mild.why
    assert heavy.verdict == "inconclusive"
    assert "50% of the core, and the baseline holds no times on the processor: add some with" in heavy.why


def test_launches_without_the_second_clock_are_left_out_where_enough_others_have_it():
    baseline = stored(sessions=4)
    first = baseline.launches[0].session
    mixed = tuple(replace(x, processor={}) if x.session == first else x for x in baseline.launches)
    choice = choose_against(launches(0.02, waited=0.5), replace(baseline, launches=mixed))
    assert choice.clock == "processor"
    assert len(replace(baseline, launches=mixed).on("processor").values(TIME)) == 3


@pytest.mark.parametrize("idle_s", [0.0, 0.01])
def test_what_sleeps_does_not_pass_on_processor_time_and_can_regress(idle_s):
    def verdict(candidate_s):
        duets = [
            launch(speed + 1e-5 * pair, waited=0.5, idle_s=idle_s, side=side, pair=pair, number=pair)
            for pair in range(8)
            for side, speed in (("reference", 0.02), ("candidate", candidate_s))
        ]
        sides = {side: {CASE: [x for x in duets if x.side == side]} for side in ("reference", "candidate")}
        (found,) = compare(sides["reference"], sides["candidate"], {})
        return found

    assert verdict(0.04).verdict == "regressed"
    for same in (verdict(0.02), verdict(0.01)):
        assert (same.verdict == "inconclusive") == bool(idle_s)
        assert ("it neither computed nor waited for the core" in same.why) == bool(idle_s)


def test_an_effect_of_what_sleeps_is_not_decided_on_processor_time():
    series = [launch(waited=0.5, idle_s=0.02 * 2 * IDLE)]
    expected = str(parse(TIME, "< 0.7x"))
    for name in ("pass", "regressed"):
        told = choose(series).told(Verdict(CASE, TIME, name, expected=expected))
        assert told.verdict == "inconclusive"


@pytest.mark.parametrize("name", ["new", "stale", "invalid"])
def test_what_was_not_compared_says_nothing_of_clocks(name):
    verdict = Verdict(CASE, TIME, name)
    assert choose([launch(waited=0.5)]).told(verdict) == verdict
    exact = Verdict(CASE, "peak_memory_bytes", "pass")
    assert choose([launch(waited=0.5)]).told(exact) == exact


def test_a_stored_time_that_the_wall_alone_tells_is_not_left_out_in_silence_on_processor_time():
    own = "compile_time_s"
    baseline = stored()
    both = [replace(found, metrics={**found.metrics, own: found.metrics[TIME]}) for found in baseline.launches]
    baseline = replace(baseline, launches=tuple(both))
    for waited, clock, why in ((0.5, "processor", "it is known in wall time alone"), (0.0, "wall", "")):
        now = [
            replace(found, metrics={**found.metrics, own: [0.02] * STEPS}) for found in launches(0.02, waited=waited)
        ]
        choice = choose_against(now, baseline)
        assert choice.clock == clock
        told = against_baseline(CASE, WORKLOAD, on(choice, now), baseline, {}, 1, clock=choice)
        found = {verdict.metric: verdict for verdict in told}
        assert set(found) == {TIME, own}
        assert found[own].why.startswith(why)
        assert not why or found[own].verdict == "inconclusive"
