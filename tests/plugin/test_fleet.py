"""``perfgate fleet`` on this machine: shards as jobs, one that is killed, and the command itself killed amid them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Suite
from tests.support.runs import perfgate

pytest.importorskip("submitit")
pytestmark = [pytest.mark.slice, pytest.mark.untimed]

CASES = """
import os, time
from pathlib import Path


@pytest.mark.parametrize("name", "abcd")
def test_letters(perf, name):
    Path(f"pid-{name}").write_text(str(os.getpid()))
    if Path("slow").exists():
        time.sleep(600)
    perf(work(rounds=1))
"""


def arguments(*more: str) -> list[str]:
    """Of a fleet of four shards, two at once."""
    return ["fleet", "--folder", "shared", "--shards", "4", "--parallel", "2", *more, "--json"]


def wait_for(path: Path, limit_s: float = 60) -> str:
    """What a file says, once it is there."""
    end = time.monotonic() + limit_s
    while not path.exists() or not path.read_text():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.1)
    return path.read_text()


def test_a_killed_shard_and_a_killed_fleet_lose_nothing(suite: Suite) -> None:
    suite.write(CASES)
    slow = suite.path / "slow"
    slow.write_text("")
    command = [sys.executable, "-m", "perfgate", *arguments()]
    fleet = subprocess.Popen(command, cwd=suite.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pids = [int(wait_for(suite.path / f"pid-{name}")) for name in "ab"]

    fleet.kill()
    fleet.wait()
    slow.unlink()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    done = perfgate(*arguments("--resume", "--durations", "kept"), cwd=suite.path)

    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("submitted once more") == 2
    verdicts = len(found["verdicts"])
    assert f"4 of 4 shards measured, 0 of them failed; 4 cases ({verdicts} new)" in done.stderr
    assert found["shards"]["missing"] == []
    assert found["shards"]["twice"] == []
    assert found["shards"]["overspent"] == 1
    assert {verdict["case"] for verdict in found["verdicts"]} == {f"test_case.py::test_letters[{n}]" for n in "abcd"}
    assert (suite.path / "shared" / "merged.html").exists()
    kept = json.loads((suite.path / "kept").read_text())
    assert kept.keys() == {f"perf_tests/test_case.py::test_letters[{name}]" for name in "abcd"}
    assert "a fleet was begun there" in perfgate(*arguments(), cwd=suite.path).stderr


DYING = """
import os, signal
from pathlib import Path


def begin(name):
    with open("begun", "a") as file:
        file.write(name)
    return Path("begun").read_text().count(name)


def test_a(perf):
    begin("a")
    perf(work(rounds=1))


def test_b(perf):
    tries = begin("b")
    perf(work(rounds=1))
    assert tries == 2  # what failed is measured again


def test_c(perf):
    begin("c")
    perf(work(rounds=1))


def test_d(perf):
    if begin("d") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    perf(work(rounds=1))


def test_e(perf):  # takes longest, so it is a shard by itself
    begin("e")
    perf(work(rounds=1))
"""


@pytest.mark.parametrize("stored", [(), ("--perf-update", "new")])
def test_a_lost_shard_goes_on_where_it_was(suite: Suite, stored: tuple[str, ...]) -> None:
    """What passed in all its phases is taken over, unless a run stores what it measured itself."""
    suite.write(DYING)
    nodes = {f"perf_tests/test_case.py::test_{name}": 1.0 for name in "abcd"}
    (suite.path / ".test_durations").write_text(json.dumps(nodes | {"perf_tests/test_case.py::test_e": 9.0}))

    arguments = ["--shards", "2", "--parallel", "2", "--json", "--", "perf_tests", "--perf-launches", "0", *stored]
    done = perfgate("fleet", "--folder", "shared", *arguments, cwd=suite.path)

    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert "is submitted once more, to go on there" in done.stderr
    begun = (suite.path / "begun").read_text()
    again = 2 if stored else 1
    assert {name: begun.count(name) for name in "abcde"} == {"a": again, "b": 2, "c": again, "d": 2, "e": 1}
    assert {verdict["case"] for verdict in found["verdicts"]} == {f"test_case.py::test_{name}" for name in "abcde"}
    assert found["shards"]["twice"] == []
    assert found["shards"]["overspent"] == 1
