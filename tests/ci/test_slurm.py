"""``perfgate fleet`` in a real Slurm: 40 shards, a node that dies, a job that is preempted, and the command killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests import ROOT
from tests.conftest import Suite
from tests.support.runs import perfgate

pytest.importorskip("submitit")
pytestmark = [pytest.mark.slice, pytest.mark.untimed]

SHARDS = 40
CASES = f"""
import os, time
from pathlib import Path


@pytest.mark.parametrize("number", range({SHARDS}))
def test_numbers(perf, number):
    told = [os.environ.get(name, "") for name in ("SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES")]
    Path(f"began-{{number}}").write_text(" ".join(told))
    while Path("slow").exists():
        time.sleep(0.1)
    perf(work(rounds=1))
"""
FLEET = [
    "fleet", "--engine", "slurm", "--partition", "low", "--constraint", "h100", "--gpus", "1", "--shards", str(SHARDS),
    "--folder", "shared", "--json",
]  # fmt: skip
CANNOT = 77  # ci/slurm-test's exit code where Slurm is not at hand


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """A Slurm of three nodes, of which one has no h100; the folder of its configuration."""
    told = ["sh", "-c", "echo $SLURM_CONF; cat > /dev/null"]  # until its input is closed
    command = [str(ROOT / "ci" / "slurm-test"), *told]
    running = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout
    configuration = running.stdout.readline().strip()
    if not configuration:
        _, why = running.communicate()
        assert running.returncode == CANNOT, why
        pytest.skip(why.strip())
    os.environ["SLURM_CONF"] = configuration
    yield Path(configuration).parent
    del os.environ["SLURM_CONF"]
    running.communicate()


def until(true: Callable[[], object], limit_s: float = 120) -> None:
    """Wait for something that must come."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.2)


def start_fleet(suite: Suite) -> subprocess.Popen[str]:
    """The command, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "perfgate", *FLEET],
        cwd=suite.path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def die(cluster: Path, node: str) -> None:
    """End a node as a power cut does: its daemon, everything that it runs, and what watches over that."""
    os.kill(int((cluster / f"slurmd-{node}.pid").read_text()), signal.SIGKILL)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it may have ended meanwhile
            if f"SLURMD_NODENAME={node}".encode() not in (process / "environ").read_bytes().split(b"\0"):
                continue
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            os.kill(int(process.name), signal.SIGKILL)
            if (Path("/proc") / parent / "cmdline").read_bytes().startswith(b"slurmstepd"):
                os.kill(int(parent), signal.SIGKILL)


def begun(suite: Suite) -> dict[str, str]:
    """The node of each case that has begun, and the GPU that Slurm gave it."""
    return {path.name: path.read_text() for path in suite.path.glob("began-*")}


def said(*command: str) -> list[str]:
    """The lines that a command of Slurm prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def kill_job(node: str) -> str:
    """Kill the job that runs on a node, so that Slurm itself takes it for failed; its id, as submitit names it."""
    (job,) = said("squeue", "--noheader", "--array", "--states=R", f"--nodelist={node}", "--format=%F_%K")
    said("scancel", "--signal=KILL", "--full", job)
    return job


def test_a_dead_node_a_preempted_and_a_failed_job_and_a_killed_command_lose_none(suite: Suite, cluster: Path) -> None:
    suite.write(CASES)
    slow = suite.path / "slow"
    slow.write_text("")
    fleet = start_fleet(suite)
    until(lambda: len(set(begun(suite).values())) == 2)

    before = begun(suite)
    fleet.kill()
    fleet.wait()
    die(cluster, "n1")
    preempting = subprocess.Popen(["srun", "--partition", "high", "-w", "n2", "sleep", "2"])
    preempting.wait()
    until(lambda: begun(suite).keys() - before.keys())
    killed = kill_job("n2")
    slow.unlink()
    node = subprocess.Popen(["slurmd", "-D", "-N", "n1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        done = perfgate("fleet", "--resume", "--folder", "shared", "--json", cwd=suite.path, timeout=500)
    finally:
        node.kill()

    found = json.loads(done.stdout)
    assert preempting.returncode == 0
    assert done.returncode == 0, done.stderr
    assert found["shards"]["missing"] == []
    assert found["shards"]["twice"] == []
    measured = Counter(verdict["case"] for verdict in found["verdicts"] if verdict["metric"] == "python_calls")
    assert measured == Counter({f"test_case.py::test_numbers[{number}]": 1 for number in range(SHARDS)})
    assert (suite.path / "shared" / "merged.html").exists()
    assert set(begun(suite).values()) == {"n1 0", "n2 0"}  # n3 is free all the time and has another kind of GPU
    assert f"was lost in job {killed}; it is submitted once more" in done.stderr
    jobs = said("sacct", "-X", "--duplicates", "--noheader", "--parsable2", "--format=State,AllocTRES,Constraints")
    assert "PREEMPTED" in {job.split("|")[0] for job in jobs}
    ended = [job for job in jobs if job.startswith("COMPLETED") and job.endswith("|h100")]
    assert len(ended) >= SHARDS
    assert all("gres/gpu=1" in job for job in ended)
