"""Operators by themselves: what they take in a dry run and for real, the settings in force, the rates that follow."""

import gc

import pytest
import torch

from perfgate.actor.devices.cpu import Cpu
from perfgate.actor.dry_run.run import dry_run
from perfgate.actor.dry_run.tracker import Tracker
from perfgate.actor.instruments import device_rates
from perfgate.actor.instruments.device_rates import Rates
from perfgate.actor.programs.operators import Operator
from perfgate.cases.derived import with_work
from perfgate.records.launch import Launch
from perfgate.shared.errors import UserError
from perfgate.shared.settings import OPERATORS
from perfgate.workloads.operators import operator

FLOAT = 4  # bytes
SIZE = {
    "rows": 12,
    "inner": 8,
    "columns": 16,
    "batch_size": 4,
    "heads": 2,
    "sequence_length": 16,
    "head_width": 8,
    "inputs": 8,
    "outputs": 16,
}
SETTINGS = [
    (name, {setting.name: value}) for name, kind in OPERATORS.items() for setting in kind for value in setting.values
]


def small(name, **settings):
    """An operator on small tensors."""
    return operator(name, **{size: SIZE[size] for size in OPERATORS[name].sizes}, **settings)


def built(workload):
    """The program for real, on this process's threads."""
    return Operator(Cpu(torch.get_num_threads()), **workload.params)


@pytest.fixture(scope="module", autouse=True)
def little_to_collect():
    """Each dry run collects garbage, which takes long where the libraries' objects are looked through."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


ROWS, COLUMNS = SIZE["rows"], SIZE["columns"]
ELEMENTS = ROWS * COLUMNS
LINEAR = 2 * SIZE["batch_size"] * SIZE["inputs"] * SIZE["outputs"]
HEADS = SIZE["batch_size"] * SIZE["heads"]


@pytest.mark.parametrize(
    ("name", "settings", "flops", "moved"),
    [
        ("matmul", {}, 2 * ROWS * 8 * COLUMNS, FLOAT * (ROWS * 8 + 8 * COLUMNS + ELEMENTS)),
        ("batched_matmul", {}, 4 * 2 * ROWS * 8 * COLUMNS, 4 * FLOAT * (ROWS * 8 + 8 * COLUMNS + ELEMENTS)),
        ("linear", {}, LINEAR, FLOAT * (4 * 8 + 8 * 16 + 4 * 16)),
        ("linear", {"direction": "activation_gradient"}, LINEAR, FLOAT * (4 * 8 + 8 * 16 + 4 * 16)),
        ("linear", {"direction": "weight_gradient"}, LINEAR, FLOAT * (4 * 8 + 8 * 16 + 4 * 16)),
        ("linear", {"direction": "backward"}, 2 * LINEAR, 2 * FLOAT * (4 * 8 + 8 * 16 + 4 * 16)),
        ("attention", {}, 4 * HEADS * 16 * 16 * 8, None),
        ("softmax", {}, 5 * ELEMENTS, 2 * FLOAT * ELEMENTS),
        ("gelu", {}, ELEMENTS, 2 * FLOAT * ELEMENTS),
        ("residual", {}, ELEMENTS, 3 * FLOAT * ELEMENTS),
        ("residual", {"precision": "bf16"}, ELEMENTS, 3 * 2 * ELEMENTS),
        ("bias", {"in_place": True}, ELEMENTS, FLOAT * (2 * ELEMENTS + COLUMNS)),
    ],
)
def test_an_operator_takes_what_it_takes_by_hand(name, settings, flops, moved):
    ledger = dry_run(Operator, small(name, **settings).params)
    assert ledger["flops"] == flops
    assert moved in (None, ledger["read_bytes"] + ledger["written_bytes"])
    assert {path for path, groups in ledger["work"].items() if groups} == {name}


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_an_operator_does_for_real_what_it_does_dry_and_what_was_asked_for(name, settings):
    workload = small(name, **settings)
    ledger = dry_run(Operator, workload.params)
    program = built(workload)
    program.keeps_outcome = True
    tracker = Tracker(64, dry=False)
    with tracker, tracker.hooked():
        found = program.step()
    assert dict(tracker.operators) == ledger["operators"]
    assert all(bool(tensor.isfinite().all()) for tensor in found)
    asked, effective = program.effective()
    assert asked == effective
    assert len(program.outcome()["logits"]) == min(found[0].numel(), 1024)


@pytest.mark.parametrize("name", [name for name, kind in OPERATORS.items() if "fused" in kind.by_name])
def test_written_out_an_operator_says_the_same_with_more_calls(name):
    fused, written = (small(name, fused=fused) for fused in (True, False))
    outcomes = [built(workload).single.step()[0] for workload in (fused, written)]
    torch.testing.assert_close(*outcomes)
    calls = [dry_run(Operator, workload.params)["operator_calls"] for workload in (fused, written)]
    assert calls[0] <= calls[1]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mat_mul", {}, "unknown operator 'mat_mul'; .*did you mean matmul"),
        ("softmax", {"inner": 8}, "unknown setting 'inner'"),
        ("softmax", {"direction": "weight_gradient"}, "setting 'direction' is 'weight_gradient'"),
        ("bias", {"in_place": True, "direction": "backward"}, "in_place=True overwrites what"),
        ("matmul", {"rows": 0}, "setting 'rows' must be a positive whole number"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(name, settings, message):
    with pytest.raises(UserError, match=message):
        operator(name, **settings)


def test_settings_at_their_default_leave_an_operator_as_it_was():
    vanilla = operator("bias")
    assert operator("bias", rows=4096, direction="forward", in_place=False).sha256 == vanilla.sha256 == vanilla.vanilla
    assert operator("bias", in_place=True).vanilla == vanilla.sha256


def test_products_of_32_bits_are_small_on_a_gpu_which_they_would_heat():
    assert device_rates.sizes("cuda", 4)[0] < device_rates.sizes("cuda", 2)[0]
    assert device_rates.sizes("cpu", 4) == device_rates.ON_CPU


def test_rates_are_measured_for_programs_that_ask_and_for_no_other(monkeypatch):
    monkeypatch.setattr(device_rates, "ON_CPU", (64, 1 << 20, 1))
    for dtype in (torch.float32, None):
        program = built(small("gelu"))
        program.rates_of = dtype
        instrument = Rates(Cpu(torch.get_num_threads()))
        instrument.built(program)
        found = instrument.end_step()
        rates = {"peak_flops_per_s", "peak_bytes_per_s"}
        # On both clocks: the wall's, and the processor's.
        assert set(found) == (rates | {f"process_{rate}" for rate in rates} if dtype else set())
        assert all(rate > 1e6 for rate in found.values())


def test_time_by_rate_is_the_work_and_shares_follow_what_the_device_did_meanwhile():
    dry = Launch("case", "a", 0, {"flops": 600, "moved_bytes": 60, "operator_calls": 1}, pass_name="dry")
    spans = {"step_time_s": [1.0, 2.0, 3.0], "peak_flops_per_s": [1200.0, 600.0, 400.0]}
    timed = Launch("case", "a", 0, spans, pass_name="time")
    other = Launch("case", "b", 0, {"step_time_s": 1.0}, pass_name="time")
    _, found, foreign = with_work([dry, timed, other])
    assert found.value("flops_per_s") * found.value("step_time_s") == 600
    assert found.value("moved_bytes_per_s") * found.value("step_time_s") == 60
    assert found.value("flops_share") == pytest.approx(0.5)
    assert "bandwidth_share" not in found.metrics
    assert foreign.metrics == other.metrics
