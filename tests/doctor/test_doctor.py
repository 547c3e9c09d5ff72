"""``perfgate doctor`` says what a machine can measure and gate, and what to do about the rest."""

import importlib.metadata
import json
import math
import os
import random
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from perfgate.doctor import device, host, noise
from perfgate.gate.statistics import SESSION_PRIOR, against_sessions
from perfgate.gate.verdicts import share_of_alpha
from perfgate.measure.devices.find import find_device
from perfgate.records.baselines import Baseline, StoredLaunch
from perfgate.records.machine import Machine, this_machine
from perfgate.records.portable import PortableStore, pair_of
from perfgate.records.store import Store
from perfgate.system.provenance import software
from tests.support.runs import perfgate

PAIR = pair_of(software())
EIGHT = Machine("cpu-x-8x-16gib", "cpu", "X", 8, 16)
GPUS = (
    "NVIDIA H100 PCIe, GPU-1, 81559, 575.51.03, Disabled, 350.00, Enabled",
    "NVIDIA GeForce RTX 4090, GPU-2, 24564, 575.51.03, Enabled, 450.00, [N/A]",
)


def doctor(folder, *arguments, **environment):
    """Run it in a folder; returns the finished process."""
    return perfgate("doctor", *arguments, cwd=folder, variables=environment)


def looked(folder, **environment):
    """Its JSON document and the exit code, without the calibration."""
    done = doctor(folder, "--quick", "--json", **environment)
    assert not done.stderr
    return json.loads(done.stdout), done.returncode


def about(document, topic):
    """The findings on a topic."""
    return [finding for finding in document["findings"] if finding["topic"] == topic]


def ability(document, what):
    """Whether something is measured and gated."""
    (found,) = [one for one in document["abilities"] if one["what"].startswith(what)]
    return found["measured"], found["gated"]


def store(root, case, sessions, name="step_time_s", machine=""):
    """Store a baseline of two launches a session."""
    launches = [
        StoredLaunch(f"s{number // 2}", "server", "cpu", "", "", {name: (1.0, 1.0)}) for number in range(2 * sessions)
    ]
    exact = name == "operator_calls"
    where = PortableStore(root, PAIR) if exact else Store(root, machine or this_machine().name)
    where.put({case: Baseline(case, "0" * 64, "", "", "first measured", tuple(launches))}, {}, {})


def program(folder, name, text):
    """Put a program into a folder; returns the path to be searched."""
    folder.mkdir()
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_json_is_one_document_and_nothing_else(tmp_path):
    document, code = looked(tmp_path)
    assert (code, document["fit"], document["noise"]) == (0, True, None)
    assert document["machine"]["name"] == this_machine().name
    assert document["software"]["torch"] == importlib.metadata.version("torch")
    assert sum(document["summary"].values()) == len(document["findings"])
    assert {
        "device",
        "gpu",
        "emulated gpu",
        "software",
        "optional",
        "clock",
        "load",
        "container",
        "locks",
        "git",
        "baselines",
    } == {finding["topic"] for finding in document["findings"]}


def test_without_baselines_the_command_that_stores_them_and_other_machines_are_named(tmp_path):
    (tmp_path / "baselines" / "other-machine").mkdir(parents=True)
    done = doctor(tmp_path, "--quick")
    assert done.returncode == 0
    assert done.stdout.startswith("Cases can be measured here.")
    assert "\n    $ pytest perf_tests --perf-update new" in done.stdout
    assert f"No baselines for {this_machine().name}; there are some for other-machine" in " ".join(done.stdout.split())
    assert f"No exact metrics stored for {PAIR}." in done.stdout


@pytest.mark.parametrize(("sessions", "gated"), [(1, False), (3, True)])
def test_times_are_gated_from_three_sessions_on_and_memory_from_one(tmp_path, sessions, gated):
    store(tmp_path / "baselines", "test_case.py::test_it", sessions)
    store(tmp_path / "baselines", "test_case.py::test_it", 1, "operator_calls")
    document, _ = looked(tmp_path)
    assert ability(document, "times on the CPU") == (True, gated)
    assert ability(document, "peak memory on the CPU") == (True, True)
    assert ability(document, "exact metrics") == (True, True)
    kept = document["baselines"]
    assert (kept["cases"], kept["sessions"], kept["launches"]) == (1, sessions, 2 * sessions)
    remedies = [finding["remedy"] for finding in about(document, "baselines")]
    assert remedies == ["" if gated else "pytest perf_tests --perf-update more", ""]


