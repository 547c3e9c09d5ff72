"""``perfgate upgrade`` as a process of its own: from one version of a library to another, with a report by cause."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from perfgate.cli.upgrade import endings, exit_code, joined
from perfgate.records.runfile import RunFile, read
from perfgate.records.verdict import Name, Verdict
from perfgate.reports.upgrade import UpgradeRuns
from tests.conftest import Suite
from tests.support.commands import refuse
from tests.support.environments import bare, pretend_installed, write_wheel
from tests.support.runs import write_run

PROGRAM = """
import lib
import torch
from perfgate.actor.programs.base import Program

class Lib(Program):
    def __init__(self, device, before, now, read=False):
        self.network = torch.nn.Sequential(torch.nn.Linear(8, 8))
        self.calls = now if lib.VERSION == "2.0" else before
        self.read = read and lib.VERSION == "2.0"

    def step(self):
        hidden = torch.ones(2, 8)
        for _ in range(self.calls):
            hidden = self.network(hidden)
        if self.read:
            hidden.sum().item()
        return hidden
"""
CASES = """
import pytest
from perfgate import Workload

@pytest.mark.parametrize("calls", [(2, 3), (100, 101), (4, 2)])
def test_calls(perf, calls):
    before, now = calls
    perf(Workload("libs:Lib", {"before": before, "now": now}))

def test_read(perf):
    perf(Workload("libs:Lib", {"before": 4, "now": 4, "read": True}))

def test_broken(perf):
    raise ValueError("no such thing")
"""

ENDS = """
def test_same(perf):
    perf(work(rounds=1))

def test_asserts(perf):
    perf(work(rounds=2))
    assert False, "afterwards"

def test_crash(perf):
    perf(work("Crash"))

@pytest.mark.skip(reason="needs a GPU")
def test_skipped(perf):
    perf(work(rounds=3))
