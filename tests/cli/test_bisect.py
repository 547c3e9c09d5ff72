"""``perfgate bisect`` as a process of its own: among commits, among versions of a package, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support.commands import refuse
from tests.support.environments import write_wheel
from tests.support.repositories import begin, commit, git, worktrees

PROGRAM = """
import torch
from perfgate.actor.programs.base import Program
from size import CALLS

class Work(Program):
    def __init__(self, device):
        self.network = torch.nn.Linear(8, 8)

    def step(self):
        hidden = torch.ones(2, 8)
        for _ in range(CALLS):
            hidden = self.network(hidden)
        return hidden
"""
CASE = """
from perfgate import Workload

def test_work(perf):
    perf(Workload("work:Work", {}))
"""
COMMITS = 64
PLANTED, BROKEN = 41, 32


@pytest.fixture
def suite_of_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite with one case, whose program takes its number of calls from ``size``."""
    (tmp_path / "perf_tests").mkdir()
    (tmp_path / "perf_tests" / "test_work.py").write_text(CASE)
    (tmp_path / "work.py").write_text(PROGRAM)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = -p no:hypothesispytest -p no:anyio -p no:cov -p no:randomly\n"
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bisect(*arguments: str) -> list[str]:
    """The command."""
    return [sys.executable, "-m", "perfgate", "bisect", "test_work.py::test_work", "--exact", *arguments]


@pytest.mark.slice
def test_a_planted_call_is_found_among_64_commits_past_one_that_does_not_run_and_after_an_interruption(
    suite_of_work: Path,
) -> None:
    texts = {0: "CALLS = 4\n", BROKEN: "CALLS = (\n", BROKEN + 1: "CALLS = 4\n", PLANTED: "CALLS = 5\n"}
    (suite_of_work / "size.py").write_text(texts[0])
    begin(suite_of_work)
    made = [git(suite_of_work, "rev-parse", "HEAD")]
    for number in range(1, COMMITS + 1):
        (suite_of_work / "number").write_text(f"{number}")
        (suite_of_work / "size.py").write_text(texts.get(number, (suite_of_work / "size.py").read_text()))
        made.append(commit(suite_of_work, f"step {number}"))

    # As in a terminal, where Ctrl-C reaches all processes; a background job would ignore it.
    typed = {"start_new_session": True, "preexec_fn": partial(signal.signal, signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(bisect("--good", made[0]), stderr=subprocess.PIPE, text=True, **typed) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "is skipped" in line:
                os.killpg(process.pid, signal.SIGINT)
                break
        said = process.stderr.read()
        assert process.wait() == 2
    assert "stopped; what was decided is kept" in said
    done = subprocess.run(bisect("--good", made[0], "--json"), capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "both ends" not in done.stderr, "it goes on"
    found = json.loads(done.stdout)
    assert (found["first_bad"], found["last_good"]) == (made[PLANTED], made[PLANTED - 1])
    assert (found["metric"], found["change"]["change"]) == ("flops", 0.25)
    (skipped,) = (one for one in found["decided"] if one["name"] == "skipped")
    assert skipped["step"] == made[BROKEN]
    assert "SyntaxError" in skipped["why"]
    assert len(found["decided"]) <= 2 + COMMITS.bit_length()
    assert len(worktrees(suite_of_work)) == 1


@pytest.mark.slice
def test_a_version_of_a_package_is_found_and_its_environments_are_kept(
    suite_of_work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (suite_of_work / "size.py").write_text("import lib\nCALLS = 5 if float(lib.VERSION) >= 3 else 4\n")
    for number in range(1, 6):
        write_wheel(suite_of_work, "lib", f"{number}.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(suite_of_work))
    command = bisect("--package", "lib", "--good", "1.0", "--bad", "5.0")

    out_of_time = subprocess.run([*command, "--budget", "1s"], capture_output=True, text=True, check=False)
    assert out_of_time.returncode == 3
    assert "Nothing is known yet, as the budget of time ended (--budget)" in out_of_time.stdout
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "lib 3.0 is the first version that is worse.\nflops went from 1.024 kFLOP to 1.28 kFLOP, +25.0%." in (
        done.stdout
    )
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.stdout == done.stdout
    assert again.stderr == "", "nothing is measured again"


def test_wrong_use_is_one_sentence(suite_of_work: Path) -> None:
    (suite_of_work / "size.py").write_text("CALLS = 4\n")
    begin(suite_of_work)
    for arguments, said in (
        (["test_work.py", "--good", "HEAD"], "names no case"),
        (["test_gone.py::test_work", "--good", "HEAD"], "there is no file test_gone.py"),
        (["test_work.py::test_work", "--good", "v9"], "--good is 'v9', which is no revision of the repository"),
        (["test_work.py::test_work", "--good", "HEAD"], "no commit lies between"),
        (["test_work.py::test_work", "--good", "HEAD", "--metric", "speed"], "speed"),
        (["test_work.py::test_work", "--good", "HEAD", "--budget", "soon"], "--budget is 'soon'"),
    ):
        assert said in refuse("bisect", *arguments, cwd=suite_of_work)
