"""The registry of metrics: what derives from a row, and what becomes of a metric that has none."""

import pytest

from perfgate.shared.metric import Metric
from perfgate.shared.metrics import METRICS, metric, stands_for
from perfgate.workloads.programs import OF_FIXTURE, noisy_metrics


def test_a_case_counts_with_every_noisy_metric_that_it_can_have() -> None:
    assert noisy_metrics(["request", "perf", "training"]) == ["step_time_s"]
    assert noisy_metrics(["perf", "generation"]) == ["step_time_s", "time_to_first_token_s", "time_per_output_token_s"]
    assert noisy_metrics(["perf", "loading"]) == ["step_time_s", "load_time_s", "first_call_time_s", "compile_time_s"]


def test_a_program_of_the_users_own_may_have_any_noisy_metric() -> None:
    assert noisy_metrics(["perf"], on_gpu=True) == [row.name for row in METRICS.values() if row.noisy]
    assert noisy_metrics(["perf"]) == [row.name for row in METRICS.values() if row.noisy and not row.on_gpu]


@pytest.mark.parametrize("fixture", OF_FIXTURE)
def test_one_more_noisy_metric_grows_the_number_of_pairs_where_workloads_have_it(
    fixture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = noisy_metrics(["perf", fixture])
    row = Metric("time_between_tokens_s", "s", "noisy", "time", fixtures=("generation",))
    monkeypatch.setitem(METRICS, row.name, row)
    assert len(noisy_metrics(["perf", fixture])) == len(before) + (fixture == "generation")


def test_a_gated_metric_cannot_be_better_when_it_is_higher() -> None:
    with pytest.raises(ValueError, match=r"'tokens_per_s' is noisy and better when it is higher, .* gate its inverse"):
        Metric("tokens_per_s", "1/s", "noisy", higher_is_better=True)
    assert not Metric("tokens_per_s", "1/s", "reported", higher_is_better=True).gated


def test_a_metric_without_a_row_is_reported_in_the_unit_of_its_name_and_never_gated() -> None:
    found = metric("cache_misses_per_s")
    assert not found.gated
    assert found.show(12.0) == "12/s"
    assert metric("scratch_bytes").show(3 << 20) == "3.00 MiB"


def test_a_programs_own_times_hold_in_the_timed_pass_alone_and_its_counts_in_every_one() -> None:
    passes = ("counters", "memory", "time")
    assert [metric("wait_s").brought_in(name) for name in passes] == [False, False, True]
    assert [metric("hits").brought_in(name) for name in passes] == [True, True, True]
    assert [metric("host_syncs").brought_in(name) for name in passes] == [True, False, False]


def test_a_metric_is_gated_in_the_pass_that_brings_it_and_elsewhere_reported() -> None:
    passes = ("counters", "memory", "time", None)
    assert [metric("compile_time_s").gated_in(name) for name in passes] == [False, False, True, True]
    assert [metric("compile_cache_misses").gated_in(name) for name in passes] == [True, False, False, True]
    assert not any(metric("first_step_s").gated_in(name) for name in passes)


@pytest.mark.parametrize(
    ("pass_name", "name"),
    [
        ("dry", "dry_run"),
        ("counters", "host_syncs"),
        ("memory", "peak_memory_bytes"),
        ("time", "step_time_s"),
        (None, "step_time_s"),
    ],
)
def test_a_pass_that_brought_nothing_is_judged_under_one_of_its_metrics(pass_name: str | None, name: str) -> None:
    assert stands_for(pass_name) == name


def test_of_several_ranks_a_step_is_the_slowest_one_and_bytes_are_the_most() -> None:
    told = {name: metric(name).told_by_ranks for name in ("step_time_s", "peak_memory_bytes", "queue_time_s")}
    assert told == {"step_time_s": "largest", "peak_memory_bytes": "largest", "queue_time_s": "nothing"}
    assert metric("host_syncs").told_by_ranks == "first"
    assert metric("moved_bytes_per_s").told_by_ranks == "first"
