"""Devices as each side sees them: who a GPU is, which ones the caller may use, what a burst and a phase are."""

import ast
import dataclasses
import json
import os
import subprocess
import sys
from fnmatch import fnmatch
from types import SimpleNamespace

import pytest

from perfgate.actor import instruments
from perfgate.actor.devices.base import covered
from perfgate.actor.devices.cpu import Cpu
from perfgate.actor.instruments.clock import Clock
from perfgate.actor.instruments.phases import StepPhases
from perfgate.actor.pace import Done, Pace
from perfgate.actor.phases import Phases
from perfgate.measure.devices.base import PowerLimit, Status
from perfgate.measure.devices.find import find_device
from perfgate.measure.devices.power import control_of
from perfgate.measure.devices.rapl import energy_j
from perfgate.measure.devices.visible import cores_of, visible
from perfgate.measure.disturbance import Company, undisturbed
from perfgate.measure.duet import DuetSide, count_steps, in_bursts
from perfgate.measure.energy import energy
from perfgate.measure.monitor import DeviceMonitor
from perfgate.measure.power_limit import check_honoured
from perfgate.measure.steps import burst_steps, with_host_time
from perfgate.records.details import Turns
from perfgate.records.gpu import gpu_from
from perfgate.records.launch import Launch
from perfgate.shared.errors import UserError
from perfgate.shared.wire import Channel
from perfgate.shared.workload import Workload
from tests import ROOT
from tests.support.plugins import QUIET

GIB = 2**30
SMI = """#!/bin/sh
case "$*" in
*--help-query-gpu*) echo '"clocks_event_reasons.hw_slowdown" or "clocks_throttle_reasons.hw_slowdown"'
    echo '"clocks_event_reasons_counters.sw_power_cap" "clocks_event_reasons_counters.hw_thermal_slowdown"'
    echo '"power.draw" "clocks.sm" or "clocks.current.sm"' ;;
*--query-compute-apps*) printf '41\\n[N/A]\\n43\\n' ;;
*index*) echo '0, GPU-aa11, NVIDIA H100 NVL, 95830, 400.00, Disabled, Enabled'
    echo '1, GPU-bb22, NVIDIA H100 NVL, 95830, 310.00, [N/A], Enabled' ;;
*) echo 'Not Active, 1500, 20, 123.45, 1755' ;;
esac
"""


def gpu(number, name="NVIDIA A10", uuid=None):
    facts = {"uuid": uuid or f"GPU-{number}{number}-x", "index": number, "name": name, "memory_bytes": 24 * GIB}
    return gpu_from(facts)


def chosen(environment, gpus):
    return [found.uuid for found in visible(gpus, environment)]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (None, [0, 1, 2, 3]),
        ("3,1", [3, 1]),
        (" 2 , 0 ", [2, 0]),
        ("GPU-11,GPU-3", [1, 3]),
        ("1,1,0", [1, 0]),
        ("2,9,0", [2]),
        ("GPU-,0", []),
        ("-1", []),
        ("", []),
        ("NoDevFiles", []),
    ],
)
def test_visible_devices_are_read_as_the_driver_reads_them(named, expected):
    environment = {} if named is None else {"CUDA_VISIBLE_DEVICES": named}
    gpus = [gpu(number) for number in range(4)]
    assert chosen(environment, gpus) == [gpus[number].uuid for number in expected]


