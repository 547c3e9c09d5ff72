"""The arithmetic of what a case costs a GPU."""

import pytest

from perfgate.predict.gpu_catalog import find_gpu
from perfgate.predict.session_cost import case_s, duet_s, shape_of, step_s
from perfgate.workloads.models.shapes import read_shapes
from perfgate.workloads.tasks import generation, loading, training

H100 = find_gpu("h100-sxm-80gb")


@pytest.mark.parametrize(
    ("name", "weights"),
    [("gpt2", 124e6), ("bert-large-uncased", 335e6), ("Llama-3.2-1B", 1.236e9), ("Qwen3-0.6B", 0.596e9)],
)
def test_weights_are_counted_from_the_configuration(name, weights):
    shape = shape_of(read_shapes()[name].source["config"])
    assert shape is not None
    assert shape.weights == pytest.approx(weights, rel=0.2)


def test_a_case_of_a_billion_weights_and_a_duet_of_long_steps_keep_their_bounds():
    workload = training(read_shapes()["Llama-3.2-1B"], precision="bf16", batch_size=1, sequence_length=2048)
    step = step_s(workload, H100)
    assert step is not None
    assert case_s(workload, step) <= 40
    assert duet_s(1.0) <= 60


def test_compiled_decode_waits_less_for_the_host_and_takes_longer_to_begin():
    decode = {"precision": "bf16", "batch_size": 1, "cache": "static"}
    model = read_shapes()["Llama-3.2-1B"]
    eager, graphs = (generation(model, compile_decode=mode, **decode) for mode in ("off", "reduce-overhead"))
    steps = [step_s(workload, H100) for workload in (eager, graphs)]
    assert steps[1] < steps[0] / 4
    assert case_s(graphs, 1.0) > case_s(eager, 1.0)


def test_loading_takes_as_long_as_its_files_are_large():
    model = read_shapes()["gpt2"]
    whole, half = (step_s(loading(model, stored=stored), H100) for stored in ("fp32", "bf16"))
    assert whole is not None
    assert half is not None
    assert 0.2 < whole < 1
    assert half < whole