def test_a_damaged_baseline_is_a_problem(tmp_path):
    store(tmp_path / "baselines", "test_case.py::test_it", 1)
    (path,) = (tmp_path / "baselines" / this_machine().name).glob("*.json")
    path.write_text("{")
    document, code = looked(tmp_path)
    assert code == 1
    (problem,) = about(document, "baselines")
    assert "not valid JSON" in problem["text"]


def test_a_torch_that_is_too_old_is_a_problem_with_the_command_that_helps(tmp_path):
    (tmp_path / "path" / "torch-1.0.0.dist-info").mkdir(parents=True)
    (tmp_path / "path" / "torch-1.0.0.dist-info" / "METADATA").write_text("Name: torch\nVersion: 1.0.0\n")
    path = os.pathsep.join([str(tmp_path / "path"), os.environ.get("PYTHONPATH", "")])
    document, code = looked(tmp_path, PYTHONPATH=path)
    assert code == 1
    (found,) = about(document, "software")
    assert found["text"].startswith("No case can be measured: torch 1.0.0 is too old, >=2.11 is needed")
    assert found["remedy"].endswith("pip install 'perfgate[hf]'")
    assert not any(one["measured"] or one["gated"] for one in document["abilities"])


def test_a_folder_for_locks_that_cannot_be_made_is_a_problem(tmp_path):
    (tmp_path / f"perfgate-{os.getuid()}").write_text("in the way")
    document, code = looked(tmp_path, TMPDIR=str(tmp_path))
    assert (code, about(document, "locks")[0]["level"]) == (1, "problem")


def test_without_git_nothing_breaks(tmp_path):
    document, code = looked(tmp_path, PATH="")
    assert (code, about(document, "git")[0]["text"]) == (
        0,
        "git is not installed: run files name no commit, and --perf-ref REV or --perf-baselines git:REV fail.",
    )


def test_gpus_are_listed_with_the_commands_that_steady_them(tmp_path):
    path = program(tmp_path / "bin", "nvidia-smi", "\n".join(f"echo '{row}'" for row in GPUS))
    document, code = looked(tmp_path, PATH=path)
    assert code == 0
    assert [gpu["memory_mib"] for gpu in document["gpus"]] == ["81559", "24564"]
    assert [gpu["mig"] for gpu in document["gpus"]] == ["Enabled", ""]
    told = {finding["text"]: finding["remedy"] for finding in about(document, "gpu")}
    assert sorted(filter(None, told.values()))[-1] == "sudo nvidia-smi -i GPU-1 -pm 1"
    assert [text.partition(" is cut")[0] for text in told if "MIG" in text] == ["NVIDIA H100 PCIe"]
    assert any("liger-kernel" in finding["text"] for finding in about(document, "optional"))


def test_the_message_of_a_driver_that_fails_is_shown(tmp_path):
    path = program(tmp_path / "bin", "nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 9")
    document, code = looked(tmp_path, PATH=path)
    assert (code, document["gpus"]) == (0, [])
    assert "nvidia-smi fails (NVIDIA-SMI has failed)" in about(document, "gpu")[0]["text"]


def test_an_unknown_option_is_bad_usage(tmp_path):
    assert doctor(tmp_path, "--thorough").returncode == 2


def files(root, **texts):
    """Write files of a kernel; double underscores stand for slashes."""
    for name, text in texts.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_limits_of_a_cgroup_hold_for_those_below_it(tmp_path):
    root = files(tmp_path, proc__self__cgroup="0::/a/b\n", sys__fs__cgroup__a__b__memory="")
    files(root / "sys/fs/cgroup/a", **{"cpu.max": "150000 100000", "memory.max": str(4 << 30)})
    files(root / "sys/fs/cgroup/a/b", **{"cpu.max": "max 100000", "memory.max": "max"})
    assert host.cpu_quota(root) == 1.5
    assert host.memory_limit(root) == 4 << 30
    texts = [finding.text for finding in host.container(EIGHT, root)]
    assert texts[0].startswith("A quota allows 1.5 of 8 processors")
    assert texts[1].startswith("Memory is limited to 4.0 of 16 GiB")