def test_numbers_are_refused_where_the_driver_orders_different_gpus_by_speed():
    gpus = [gpu(0, "NVIDIA T4"), gpu(1, "NVIDIA A10")]
    with pytest.raises(UserError, match="set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name the GPUs by UUID"):
        visible(gpus, {"CUDA_VISIBLE_DEVICES": "0"})
    assert chosen({"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, gpus) == [gpus[0].uuid]
    assert chosen({"CUDA_VISIBLE_DEVICES": "GPU-11"}, gpus) == [gpus[1].uuid]


def test_a_number_names_all_slices_of_a_gpu_and_a_uuid_names_one():
    gpus = [gpu(0, "NVIDIA A100 MIG 3g.20gb", f"MIG-{name}") for name in ("aa", "bb")]
    assert chosen({"CUDA_VISIBLE_DEVICES": "0"}, gpus) == ["MIG-aa", "MIG-bb"]
    assert chosen({"CUDA_VISIBLE_DEVICES": "MIG-b"}, gpus) == ["MIG-bb"]


def test_devices_share_the_cores_and_each_gets_four_where_there_are_as_many(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert [cores_of(position, 2) for position in range(2)] == [list(range(8)), list(range(8, 16))]
    assert {len(cores_of(position, 8)) for position in range(8)} == {4}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert cores_of(1, 2) == [0, 1]


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"name": "NVIDIA H100 NVL", "power_limit_w": 400.0, "ecc": True}, "nvidia-h100-nvl-94gib-400w-ecc"),
        ({"name": "NVIDIA H100 PCIe", "power_limit_w": 310.0, "ecc": False}, "nvidia-h100-pcie-94gib-310w-no-ecc"),
        ({"name": "NVIDIA H100 NVL MIG 1g.12gb"}, "nvidia-h100-nvl-mig-1g-12gb-94gib"),
        ({"name": "NVIDIA H100 NVL", "mig_profile": "1g.12gb"}, "nvidia-h100-nvl-94gib-mig-1g-12gb"),
    ],
)
def test_a_machine_is_named_after_what_changes_its_speed_and_not_after_the_card(facts, name):
    machine = gpu_from({"uuid": "GPU-1", "index": 1, "memory_bytes": 94 * GIB, **facts}).machine("cuda")
    assert machine.name == name
    assert "uuid" not in machine.gpu
    assert machine == gpu_from({"uuid": "GPU-2", "index": 0, "memory_bytes": 94 * GIB, **facts}).machine("cuda")


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """A machine whose driver answers through nvidia-smi alone."""
    (tmp_path / "nvidia-smi").write_text(SMI)
    (tmp_path / "nvidia-smi").chmod(0o755)
    (tmp_path / "pynvml.py").write_text("raise ImportError('not installed')")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    return tmp_path


def test_a_gpu_is_identified_and_watched_through_nvidia_smi(smi):
    code = (
        "from perfgate.measure.devices.find import find_device\n"
        "first, second = (find_device('cuda', worker) for worker in (0, 3))\n"
        "print(first.machine.name, first.uuid, second.uuid, first.kind)\n"
        "status = first.status()\n"
        "print(sorted(status.slowdown_ns.items()), status.power_w, status.clock_mhz, sorted(status.pids))\n"
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "GPU-aa11,1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        # The second card has another power limit, so it is another machine, and one run measures on one.
        "nvidia-h100-nvl-94gib-400w-ecc GPU-aa11 GPU-aa11 cuda",
        "[('hw_thermal_slowdown', 20000), ('sw_power_cap', 1500000)] 123.45 1755.0 [41, 43]",
    ]


def test_a_run_stands_under_the_gpus_name(pytester, smi):
    pytester.makeini(f"[pytest]\naddopts = {QUIET}\n")
    result = pytester.runpytest_subprocess("--collect-only", "--perf-device", "cuda")
    result.stdout.fnmatch_lines(["perfgate *: machine nvidia-h100-nvl-94gib-400w-ecc, *"])


def test_cuda_by_name_without_a_driver_is_a_sentence_and_auto_is_the_cpu(pytester, tmp_path, monkeypatch):
    pytester.makeini(f"[pytest]\naddopts = {QUIET}\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    result = pytester.runpytest_subprocess("--collect-only", "--perf-device", "cuda")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --perf-device cuda: neither NVML nor nvidia-smi answers; *perfgate?gpu?*"])
    assert [find_device("auto", worker).kind for worker in range(4)] == ["cpu"] * 4


