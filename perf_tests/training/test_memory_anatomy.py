"""The anatomy of a model's memory: weights, gradients, optimizer state, activations and temporaries, and the bytes that
each of them takes per parameter.

From https://huggingface.co/docs/transformers/model_memory_anatomy, with the model used there. The sizes come from a dry
run, which needs neither a GPU nor the 12 GB; one case also measures a small model. The rules are the same on every
device. Activations are smaller on a GPU, because its fused attention and dropout keep less.
"""

import pytest

from fixtures.models import models

BERT_LARGE = models()["bert-large-uncased"]
SMALL = models()["bert-quick"]


@pytest.mark.perf(tier="quick", dry=True)
@pytest.mark.parametrize(
    ("optimizer", "state_bytes"),
    [
        ("adamw_torch", 8),
        pytest.param("adamw_torch_fused", 8, marks=pytest.mark.perf(tier="full")),
        pytest.param("adafactor", 0, marks=pytest.mark.perf(tier="full")),
        pytest.param("sgd", 0, marks=pytest.mark.perf(tier="full")),
        pytest.param("sgd_momentum", 4, marks=pytest.mark.perf(tier="full")),
    ],
)
def test_bytes_per_parameter(perf, training, optimizer, state_bytes):
    ledger = perf(training(BERT_LARGE, batch_size=4, sequence_length=512, optimizer=optimizer)).ledger
    parts = {part: size / ledger["parameters"] for part, size in ledger["highest_by_part_bytes"].items()}
    assert parts["weights"] == pytest.approx(4, rel=0.001)
    assert parts["gradients"] == pytest.approx(4, rel=0.001)
    assert parts["optimizer_state"] == pytest.approx(state_bytes, abs=0.02)
    # At this batch size most of the memory is activations.
    assert parts["activations"] > 16


@pytest.mark.perf(tier="quick", dry=True)
def test_mixed_precision_keeps_full_weights(perf, training):
    ledger = perf(training(BERT_LARGE, batch_size=4, sequence_length=512, precision="bf16-amp")).ledger
    assert ledger["highest_by_part_bytes"]["weights"] == pytest.approx(4 * ledger["parameters"], rel=0.001)


@pytest.mark.perf(tier="quick", dry=True)
def test_mixed_precision_keeps_a_copy_of_2_bytes_for_the_backward_pass(perf, training):
    ledger = perf(training(BERT_LARGE, batch_size=1, sequence_length=8, precision="bf16-amp")).ledger
    # Embeddings and vectors have no copy, and so short a sample has hardly any other activation: 16 bytes become 18.
    assert 1.7 < ledger["highest_by_part_bytes"]["activations"] / ledger["parameters"] < 2


def test_predicted_peak_is_what_is_measured(perf, training):
    result = perf(training(SMALL, batch_size=8))
    metrics = result.metrics
    if "peak_reserved_bytes" in metrics:  # only on a GPU, whose libraries keep workspaces larger than this model
        workspaces = result.ledger["cuda_memory"]["workspaces"]["temporaries"]
        measured = metrics["peak_memory_bytes"] - workspaces
        assert metrics["predicted_cuda_peak_bytes"] - workspaces == pytest.approx(measured, rel=0.05)
    elif "peak_memory_bytes" in metrics:
        assert metrics["predicted_peak_bytes"] == pytest.approx(metrics["peak_memory_bytes"], rel=0.005)
    if "peak_memory_bytes" in metrics:
        for part in ("weights", "optimizer_state"):
            assert metrics[f"{part}_bytes"] == pytest.approx(metrics[f"measured_{part}_bytes"], rel=0.005)
