"""The GPU of an Apple chip as scripted commands of macOS tell of it. None of this has run on a Mac."""

import json
import os
import platform

import pytest

from perfgate.measure.devices.find import find_device
from perfgate.shared.device_kinds import built_for
from perfgate.shared.errors import UserError

M4 = [{"_name": "Apple M4 Pro", "sppci_model": "Apple M4 Pro", "sppci_cores": "20"}]
OTHER = [{"sppci_model": "AMD Radeon Pro 5500M"}]


@pytest.fixture
def mac(tmp_path, monkeypatch):
    """Makes this a Mac whose commands say this."""

    def make(displays, memory="51539607552"):
        for name, text in (("system_profiler", json.dumps({"SPDisplaysDataType": displays})), ("sysctl", memory)):
            command = tmp_path / name
            command.write_text(f"#!/bin/sh\necho '{text}'\n")
            command.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(platform, "system", lambda: "Darwin")

    return make


def test_it_is_named_after_its_chip_cores_and_memory_and_nothing_tells_who_uses_it(mac):
    mac(M4)
    device = find_device("mps")
    assert device.machine.name == "apple-m4-pro-20-core-gpu-48gib"
    assert (device.kind, device.uuid, device.cores) == ("mps", "MPS-0", None)
    assert device.status() is device.rested() is None


@pytest.mark.parametrize(
    ("displays", "memory", "message"),
    [
        (OTHER, "1", "one GPU of an Apple chip is needed, and system_profiler lists AMD Radeon Pro 5500M"),
        ([], "1", "system_profiler lists none"),
        ([{"sppci_model": "Apple M1"}], "1", "tells no number of GPU cores of Apple M1"),
        (M4, "unknown", r"sysctl tells no memory of this Mac \(unknown\)"),
        ("text", "1", "system_profiler lists no GPUs under SPDisplaysDataType"),
    ],
)
def test_what_is_not_told_is_refused_in_a_sentence(mac, displays, memory, message):
    mac(displays, memory)
    with pytest.raises(UserError, match=f"^--perf-device mps: .*{message}.*; use --perf-device cpu$"):
        find_device("mps")


def test_elsewhere_it_is_one_sentence():
    with pytest.raises(UserError, match="--perf-device mps: Apple's GPUs are on macOS, and this is Linux"):
        find_device("mps")
    with pytest.raises(UserError, match="--perf-device mps:1: a Mac has one such GPU"):
        find_device("mps:1")


def test_on_a_mac_torch_is_built_for_it_and_is_not_taken_by_itself(mac, monkeypatch):
    mac(M4)
    monkeypatch.setattr("perfgate.measure.devices.find.software", lambda: {"torch": "2.13.0"})
    assert built_for("2.13.0").name == "mps"
    assert find_device("auto").kind == "cpu"


def test_what_is_not_begun_says_so():
    with pytest.raises(UserError, match=r"--perf-device xpu: Intel's GPUs \(xpu\) are not begun: .*cpu$"):
        find_device("xpu")