def test_a_driver_that_does_not_answer_is_a_sentence_where_it_is_asked_for_and_else_no_gpu(smi):
    (smi / "nvidia-smi").write_text("#!/bin/sh\ncase $* in *help*) ;; *) exit 9 ;; esac\n")
    code = (
        "from perfgate.shared.errors import UserError\n"
        "from perfgate.measure.devices import cuda\n"
        "print(cuda.cuda_devices(required=False))\n"
        "try:\n    cuda.cuda_devices(required=True)\n"
        "except UserError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[]\n--perf-device cuda: the driver does not answer: nvidia-smi fails (")


def test_gpus_that_cannot_be_told_apart_do_not_disturb_a_run_that_measures_nothing(pytester, smi, monkeypatch):
    mixed = SMI.replace("echo '1, GPU-bb22, NVIDIA H100 NVL", "echo '1, GPU-bb22, NVIDIA T4")
    (smi / "nvidia-smi").write_text(mixed)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    # As if torch were a build for GPUs.
    (smi / "torch-2.11.0.dist-info").mkdir()
    (smi / "torch-2.11.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.11.0\n")
    pytester.makeini(f"[pytest]\naddopts = {QUIET}\n")
    pytester.makepyfile("def test_it():\n    pass")
    result = pytester.runpytest_subprocess()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["perfgate *: CUDA_VISIBLE_DEVICES is '1', and which GPU has which number cannot*"])
    result = pytester.runpytest_subprocess("--perf-device", "cuda")
    result.stderr.fnmatch_lines(["ERROR: CUDA_VISIBLE_DEVICES is '1', and which GPU has which number cannot be told*"])


def test_every_name_of_the_drivers_library_exists_in_it():
    pynvml = pytest.importorskip("pynvml")
    tree = ast.parse((ROOT / "perfgate/measure/devices/nvml.py").read_text())
    names = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pynvml"
    }
    assert len(names) > 20
    assert not [name for name in names if not hasattr(pynvml, name)]


@pytest.fixture
def nvml(monkeypatch):
    """NVML with canned answers for one whole GPU and one that is cut in two; what it does not answer is an error."""
    pytest.importorskip("pynvml")
    from perfgate.measure.devices import nvml

    pynvml = nvml.pynvml

    def refuse(*_):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def fields(handle, wanted):
        told = {74: 5_000, 252: 1, 270: 7_000}
        return [
            SimpleNamespace(nvmlReturn=int(x not in told), value=SimpleNamespace(ullVal=told.get(x))) for x in wanted
        ]

    names = [name for name in dir(pynvml) if name.startswith("nvmlDeviceGet")]
    answers = dict.fromkeys(names, refuse) | {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: f"gpu{index}",
        "nvmlDeviceGetMigMode": lambda handle: [1, 1] if handle == "gpu1" else refuse(),
        "nvmlDeviceGetMaxMigDeviceCount": lambda handle: 3,
        "nvmlDeviceGetMigDeviceHandleByIndex": lambda whole, at: f"slice{at}" if at < 2 else refuse(),
        "nvmlDeviceGetAttributes": lambda handle: SimpleNamespace(gpuInstanceSliceCount=3, memorySizeMB=20096),
        "nvmlDeviceGetUUID": lambda handle: f"GPU-{handle}" if handle.startswith("gpu") else f"MIG-{handle}".encode(),
        "nvmlDeviceGetName": lambda handle: "NVIDIA A100-SXM4-40GB",
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=40 * GIB),
        "nvmlDeviceGetEnforcedPowerLimit": lambda handle: 400_000,
        "nvmlDeviceGetEccMode": lambda handle: [1, 1],
        "nvmlDeviceGetFieldValues": fields,
        "nvmlDeviceGetViolationStatus": lambda handle, policy: SimpleNamespace(violationTime=9_000),
        "nvmlDeviceGetTotalEnergyConsumption": lambda handle: 12_345,
        "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: 0x4 | 0x80,
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: [SimpleNamespace(pid=7)] if handle == "slice0" else [],
    }
    limits_mw = {"gpu0": 400_000}

    def permitted(handle, limit_mw):
        if limit_mw == 111_000:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)
        limits_mw[handle] = limit_mw

    answers |= {
        "nvmlDeviceGetHandleByUUID": lambda uuid: uuid.removeprefix("GPU-") if uuid == "GPU-gpu0" else refuse(),
        "nvmlDeviceGetPowerManagementLimit": limits_mw.__getitem__,
        "nvmlDeviceGetPowerManagementLimitConstraints": lambda handle: [100_000, 400_000],
        "nvmlDeviceSetPowerManagementLimit": permitted,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)
    return nvml.Nvml()