def test_limits_of_the_first_version_of_cgroups_are_read_too(tmp_path):
    root = files(tmp_path, proc__self__cgroup="4:memory:/\n3:cpu,cpuacct:/x\n")
    files(root / "sys/fs/cgroup/cpu,cpuacct/x", **{"cpu.cfs_quota_us": "200000", "cpu.cfs_period_us": "100000"})
    files(root / "sys/fs/cgroup/memory", **{"memory.limit_in_bytes": "9223372036854771712"})
    assert host.cpu_quota(root) == 2
    assert host.memory_limit(root) is None


def test_a_container_that_hides_other_processes_is_noted(tmp_path):
    (tmp_path / "proc/self/ns").mkdir(parents=True)
    (tmp_path / "proc/self/ns/pid").symlink_to("pid:[4026532999]")
    files(tmp_path, **{".dockerenv": ""})
    found = {finding.text: finding.remedy for finding in host.container(EIGHT, tmp_path)}
    assert "docker run --pid=host" in found.values()
    assert "Runs in a container (/.dockerenv), without a limit on processors or memory." in found


def test_a_clock_that_changes_comes_with_the_command_that_fixes_it(tmp_path):
    files(
        tmp_path / host.CPU,
        cpu0__cpufreq__scaling_governor="powersave\n",
        cpu1__cpufreq__scaling_governor="performance\n",
        cpufreq__boost="1\n",
        intel_pstate__no_turbo="0\n",
    )
    found = list(host.clocks(tmp_path))
    assert found[0].text.startswith("The frequency governor is performance, powersave")
    assert [finding.remedy.partition(" ")[0] for finding in found] == ["sudo", "echo", "echo"]


def test_a_virtual_machine_names_the_share_of_time_that_other_guests_took(tmp_path):
    files(tmp_path, proc__cpuinfo="flags: fpu hypervisor", proc__stat="cpu  40 0 10 40 0 0 0 10 0 0\ncpu0 0")
    files(tmp_path / host.CPU, smt__active="1")
    texts = [finding.text for finding in host.processor(EIGHT, tmp_path)]
    assert "took 10.0% of its time" in texts[1]
    assert "SMT" in texts[2]


