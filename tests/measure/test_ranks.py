"""Launches of several ranks: one actor for the stage, and when one rank ends, all do, with its reason."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from fixtures.models import models
from perfgate.actor.ranks import Ending, Rank, blamed, free_port, merged
from perfgate.cli.hosts import dismiss
from perfgate.measure.placement import placed, room
from perfgate.records.runfile import read
from perfgate.shared.errors import Unavailable, UserError
from perfgate.shared.workload import Workload
from perfgate.system.hosts import JOIN, Hosts
from perfgate.workloads.requirements import check_needs
from perfgate.workloads.tasks import training
from tests.measure.test_launches import alive
from tests.support.runs import ROOT

pytestmark = pytest.mark.untimed

ENDS = {
    "crash": "crash: rank 1: ValueError: this shard is upside down",
    "killed": "crash: rank 1: the process was ended by SIGKILL*",
    "hang": "hang: rank 1: no answer while others waited for it",
}


@pytest.mark.launches(1)
@pytest.mark.slice
def test_when_a_rank_ends_the_launch_does_with_its_reason_and_the_run_goes_on(suite):
    pids = suite.path / "pids"
    suite.write(
        f"""
@pytest.mark.perf(timeout_s=1)
@pytest.mark.parametrize("how", {list(ENDS)})
def test_it(perf, how):
    perf(work("Shared", ranks=2, how=how, pid_file={str(pids)!r}))

def test_good(perf):
    perf(work("Shared", ranks=2, pid_file={str(pids)!r}))
"""
    )
    result = suite.run()
    assert result.parseoutcomes()["failed"] == 3
    for how, why in ENDS.items():
        result.stdout.fnmatch_lines([f"*test_it[[]{how}] could not be measured: {why}"])
    result.stdout.fnmatch_lines(["*, in step*", "ValueError: this shard is upside down"])
    told = [line.partition(" ") for line in pids.read_text().splitlines()]
    assert not [pid for pid, _, _ in told if alive(int(pid))]
    assert went_on(suite, "test_case.py::test_good")


def went_on(suite, case):
    """Whether launches took their steps; of several ranks the wall alone is known, so others may spoil them."""
    timed = [x for x in read(suite.run_files[0]).by_case()[case] if x.pass_name == "time"]
    assert {launch.invalid for launch in timed if not (launch.invalid or "").startswith(("contended", "unsteady"))} <= {
        None
    }
    assert not any({"queue_time_s", "idle_time_s"} & set(launch.metrics) for launch in timed)
    return all(launch.value("step_time_s") > 0 for launch in timed) and timed


def rank(number):
    return Rank(number, None, {})


@pytest.mark.launches(1)
@pytest.mark.slice
def test_a_rank_joins_launch_after_launch_from_where_it_was_started(suite):
    pids = suite.path / "pids"
    suite.write(
        f"""
@pytest.mark.perf(timeout_s=5)
@pytest.mark.parametrize("how", ["", "crash"])
def test_it(perf, how):
    perf(work("Shared", ranks=2, how=how, pid_file={str(pids)!r}))