def test_a_power_limit_is_set_through_the_drivers_library_and_a_refusal_is_a_sentence(nvml):
    control = control_of({"kind": "cuda", "uuid": "GPU-gpu0"})
    control.set(250)
    # What is in force does not follow in this script, as it would where the board limits the card.
    assert control.read() == PowerLimit(250.0, 400.0, 100.0, 400.0)
    with pytest.raises(
        UserError, match="GPU-gpu0 was limited to 250 W, and its driver tells 250 W, of which 400 W are"
    ):
        check_honoured("GPU-gpu0", control.read(), 250)
    with pytest.raises(UserError, match="of GPU-gpu0 cannot be set: this user may not set it, only root may"):
        control.set(111)
    for uuid, why in (("MIG-slice0", "is a slice of a GPU"), ("GPU-gone", "NVML; pip install")):
        with pytest.raises(UserError, match=why):
            control_of({"kind": "cuda", "uuid": uuid})


def test_gpus_and_slices_are_identified_through_the_drivers_library(nvml):
    found = nvml.gpus()
    assert [(x.uuid, x.index, x.mig_profile) for x in found] == [
        ("GPU-gpu0", 0, None),
        ("MIG-slice0", 1, "3g.20gb"),
        ("MIG-slice1", 1, "3g.20gb"),
    ]
    assert found[1].machine("cuda").name == "nvidia-a100-sxm4-40gb-40gib-400w-mig-3g-20gb-ecc"


def test_what_the_driver_does_not_tell_is_left_out(nvml):
    nvml.gpus()
    status = nvml.status("MIG-slice0")
    # The violation counter of heat is asked only where the newer field is not counted.
    assert status.slowdown_ns == {"sw_power_cap": 5_000, "hw_thermal_slowdown": 7_001}
    assert status.reasons == {"sw_power_cap", "hw_power_brake_slowdown"}
    assert (status.energy_j, status.power_w, status.clock_mhz) == (12.345, None, None)
    assert (status.energy_from, status.power_limit_w) == ("nvml", 400.0)
    assert (status.pids, status.busy) == ({7}, None)


def timed(**fields):
    return Launch("case", "w", 0, {"step_time_s": [1.0]}, pass_name="time", **fields)


def reports(*held_ns, reason="hw_thermal_slowdown"):
    """Reports of the driver a second apart, the first one from before the launch."""
    return [Status({reason: held}, at_s=float(second)) for second, held in enumerate(held_ns)]


ALONE = Company()
BRAKED = Status(reasons=frozenset({"hw_power_brake_slowdown"}))


