"""AMD's GPUs as a scripted ``amd-smi`` tells of them. None of this has run beside such a GPU."""

import json
import os

import pytest

from perfgate.measure.devices.find import find_device
from perfgate.measure.devices.power import control_of
from perfgate.measure.devices.rocm import AmdSmi, visible
from perfgate.shared.errors import UserError
from tests.support.amd_smi import UUIDS, answers, install


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Puts a command that prints these answers on the path."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return lambda told: install(tmp_path, told)


def test_a_gpu_has_the_name_memory_and_limit_that_the_command_tells(smi):
    smi(answers())
    device = find_device("rocm")
    assert device.machine.name == "amd-instinct-mi300x-192gib-750w"
    assert (device.kind, device.uuid, device.order) == ("rocm", UUIDS[0], {"kind": "rocm", "uuid": UUIDS[0]})
    assert [peer.uuid for peer in device.peers] == [UUIDS[1]]
    assert device.machine.gpu["ecc"] is None
    assert device.machine.gpu["capability"] is None


def test_its_status_is_what_the_command_tells_and_nothing_else(smi):
    smi(answers())
    status = find_device("rocm").status()
    assert status.reasons == {"sw_power_cap"}
    assert (status.power_w, status.clock_mhz, status.energy_j) == (142.0, 2107.0, 137905.5)
    assert status.pids == {41}  # the other one takes no memory of this GPU
    assert (status.slowdown_ns, status.busy, status.power_limit_w) == ({}, None, None)


@pytest.mark.parametrize(
    ("process", "pids"),
    [
        ([{"gpu": 0, "process_list": [{"process_info": "No running processes detected"}]}], set()),
        ([{"gpu": 0, "process_list": "N/A"}], None),
        ([{"gpu": 0, "process_list": [{"process_info": {"pid": "N/A"}}]}], None),
    ],
)
def test_where_processes_are_not_told_nobody_guesses(smi, process, pids):
    smi(answers() | {"process": process, "metric": [{"gpu": 0, "power": "N/A", "clock": {"gfx_0": {"clk": "N/A"}}}]})
    status = find_device("rocm").status()
    assert status.pids == pids
    assert (status.power_w, status.clock_mhz, status.energy_j, status.reasons) == (None, None, None, frozenset())


def test_a_command_that_fails_later_tells_nothing(smi):
    smi(answers())
    device = find_device("rocm")
    smi({"metric": "oh no"})
    assert device.status().pids is None


def test_older_limits_and_warnings_before_the_json_are_read(smi):
    told = answers()
    static = [row | {"limit": {"socket_power": {"value": 300, "unit": "W"}}} for row in told["static"]["gpu_data"]]
    smi(told | {"static": f"WARNING: user is not in the group render\n{json.dumps(static)}"})
    assert find_device("rocm").machine.name == "amd-instinct-mi300x-192gib-300w"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"list": "no"}, "the driver does not answer: amd-smi list prints no JSON"),
        ({"list": {"gpus": []}}, "amd-smi prints no list of GPUs with a number each"),
        ({"list": [{"gpu": 0, "hip_uuid": "N/A"}]}, "tells no HIP_UUID of GPU 0, by which a process is bound to it"),
        ({"list": [{"gpu": 0, "partition_id": 3}]}, "GPU 0 is partition 3 of a divided GPU"),
        ({"static": [{"gpu": 0}, {"gpu": 1}]}, "amd-smi tells no market_name and vram size of GPU 0"),
        ({"list": []}, "no GPU is visible; use --perf-device cpu"),
    ],
)
def test_what_is_not_told_as_documented_is_refused_in_a_sentence(smi, change, message):
    smi(answers() | change)
    with pytest.raises(UserError, match=message) as error:
        find_device("rocm")
    assert "\n" not in str(error.value)


def test_the_variable_names_gpus_by_uuid_and_numbers_are_refused(smi, monkeypatch):
    smi(answers())
    gpus = AmdSmi().gpus()
    assert [gpu.uuid for gpu in visible(gpus, {"ROCR_VISIBLE_DEVICES": f"{UUIDS[1]},GPU-0"})] == [UUIDS[1]]
    with pytest.raises(UserError, match="names 0, 1, and which GPU has which number cannot be told"):
        visible(gpus, {"ROCR_VISIBLE_DEVICES": "0,1"})
    with pytest.raises(UserError, match="HIP_VISIBLE_DEVICES is set, whose numbers cannot be told"):
        visible(gpus, {"HIP_VISIBLE_DEVICES": "0"})
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "GPU-0")
    with pytest.raises(UserError, match=r"no GPU is visible \(ROCR_VISIBLE_DEVICES is 'GPU-0'\)"):
        find_device("rocm")


def test_without_the_command_it_is_one_sentence_and_no_limit_can_be_set(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="--perf-device rocm: amd-smi is not on the path; install AMD"):
        find_device("rocm")
    with pytest.raises(UserError, match="--perf-power-limits needs a GPU, and this run measures on rocm"):
        control_of({"kind": "rocm", "uuid": UUIDS[0]})


def test_what_torch_was_built_for_is_not_taken_by_itself_as_it_has_never_run(smi, monkeypatch):
    smi(answers())
    monkeypatch.setattr("perfgate.measure.devices.find.software", lambda: {"torch": "2.13.0+rocm7.1"})
    assert find_device("auto").kind == "cpu"
    assert find_device("rocm").kind == "rocm"