"""
    )
    hosts = Hosts("127.0.0.1", free_port(), ranks=2, count=2)
    environment = os.environ | {"PYTHONPATH": f"{suite.path}:{ROOT}"}
    command = [sys.executable, "-m", "perfgate.actor.join", hosts.address, str(hosts.port), "1", "0", "1"]
    joiner = subprocess.Popen(command, env=environment, cwd=suite.path, stdout=subprocess.PIPE, text=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(JOIN, json.dumps(hosts.to_json()))
        result = suite.run()
    dismiss(hosts)
    printed, _ = joiner.communicate(timeout=10)
    assert joiner.returncode == 0
    assert result.parseoutcomes()["failed"] == 1
    assert went_on(suite, "test_case.py::test_it[]")
    result.stdout.fnmatch_lines([f"*test_it[[]crash] could not be measured: {ENDS['crash']}"])
    assert printed.count("ValueError: this shard is upside down") == 2
    assert not [line for line in pids.read_text().splitlines() if alive(int(line.partition(" ")[0]))]
    assert read(suite.run_files[0]).header["machine"]["name"].endswith("-2-hosts")


LOST = "RuntimeError: [gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:40441"
LATE = "RuntimeError: [gloo/transport/tcp/unbound_buffer.cc:89] Timed out waiting 600ms for recv operation to complete"


@pytest.mark.parametrize(
    ("answered", "endings", "expected"),
    [
        ([], [(0, LOST), (1, "ValueError: upside down")], (1, "crash", "ValueError: upside down")),
        ([], [(0, LATE)], (1, "hang", "no answer while others waited for it")),
        ([0], [], (1, "hang", "no answer while others waited for it")),
        ([], [], (0, "hang", "no answer within 9 s")),
        ([], [(0, LOST), (1, LOST)], (0, "crash", LOST)),
    ],
)
def test_the_rank_to_blame_is_the_one_that_did_not_just_lose_another(answered, endings, expected):
    ranks = [rank(0), rank(1)]
    ended = [Ending(ranks[number], "crash", message) for number, message in endings]
    found = blamed(ranks, {number: {} for number in answered}, ended, 9.0)
    assert (found.rank.number, found.reason, found.message) == expected


OWN = {"process_time_s": 1, "queue_time_s": 1, "idle_time_s": 1}  # which do not tell how a rank waits for others


def test_a_step_is_over_when_its_last_rank_is_done():
    answers = [
        {
            "metrics": {"step_time_s": 1.0 + number, "forward_s": number, **OWN, "x_bytes": [3 - number]},
            "findings": {"outcome": {"losses": [2.0 * number, 1.0]}, "effective": {"ranks": 2}},
        }
        for number in range(2)
    ]
    assert merged(answers) == {
        "metrics": {"step_time_s": 2.0, "forward_s": 0, "x_bytes": [3]},
        "findings": {"outcome": {"losses": [1.0, 1.0]}, "effective": {"ranks": 2}},
    }
    assert merged([{"ready": {"setup_s": 1, "samples": 8}}, {"ready": {"setup_s": 3, "samples": 8}}]) == {
        "ready": {"setup_s": 3, "samples": 8}
    }


def gpu(name, *peers):
    return SimpleNamespace(kind="cuda", uuid=name, order={"kind": "cuda", "uuid": name}, cores=[0, 1], peers=peers)


def test_each_rank_has_a_gpu_of_its_own_and_sees_all_of_them():
    found = placed(gpu("GPU-a", gpu("GPU-b"), gpu("GPU-c")), Workload("a:B", {"ranks": 2}), pinned=True)
    told = [place["device"] for place in found["places"]]
    assert [(device["uuid"], device["position"]) for device in told] == [("GPU-a,GPU-b", 0), ("GPU-a,GPU-b", 1)]
    assert "places" not in placed(gpu("GPU-a", gpu("GPU-b")), Workload("a:B", {}), pinned=True)


def test_slices_of_gpus_give_room_to_one_rank_because_a_process_can_use_one_alone():
    assert room(gpu("GPU-a", gpu("GPU-b"))) == 2
    assert room(gpu("MIG-a", gpu("MIG-b"))) == 1


def test_two_ranks_on_one_gpu_are_refused_before_anything_is_started():
    with pytest.raises(Unavailable, match=r"^ranks=2 needs 2 GPUs, one each, and there is 1: two ranks on one GPU"):
        check_needs(Workload("a:B", {"ranks": 2}), "cuda", 1)
    check_needs(Workload("a:B", {"ranks": 2}), "cuda", 2)
    check_needs(Workload("a:B", {"ranks": 2}), "none")


SPLIT = {"strategy": "cp", "ranks": 2}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"strategy": "fsdp"}, "strategy='fsdp' shares a step among several processes; add ranks=2"),
        ({"ranks": 2}, "ranks=2 needs to be told how they share a step; add strategy='ddp' or 'fsdp'"),
        ({**SPLIT, "loop": "accelerate"}, "strategy='cp' splits what the Trainer trains; leave loop='accelerate' out"),
        ({**SPLIT, "attention": "eager"}, "strategy='cp' passes keys and values on in SDPA alone; leave out .*'eager'"),
        ({**SPLIT, "packing": True}, "strategy='cp' has no mask but the causal one; leave out packing=True"),
        (
            {**SPLIT, "sequence_length": 66},
            "strategy='cp' gives a rank two parts; make .*=66 a multiple of 4",
        ),
    ],
)
def test_ranks_and_strategy_go_together(settings, reason):
    with pytest.raises(UserError, match=f"^{reason}$"):
        training(models()["llama-quick"], **settings)