@pytest.mark.parametrize(
    ("seen", "company", "reason"),
    [
        ([Status(), Status()], ALONE, None),
        ([Status(), Status()], None, None),
        (reports(0, 10**9, 2 * 10**9, reason="sw_power_cap"), ALONE, None),
        (reports(5, 5, 5), ALONE, None),
        (reports(0, 0, 4 * 10**7), ALONE, None),
        # What held clocks down before the end of the first step has not disturbed the steps.
        (reports(0, 9 * 10**8, 9 * 10**8), ALONE, None),
        (
            reports(0, 10, 10 + 2 * 10**8),
            ALONE,
            "throttled: the device's clock was held down for 20% of the time, as it was too hot",
        ),
        (
            [Status(), BRAKED, Status()],
            ALONE,
            "throttled: the device's clock was held down for 50% of the time, as its power supply braked it",
        ),
        # The bit is also set while the clock changes, as at the launch's end.
        ([*[Status()] * 30, Status(reasons=frozenset({"hw_slowdown"}))], ALONE, None),
        ([Status(), Status()], Company([12, 13]), None),
        ([Status(), Status()], Company([12, 13], [13], 0.04), None),
        (
            [Status(), Status()],
            Company([12, 13], [13], 0.34),
            "contended: process 13 used the device for 34% of the time",
        ),
    ],
)
def test_a_timed_launch_is_rejected_for_a_share_of_heat_brakes_and_company(seen, company, reason):
    judged = undisturbed(timed(), "GPU-1", seen, company)
    assert fnmatch(judged.invalid or "", reason or "")
    assert not judged.fault
    assert judged.details.seen.others == ("cannot tell" if company is None else list(company.pids))


def test_what_is_not_torchs_is_told_where_nobody_else_has_the_device():
    launch = dataclasses.replace(timed(), metrics={"non_torch_memory_bytes": 1 << 20, "peak_memory_bytes": 1})
    told = [undisturbed(launch, "GPU-1", [Status()] * 2, company).metrics for company in (ALONE, Company([12]))]
    assert ["non_torch_memory_bytes" in metrics for metrics in told] == [True, False]


def test_a_duet_in_turn_bears_heat_which_both_its_sides_share():
    hot = reports(0, 0, 10**9)
    in_turn = timed().detailed(turns=Turns(stepped="in turn"))
    assert undisturbed(in_turn, "GPU-1", hot, ALONE).invalid is None
    apart = timed().detailed(turns=Turns(stepped="one after the other"))
    assert undisturbed(apart, "GPU-1", hot, ALONE).invalid.startswith("throttled")


class Watched:
    """A device whose driver gives these reports, one after the other."""

    uuid, look_s = "GPU-1", 0.0

    def __init__(self, *reports):
        self.status = iter(reports).__next__


def test_other_processes_count_by_what_they_computed_and_not_by_being_there():
    own = os.getpid()
    seen = (
        Status(pids=frozenset({7}), busy={7: 0.9}),
        Status(pids=frozenset({7, own}), busy={own: 0.9}),
        Status(pids=frozenset({7, own}), busy={}),
        Status(pids=frozenset({7, own}), busy={own: 0.8, 7: 0.1}),
    )
    monitor = DeviceMonitor(Watched(*seen), {own})
    for _ in seen[1:]:
        monitor.look(at_once=True)
    assert monitor.company() == Company([7], [7], 0.05)


@pytest.mark.parametrize(
    ("pids", "share"), [(None, "cannot tell"), ({7}, "cannot tell")], ids=["not listed", "own one not listed"]
)
def test_where_processes_cannot_be_told_nothing_is_rejected(pids, share):
    seen = Status(pids=pids and frozenset(pids), busy=pids and dict.fromkeys(pids, 0.9))
    monitor = DeviceMonitor(Watched(seen, seen), {os.getpid()})
    monitor.look(at_once=True)
    judged = monitor.judge(timed())
    assert (judged.invalid, judged.details.seen.others, judged.details.seen.others_share) == (None, share, share)


def test_a_crash_stays_a_crash_whatever_the_clocks_did():
    crashed = timed().rejected("crash: it fell over", fault=True)
    seen = [Status(), Status(reasons=frozenset({"hw_slowdown"}))]
    judged = undisturbed(crashed, "GPU-1", seen, ALONE)
    assert (judged.invalid, judged.fault) == ("crash: it fell over", True)


def test_the_clock_is_read_closest_to_the_step():
    assert [type(found).__name__ for found in instruments.for_pass("time", Cpu(1))][-1] == "Clock"


def test_a_burst_takes_a_tenth_of_a_second_and_one_step_at_least():
    assert [burst_steps(step_s) for step_s in (1.0, 0.1, 0.03, 0.025, 0.004)] == [1, 1, 4, 4, 25]