"""


@pytest.fixture
def suite_of_lib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose program does more with a newer version of a library, beside an environment with the older."""
    (tmp_path / "perf_tests").mkdir()
    (tmp_path / "perf_tests" / "test_lib.py").write_text(CASES)
    (tmp_path / "libs.py").write_text(PROGRAM)
    write_wheel(tmp_path, "lib", "2.0")
    bare(tmp_path / "before")
    (packages,) = (tmp_path / "before").glob("lib/python*/site-packages")
    (packages / "lib.py").write_text("VERSION = '1.0'\n")
    pretend_installed(packages, "lib", "1.0")
    (packages / "beneath.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def squeezed(printed: str, column: int) -> str:
    """One column of all tables and the lines between them, without spaces, as cells are broken at joints."""
    lines = (line.split("│")[column] if line.startswith("│") else line for line in printed.splitlines())
    return "".join("".join(lines).split())


@pytest.mark.slice
def test_an_upgrade_is_reported_by_cause_with_the_worst_first(suite_of_lib: Path) -> None:
    command = [sys.executable, "-m", "perfgate", "upgrade", "lib==2.0", "--from", "before", "--exact"]
    preload = "perf_preload=libs perfgate.actor.dry_run.run"  # else each actor imports torch again
    rest = ["--", "perf_tests", "-p", "no:hypothesispytest", "-o", preload]
    done = subprocess.run([*command, *rest], capture_output=True, text=True, check=False)

    assert done.returncode == 1, done.stderr
    assert "perfgate upgrade: builds an environment in" in done.stderr
    assert "Upgrade: lib 1.0 -> 2.0\nNo other package moved with it.\n" in done.stdout
    # By the order of what they moved: a host sync, then half as many FLOPs again; one call among a hundred passes.
    moved = squeezed(done.stdout, 3)
    first, second = moved.index("predicted_host_syncs(0->1)"), moved.index("flops+50.0%")
    assert first < second < moved.index("Gotbetter")
    assert "flops-50.0%" in moved[moved.index("Gotbetter") :]
    assert "ValueError:nosuchthing" in squeezed(done.stdout, 5), "what was not measured is said"

    again = subprocess.run(
        [*command, "--json", "--tolerance", "100%", *rest, "-k", "calls0"], capture_output=True, text=True, check=False
    )

    assert again.returncode == 0, again.stderr
    assert "builds an environment" not in again.stderr, "it is kept"
    document = json.loads(again.stdout)
    assert document["moved"] == {"lib": ["1.0", "2.0"]}
    assert document["worse"] == []


def test_wrong_use_is_one_sentence(suite_of_lib: Path) -> None:
    assert "name each package with its version, like transformers==5.23.0" in refuse("upgrade", "lib")
    assert "--tolerance is 'much'" in refuse("upgrade", "lib==2.0", "--tolerance", "much")
    assert "--from is 'nowhere'" in refuse("upgrade", "lib==2.0", "--from", "nowhere")


@pytest.mark.parametrize("mode", ["prepend", "importlib"])
@pytest.mark.untimed
@pytest.mark.slice
def test_no_end_of_a_test_is_hidden_by_its_verdicts_or_by_those_of_a_namesake(suite: Suite, mode: str) -> None:
    suite.write(ENDS, "deep/test_a.py")
    suite.write("def test_same(perf):\n    raise ValueError('before it measured')\n", "test_a.py")
    for folder in ("", "deep"):
        (suite.path / "perf_tests" / folder / "__init__.py").touch()
    suite.run("--perf-update", "new")
    suite.run("--junitxml=results.xml", f"--import-mode={mode}")

    found = endings(suite.path / "results.xml")

    assert found["perf_tests.deep.test_a::test_same"] is None
    assert found["perf_tests.test_a::test_same"] == ("failed", "ValueError: before it measured")
    assert found["perf_tests.deep.test_a::test_asserts"] == ("failed", "AssertionError: afterwards")
    assert found["perf_tests.deep.test_a::test_skipped"] == ("skipped", "needs a GPU")
    crashed = found["perf_tests.deep.test_a::test_crash"]
    assert crashed is not None
    assert crashed[0] == "failed"
    assert "the weights are upside down" in crashed[1]
    assert endings(suite.path / "absent") == {}


def test_what_failed_in_one_of_the_two_runs_did_fail() -> None:
    exact = {"a": ("skipped", "no dry run"), "b": ("failed", "flaky"), "c": None, "d": None}
    timed = {"a": None, "b": None, "c": ("failed", "crash")}

    assert joined(exact, timed) == {"a": None, "b": ("failed", "flaky"), "c": ("failed", "crash"), "d": None}


@pytest.mark.parametrize(
    ("names", "ended", "strict", "code"),
    [
        (["pass", "improved"], set(), True, 0),
        (["pass", "regressed"], set(), False, 1),
        (["pass"], {"failed"}, False, 1),
        (["pass"], {"skipped"}, False, 0),
        (["pass"], {"skipped"}, True, 3),
        (["pass", "new"], set(), True, 3),
        (["new"], set(), False, 1),
        (["inconclusive", "invalid"], set(), False, 1),
    ],
)
def test_the_exit_code_is_no_pass_where_something_was_not_seen(
    names: list[Name], ended: set[str], strict: bool, code: int
) -> None:
    assert exit_code([Verdict("case", "flops", name) for name in names], ended, strict) == code


def test_each_verdict_is_taken_from_the_run_that_it_belongs_to(tmp_path: Path) -> None:
    def run(name: str, *metrics: str) -> RunFile:
        verdicts = [{"kind": "verdict", **Verdict("case", metric, "pass").to_json()} for metric in metrics]
        return read(write_run(tmp_path / f"{name}.jsonl", verdicts))

    exact = run("exact", "flops", "predicted_peak_bytes")
    timed = run("timed", "step_time_s", "peak_memory_bytes", "host_syncs", "python_calls", "flops", "dry_run")
    runs = UpgradeRuns({"lib": ("1", "2")}, ["lib"], {}, 0.01, exact, timed)

    found = [verdict.metric for verdict in runs.verdicts]

    assert found[:2] == ["flops", "predicted_peak_bytes"]
    assert set(found[2:]) == {"step_time_s", "peak_memory_bytes", "host_syncs", "python_calls"}
