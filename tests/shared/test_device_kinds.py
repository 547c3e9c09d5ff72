"""The kinds of device: what a row names is there, and which one torch is built for."""

import importlib.util

import pytest

from perfgate.shared.device_kinds import DEVICE_KINDS, DRY_TARGETS, KINDS, DeviceKind, built_for
from perfgate.shared.metrics import METRICS
from perfgate.workloads.programs import PROGRAMS


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_modules_that_a_row_names_are_there(kind: DeviceKind) -> None:
    for place in filter(None, (kind.actor, kind.yardstick, kind.handles, kind.rules)):
        assert importlib.util.find_spec(place.partition(":")[0]), place


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("2.13.0+cpu", "cpu"),
        ("2.13.0", "cuda"),
        ("2.13.0+cu130", "cuda"),
        ("2.8.0a0+52289.nv25.05", "cuda"),
        ("", "cuda"),
    ],
)
def test_a_build_of_torch_is_for_one_kind(version: str, name: str) -> None:
    assert built_for(version).name == name


def test_each_kind_has_a_yardstick_and_each_dry_target_a_metric_of_its_own() -> None:
    assert {f"yardstick.{name}" for name in DEVICE_KINDS} <= set(PROGRAMS)
    peaks = [DEVICE_KINDS[target].predicted_peak for target in DRY_TARGETS]
    assert peaks == ["predicted_peak_bytes", "predicted_cuda_peak_bytes"]
    assert all(METRICS[name].cells for name in peaks)