def test_energy_of_a_step_is_left_out_where_it_is_not_told():
    within = Status(power_w=300.0, clock_mhz=1500.0)
    after = Status(energy_j=7.0, power_w=200.0, clock_mhz=345.0)
    loaded = {"power_w": 300.0, "clock_mhz": 1500.0}
    assert energy(Status(energy_j=1.0), within, after, 3) == {"energy_j": 2.0, **loaded}
    assert energy(Status(energy_j=1.0), within, after, 0) == loaded
    assert energy(Status(energy_j=1.0), None, after, 0) == {"power_w": 200.0, "clock_mhz": 345.0}
    assert energy(None, None, Status(), 3) == energy(Status(), None, Status(energy_j=1.0), 3) == {}


def test_what_an_idle_device_takes_is_told_apart():
    before, after = Status(energy_j=100.0, at_s=10.0), Status(energy_j=400.0, at_s=12.0)
    told = energy(before, None, after, 3, Status(energy_j=450.0, at_s=13.0))
    # 300 J in 2 s, and 50 J in a second of rest.
    assert told == {"energy_j": 100.0, "idle_power_w": 50.0, "idle_energy_share": pytest.approx(1 / 3)}
    assert energy(before, None, after, 3, Status(at_s=13.0)) == {"energy_j": 100.0}
    assert energy(before, None, after, 0, Status(energy_j=450.0, at_s=13.0)) == {}


def powercap(folder, **zones):
    """Counters of energy as Linux shows them, each zone's in microjoules."""
    for zone, now_uj in zones.items():
        path = folder / zone.replace("_", ":")
        path.mkdir(exist_ok=True)
        (path / "energy_uj").write_text(f"{now_uj}\n")
        (path / "max_energy_range_uj").write_text("10000000\n")


def test_the_processors_energy_is_their_counters_sum_also_where_one_begins_again(tmp_path, monkeypatch):
    monkeypatch.setenv("PERFGATE_POWERCAP", str(tmp_path))
    assert energy_j() is None
    powercap(tmp_path, **{"intel-rapl_0": 9_000_000, "intel-rapl_1": 500_000, "intel-rapl_0_0": 7_000_000})
    began = energy_j()
    assert began == pytest.approx(9.5)
    powercap(tmp_path, **{"intel-rapl_0": 1_000_000, "intel-rapl_1": 700_000, "intel-rapl_0_0": 0})
    # The first counter went over its range of 10 J; the zone within a processor is a part of it.
    assert energy_j() - began == pytest.approx(2.2)
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("")
    assert energy_j() is None


def test_the_host_has_what_the_kernels_leave_of_a_step_and_never_less_than_nothing():
    found = with_host_time({"step_time_s": [1.0, 0.8, 0.5], "device_time_s": [0.5, 0.7]})
    assert found["host_time_s"] == pytest.approx([0.4, 0.2, 1e-9])
    assert found["host_bound_share"] == pytest.approx(0.25)
    assert with_host_time({"step_time_s": [1.0]}) == {"step_time_s": [1.0]}


def test_work_on_two_streams_at_once_keeps_a_device_busy_once():
    assert covered([(0, 10), (5, 20), (30, 40), (31, 32), (40, 45)]) == 35
    assert covered([]) == 0


class Counted(Cpu):
    """A CPU that counts what the pace asks of it."""

    def __init__(self):
        super().__init__(1)
        self.asked = []

    def synchronize(self):
        self.asked.append("wait")

    def stepped(self):
        self.asked.append("step")


CLOCKS = {"step_time_s", "process_time_s", "queue_time_s", "idle_time_s"}


class Stub:
    """A program as far as instruments look at it."""

    def __init__(self, phases=None):
        self.phases = phases


