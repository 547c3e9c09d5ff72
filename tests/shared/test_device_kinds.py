"""The kinds of device: what a row names is there, and which one torch is built for."""

import importlib.util
import re

import pytest

from perfgate.shared.device_kinds import DEVICE_KINDS, DRY_TARGETS, KINDS, NOT_BEGUN, DeviceKind, built_for
from perfgate.shared.metrics import METRICS
from perfgate.workloads.programs import PROGRAMS
from tests import ROOT


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
        ("2.13.0+rocm7.1", "rocm"),
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


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_real_kind_has_rules_for_its_dry_run_or_says_why_it_has_none(kind: DeviceKind) -> None:
    assert bool(kind.rules) + bool(kind.no_rules) + bool(kind.emulates) + kind.scripted == 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_only_a_kind_that_has_never_run_says_so_and_names_what_it_cannot_tell(kind: DeviceKind) -> None:
    assert kind.never_run == (kind.name in ("rocm", "mps")) == bool(kind.cannot_tell)
    told = f"{kind.title} was written from documentation and has never run; it cannot tell {kind.cannot_tell}"
    assert kind.untested == (told if kind.never_run else "")
    assert not kind.never_run or kind.remark == f" ({told})"


@pytest.mark.parametrize("name", ["rocm", "mps"])
def test_a_device_takes_the_files_of_the_recipe_and_nothing_else_names_it(name: str) -> None:
    kind = DEVICE_KINDS[name]
    places = (kind.actor, kind.yardstick, kind.handles, kind.rules)
    own = {place.partition(":")[0].replace(".", "/") + ".py" for place in places if place}
    files = {str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "perfgate").rglob("*.py")}
    naming = {path for path, text in files.items() if re.search(rf"\b{name}\b", text, re.IGNORECASE)}
    naming.discard("perfgate/predict/unpredicted_gpus.py")  # a catalogue of GPUs, which a device needs for nothing
    assert naming == own | {"perfgate/shared/device_kinds.py"}
    assert len(naming) <= 5


def test_what_is_not_begun_is_no_kind() -> None:
    assert set(NOT_BEGUN) == {"xpu"}
    assert not set(NOT_BEGUN) & set(DEVICE_KINDS)
