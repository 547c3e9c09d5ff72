"""What programs see of ROCm and Apple's mps, against a torch that is told to have them. Neither has run on hardware."""

import os
from types import SimpleNamespace

import pytest
import torch

from perfgate.actor import instruments
from perfgate.actor.devices import open_device, show_device
from perfgate.actor.devices.cpu import Cpu
from perfgate.actor.devices.mps import Mps
from perfgate.actor.devices.rocm import Rocm
from perfgate.actor.techniques.quantization import check_capability
from tests.support.metal import fakes


@pytest.fixture
def mps(monkeypatch):
    """The device, of a torch that says that it has one; tensors stay on the host."""
    waits = []
    for place, name, fake in fakes(waits):
        monkeypatch.setattr(place, name, fake)
    device = open_device({"kind": "mps", "uuid": "MPS-0"}, "time", None, 1)
    assert isinstance(device, Mps)
    monkeypatch.setattr(device, "torch_device", "cpu", raising=False)
    device.waits = waits
    return device


def test_mps_times_steps_by_its_events_and_waits_by_its_own_call(mps, monkeypatch):
    monkeypatch.setattr("perfgate.actor.devices.bursts.MARKS_S", 0.0)
    mps.begin_burst()
    mps.stepped()
    mps.stepped()
    assert len(spans := mps.spans_s()) == 2
    assert all(span > 0 for span in spans)
    assert mps.spans_s() == []
    assert mps.processor_s() is None
    mps.synchronize()
    assert mps.waits == [1]
    mps.prove(compiled=False)


def test_mps_tells_no_peak_no_record_and_no_segments(mps):
    mps.reset_peaks()
    assert mps.peaks() == {"held_memory_bytes": 1000, "driver_memory_bytes": 4096}
    mps.begin_record(host=True)
    assert mps.end_record() is None
    assert mps.segments() == []


@pytest.mark.parametrize(
    ("pass_name", "told"), [("memory", {"held_memory_bytes", "driver_memory_bytes"}), ("counters", set())]
)
def test_what_cannot_be_told_of_mps_is_missing_from_the_passes_and_is_not_zero(mps, pass_name, told):
    network = torch.nn.Linear(4, 4)
    program = SimpleNamespace(
        components={},
        network=network,
        phases=None,
        ranks=1,
        threaded=False,
        host_work=False,
        parts=lambda: {"weights": list(network.parameters())},
        effective=lambda: ({}, {}),
    )
    found = {}
    active = [one for one in instruments.for_pass(pass_name, mps) if type(one).__name__ not in ("PythonCalls",)]
    for one in active:
        one.start()
    for one in active:
        one.built(program)
    for _ in range(2):
        for one in active:
            one.begin_step()
        network(torch.ones(4))
        for one in reversed(active):
            found |= one.end_step()
    gated = {"peak_memory_bytes", "host_syncs", "kernel_launches", "copies", "allocations", "graph_captures"}
    assert told <= set(found)
    assert not gated & set(found)


def test_a_torch_without_the_device_is_one_sentence(monkeypatch):
    with pytest.raises(RuntimeError, match=r"^torch \S+ was built without mps, which --perf-device mps needs$"):
        Mps(1)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match=r"^torch cannot use this Mac's GPU"):
        Mps(1)
    with pytest.raises(RuntimeError, match=r"^torch \S+ was built without ROCm, which --perf-device rocm needs$"):
        Rocm(1)


def test_rocm_is_torchs_cuda_device_at_its_position(monkeypatch):
    places = []
    monkeypatch.setattr(torch.version, "hip", "7.1.0")
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "set_device", places.append)
    for name in ("ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "")
    device = open_device({"kind": "rocm", "uuid": "GPU-aa,GPU-bb", "position": 1}, "time", None, 1)
    assert (device.name, device.torch_device, places) == ("rocm", "cuda", [1])
    # HIP reads CUDA's variable as well, which hid all devices until now.
    assert os.environ["ROCR_VISIBLE_DEVICES"] == "GPU-aa,GPU-bb"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert isinstance(open_device({"kind": "rocm", "uuid": "GPU-aa"}, "yardstick", None, 1), Cpu)


def test_a_device_without_a_variable_leaves_the_others_hidden(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    show_device({"kind": "mps", "uuid": "MPS-0"})
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_compute_capabilities_are_asked_of_cuda_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: asked.append(device) or (9, 0))
    for version in ("2.13.0+rocm7.1", "2.13.0+cu130"):
        monkeypatch.setattr(torch, "__version__", version)
        check_capability("torchao-int4", "cuda")
    check_capability("torchao-int4", "cpu")
    assert asked == ["cuda"]