@pytest.fixture
def talk():
    """A pace on a CPU, and the stage's end of its channel."""
    ends = [os.pipe(), os.pipe()]
    device = Counted()
    phases = Phases()
    active = [Clock(device), StepPhases(device)]
    for instrument in active:
        instrument.built(Stub(phases))
    stage = Channel(ends[1][0], ends[0][1])
    pace = Pace(Channel(ends[0][0], ends[1][1]), active, device)
    yield SimpleNamespace(stage=stage, pace=pace, device=device, phases=phases)
    stage.close()


def take(talk, message, steps, step=lambda: None, told=None):
    """Give a turn, take steps as a program does, and return the answer."""
    talk.stage.send(message)
    for number in range(steps):
        talk.pace.begin()
        step()
        talk.pace.end(None, told and told(number))
    return talk.stage.receive(1)["metrics"]


def test_a_token_buys_one_step_on_a_cpu(talk):
    answer = take(talk, {"steps": 1}, 1)
    assert talk.device.asked == ["wait", "step", "wait"]
    assert set(answer) == CLOCKS


def test_within_a_burst_nothing_waits_and_what_comes_first_is_left_out(talk):
    answer = take(talk, {"steps": 4, "discard": 1}, 5, told=lambda number: {"loss_s": float(number)})
    assert talk.device.asked == ["step", "wait", *["step"] * 4, "wait"]
    assert answer["loss_s"] == pytest.approx((1 + 2 + 3 + 4) / 4)


def test_a_bursts_time_is_that_of_its_steps_without_the_first(talk):
    clock = iter([10.0, 18.0])
    for instrument in talk.pace._instruments:
        instrument._now_s = lambda: next(clock)
    assert take(talk, {"steps": 4, "discard": 1}, 5)["step_time_s"] == 2.0


def test_phases_are_read_in_steps_of_their_own_alone(talk):
    def step():
        with talk.phases.span("data_wait"):
            pass
        for name in ("forward", "backward", "forward"):
            with talk.phases.span(name):
                sum(range(1000))

    assert set(take(talk, {"steps": 1}, 1, step)) == CLOCKS
    found = take(talk, {"steps": 1, "by_itself": "phases"}, 1, step)
    assert set(found) == {"data_wait_s", "data_wait_share", "forward_s", "backward_s"}
    assert found["forward_s"] > found["data_wait_s"] > 0
    assert 0 < found["data_wait_share"] < 1


def test_the_stage_can_finish_between_two_bursts(talk):
    take(talk, {"steps": 2, "discard": 1}, 3)
    talk.stage.send({"finish": True})
    with pytest.raises(Done):
        talk.pace.begin()
    assert talk.stage.receive(1) == {"metrics": {}, "findings": {}}


FORGET = """
import json, os
from transformers.utils import import_utils
from accelerate.state import PartialState
from torch.utils._triton import has_triton
from perfgate.actor.devices.cuda import forget_devices, graph_bytes
import_utils.is_torch_cuda_available()
has_triton()
PartialState(cpu=True)
asked = import_utils.is_torch_cuda_available, has_triton
before = *(one.cache_info().currsize for one in asked), bool(PartialState._shared_state)
forget_devices()
after = *(one.cache_info().currsize for one in asked), bool(PartialState._shared_state)
segments = [
    {"total_size": 100, "allocated_size": 60, "segment_pool_id": (0, 0)},
    {"total_size": 100, "allocated_size": 60},
    {"total_size": 100, "allocated_size": 60, "segment_pool_id": (0, 1)},
]
print(json.dumps([before, after, list(graph_bytes(segments))]))
"""


def test_what_libraries_found_out_without_a_device_is_forgotten_and_a_graphs_own_memory_counts():
    done = subprocess.run([sys.executable, "-c", FORGET], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [[1, 1, True], [0, 0, False], [40]]


@pytest.mark.parametrize(("burst_s", "turns"), [(0.1, 20), (0.25, 8), (1.0, 6)])
def test_a_duet_of_long_bursts_takes_fewer_of_them(burst_s, turns):
    side = DuetSide("reference", None, Workload("a:B", {}))
    assert count_steps(2 * burst_s, in_bursts(side, burst_s)) == turns