@contextmanager
def busy_process():
    """A process that computes, once it does."""
    process = subprocess.Popen([sys.executable, "-c", "print(1, flush=True)\nwhile True: pass"], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_process_that_takes_a_core_is_seen_and_this_one_is_not():
    with busy_process() as pid:
        shares = host.busy()
    assert shares[pid] > host.BUSY_SHARE
    assert os.getpid() not in shares


@pytest.mark.measures
def test_calibration_finds_the_spread_between_launches_and_the_smallest_slowdown_that_it_lets_through():
    said = []
    found = noise.calibrate(2, said.append)
    assert said == ["calibration, launch 1 of 2", "calibration, launch 2 of 2"]
    assert found.launches + found.disturbed == 2
    assert found.step_time_s > 0
    assert found.spread_s > 0
    assert found.spread_yardsticks > 0


@pytest.mark.parametrize(("smallest", "words"), [(0.473, "it can see 47.3%."), (2.39, "it can see next to nothing.")])
def test_what_stored_times_can_see_is_said_as_verdicts_say_it(smallest, words):
    found = noise.LaunchSpread(14, 0, 0.01, 0.02, 0.03, smallest)
    assert f"cannot see a time that is 3.0% slower here; {words}" in noise.findings(found)[1].text


@pytest.mark.parametrize("spread", [0.01, 0.03, 0.06])
def test_the_smallest_detectable_slowdown_is_caught_by_the_gate_in_nine_of_ten_runs(spread):
    draws, source = 1000, random.Random(1)
    slowdown = math.log1p(noise.smallest_detectable(spread))
    caught = 0
    for _ in range(draws):
        sessions = [
            [source.gauss(middle, spread) for _ in range(count)]
            for count in (2, 2, 1, 3)
            for middle in [source.gauss(0, SESSION_PRIOR)]
        ]
        now = [value + slowdown for value in sessions.pop()]
        found = against_sessions(dict(enumerate(sessions)), now)
        caught += found.lower(share_of_alpha(noise.SUITE)) > math.log(1.03)
    assert 0.83 < caught / draws < 0.98


def of_fake(document):
    """The findings on the scripted GPU."""
    return [finding for finding in document["findings"] if "fake-gpu-1gib" in finding["text"]]


def test_it_looks_at_the_gpu_as_a_run_does(tmp_path):
    """Baselines under the GPU's name, a fork on it, and what its driver tells."""
    tag = f"GPU-{os.getpid()}-{random.randrange(1 << 30):x}"
    script = tmp_path / "gpu.json"
    script.write_text(json.dumps({"devices": [{"uuid": tag}]}))
    arguments = ("--quick", "--json", "--device", f"fake:{script}")
    document = json.loads(doctor(tmp_path, *arguments).stdout)
    assert ability(document, "times on a GPU") == (True, False)
    assert ability(document, "memory and launches on a GPU") == (True, False)
    why = {one["why"] for one in document["abilities"] if "GPU" in one["what"]}
    assert why == {"nothing is stored for fake-gpu-1gib"}
    (found, told, stored) = of_fake(document)
    assert found["text"].startswith("Runs measure on fake-gpu-1gib; nvidia-smi ")
    assert told["text"] == "No other process uses fake-gpu-1gib, and runs would see one."
    assert stored["text"].startswith("No baselines for fake-gpu-1gib")
    store(tmp_path / "baselines", "test_a.py::test_it", 3, machine="fake-gpu-1gib")
    document = json.loads(doctor(tmp_path, *arguments).stdout)
    assert ability(document, "times on a GPU") == (True, True)
    assert ability(document, "memory and launches on a GPU") == (True, True)
    assert ability(document, "times on the CPU") == (True, False)
    script.write_text(json.dumps({"devices": [{"uuid": tag, "pids_visible": False, "forks": False}]}))
    document = json.loads(doctor(tmp_path, *arguments).stdout)
    assert any(one["text"].startswith("Which processes use fake-gpu-1gib is not vis") for one in of_fake(document))
    found = device.reached(find_device(f"fake:{script}"))
    assert (found.level, "cannot be reached after a fork" in found.text) == ("note", True)
    script.write_text(json.dumps({"devices": [{"uuid": tag}]}))
    assert device.reached(find_device(f"fake:{script}")).text == "A fork reaches fake-gpu-1gib and computes there."
    missing = json.loads(doctor(tmp_path, "--quick", "--json", "--device", "cuda").stdout)
    assert "problem" in {one["level"] for one in about(missing, "gpu")}


def test_on_an_emulated_card_memory_is_measured_and_no_time(tmp_path):
    """Naming the card takes no CUDA, and with ``--quick`` no program is started on it."""
    document = json.loads(doctor(tmp_path, "--quick", "--json", "--device", "emulated").stdout)
    assert ability(document, "times on a GPU") == (False, False)
    assert ability(document, "memory and launches on a GPU") == (True, False)
    texts = [finding["text"] for finding in document["findings"]]
    card = "emulated-h100-sxm-80gb"
    named = f"Runs measure on {card} (an emulated card: exact memory and launches, no times); nvidia-smi "
    assert any(text.startswith(named) for text in texts)
    assert not any("There is no GPU" in text or "measured on the CPU" in text for text in texts)
    store(tmp_path / "baselines", "test_a.py::test_it", 3, machine=card)
    document = json.loads(doctor(tmp_path, "--quick", "--json", "--device", "emulated").stdout)
    assert ability(document, "times on a GPU") == (False, False)
    assert ability(document, "memory and launches on a GPU") == (True, True)
    why = {one["what"]: one["why"] for one in document["abilities"]}
    assert why["times on a GPU"] == f"{card} is emulated, so its times mean nothing"
