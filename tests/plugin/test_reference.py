"""A revision or an interpreter as the reference: both sides stepped in turn, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perfgate.records.runfile import read
from tests.support.repositories import begin, change, commit, git, worktrees
from tests.support.runs import perfgate

pytestmark = pytest.mark.untimed

CASES = """
@pytest.mark.parametrize("rounds", [20, 30])
def test_it(perf, rounds):
    # Half a millisecond of a Python loop is faster in one process than in another by some percent.
    perf(work(rounds=rounds), tolerance=0.2)
"""


@pytest.fixture
def repository(suite):
    """A suite under git, with one commit."""
    suite.write(CASES)
    begin(suite.path)
    return suite


@pytest.mark.launches(1)
@pytest.mark.slice
def test_a_slowdown_since_a_revision_fails_its_case_and_nothing_is_left(repository):
    change(repository.path)
    result = repository.run("--perf-ref", "HEAD")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*test_it[[]20]: step_time_s got worse by +* (*, reference *; interval +* to +*"])
    result.stdout.no_fnmatch_line("*--perf-update*")
    assert len(worktrees(repository.path)) == 1
    run = read(repository.run_files[0])
    duets = [launch for launch in run.launches if launch.pass_name == "time"]
    assert {launch.side for launch in duets} == {"reference", "candidate"}
    assert all(launch.pair is not None and len(launch.metrics["step_time_s"]) >= 20 for launch in duets)
    assert len({launch.server for launch in duets}) == 4
    assert run.header["reference"]["commit"] == git(repository.path, "rev-parse", "HEAD")


@pytest.mark.launches(1)
@pytest.mark.slice
def test_a_huge_slowdown_and_its_fix_are_decided_after_the_first_duets_and_the_numbers_of_a_line_agree(repository):
    change(
        repository.path,
        "self.rounds = int(rounds * 1000 * factor)",
        "self.rounds = int(rounds * 1000 * (40 if rounds == 20 else 1 / 30))",
    )
    result = repository.run("--perf-ref", "HEAD")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["*test_it[[]20]: step_time_s got worse by *-fold (*", "*[[]30]: step_time_s got better, *"]
    )
    result.stdout.no_fnmatch_line("*can see*")
    run = read(repository.run_files[0])
    for verdict in (verdict for verdict in run.verdicts if verdict.metric == "step_time_s"):
        assert verdict.launches == 3
        assert verdict.candidate / verdict.reference - 1 == pytest.approx(verdict.change)


@pytest.mark.slice
def test_what_did_not_change_is_refused_and_what_changed_for_nothing_passes(repository):
    result = repository.run("--perf-ref", "HEAD")
    result.stderr.fnmatch_lines(["ERROR: --perf-ref HEAD: nothing differs between * and the working tree"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    change(repository.path, "total = 0", "total = 0  # from nothing")
    repository.run("--perf-ref", "HEAD", "-n", "2").assert_outcomes(passed=2)
    assert len(worktrees(repository.path)) == 1


def test_a_revision_is_one_though_a_program_has_its_name(repository, monkeypatch):
    program = repository.path / "bin" / "HEAD"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    commit(repository.path)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    result = repository.run("--perf-ref", "HEAD")
    result.stderr.fnmatch_lines(["ERROR: --perf-ref HEAD: nothing differs between * and the working tree"])


def test_the_references_own_perfgate_is_not_used_and_a_case_that_it_lacks_is_new(repository):
    stray = repository.path / "perfgate"
    stray.mkdir()
    (stray / "__init__.py").write_text("raise RuntimeError('an older one')\n")
    commit(repository.path)
    git(repository.path, "rm", "-q", "-r", "perfgate")
    # pytester names the folder in PYTHONPATH, where the revision must not find what it does not have.
    (repository.path / "fresh.py").write_text("from programs import Spin\n\n\nclass Fresh(Spin):\n    pass\n")
    repository.write("def test_new(perf):\n    perf(Workload('fresh:Fresh', {}))", "test_more.py")
    result = repository.run("--perf-ref", "HEAD", "-k", "20 or new")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_new: step_time_s new (the reference cannot run it: no program: fresh:Fresh*"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--perf-ref", "no-such-branch"], "*--perf-ref is 'no-such-branch'; it is no Python interpreter, *"),
        (["--perf-ref", "HEAD", "--perf-update", "new"], "*--perf-ref holds two sides against each other and stores*"),
        (["--perf-ref-python", "python"], "*--perf-ref-python goes with --perf-ref REV*"),
        (["--perf-ref", "HEAD", "--perf-ref-python", "nowhere"], "*--perf-ref-python is 'nowhere'; *"),
        (["--perf-budget", "soon"], "*--perf-budget is 'soon'; it must be a duration like 90s, 10m or 2h*"),
    ],
)
def test_a_wrong_call_is_one_sentence_before_anything_starts(repository, arguments, message):
    change(repository.path)
    result = repository.run(*arguments)
    result.stderr.fnmatch_lines([message])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len(worktrees(repository.path)) == 1


@pytest.mark.slice
@pytest.mark.parametrize(("pinned", "built"), [("# nothing", True), ("no-such-package-of-anybody==1.0", False)])
def test_a_revision_that_pins_other_libraries_gets_an_environment_of_its_own(repository, monkeypatch, pinned, built):
    monkeypatch.setenv("XDG_CACHE_HOME", str(repository.path.parent / "cache"))
    (repository.path / "requirements.txt").write_text(f"{pinned}\n")
    commit(repository.path)
    (repository.path / "requirements.txt").write_text("# newer\n")
    result = repository.run("--perf-ref", "HEAD", "-k", "20")
    if built:
        result.assert_outcomes(passed=1)
        python = read(repository.run_files[0]).header["reference"]["python"]
        assert python != sys.executable
        assert str(repository.path.parent / "cache") in python
    else:
        result.stderr.fnmatch_lines(["*--perf-ref: the environment does not build: *no-such-package-of-anybody*"])
        assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len(worktrees(repository.path)) == 1


@pytest.mark.launches(1)
def test_a_run_that_is_killed_in_a_duet_leaves_no_worktree_and_no_process(repository):
    change(repository.path)
    repository.write("def test_long(perf):\n    perf(work(rounds=20000))", "test_long.py")
    command = [sys.executable, "-m", "pytest", "perf_tests/test_long.py", "--perf-ref", "HEAD"]
    marker = f"PERFGATE_TEST={repository.path}"
    environment = os.environ | {"PERFGATE_TEST": str(repository.path)}
    run = subprocess.Popen(command, cwd=repository.path, env=environment, stdout=subprocess.DEVNULL)
    until(lambda: len(worktrees(repository.path)) == 2 and len(processes(marker)) > 6)
    run.send_signal(signal.SIGKILL)
    run.wait()
    until(lambda: len(worktrees(repository.path)) == 1 and not processes(marker))


def processes(marker):
    """Processes with a variable in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def until(condition):
    """Wait for something that comes soon."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


EFFECTS = """
def test_kept(effect):
    effect(work(rounds=40), work(rounds=20), step_time_s="< 0.7x", samples_per_s={"cpu": "> 1.5x"})

def test_lost(effect):
    effect(work(rounds=20), work(rounds=21), step_time_s="< 0.7x")

def test_broken(effect):
    effect(work(rounds=20), work("CrashInSetup"), step_time_s="< 0.7x")

def test_vanilla_broken(effect):
    effect(work("CrashInSetup"), work(rounds=20), step_time_s="< 0.7x")

def test_elsewhere(effect):
    effect(work(rounds=40), work(rounds=20), step_time_s={"gpu": "< 0.7x"}, python_calls="< 2x")

def test_unreadable_elsewhere(effect):
    effect(work(rounds=40), work(rounds=20), step_time_s={"cpu": "< 0.7x", "cuda": "faster"})

def test_misspelt(effect):
    effect(work(), work(), step_time="< 0.7x")

def test_unreadable(effect):
    effect(work(), work(rounds=30), step_time_s="faster")

def test_same(effect):
    effect(work(), work(), step_time_s="< 0.7x")

def test_nothing(effect):
    effect(work(), work())
"""


@pytest.mark.launches(1)
@pytest.mark.slice
def test_an_effect_is_kept_or_lost_and_what_is_wrong_is_one_sentence(suite):
    suite.write(EFFECTS)
    result = suite.run("-m", "effect", "--perf-update", "new")
    result.assert_outcomes(passed=1, failed=9)
    result.stdout.fnmatch_lines_random(
        [
            "*test_lost: step_time_s is *x vanilla's, expected < 0.7x (*, vanilla *; interval *x to *x*)",
            "*test_broken could not be measured: the setting could not be measured: crash: FileNotFoundError: *",
            "*test_vanilla_broken could not be measured: vanilla could not be measured: crash: FileNotFoundError: *",
            "*the expected effect on step_time_s is for 'gpu'; it may be cpu, cuda*",
            "*test_misspelt: effect(): unknown metric 'step_time'; *did you mean step_time_s?)",
            "*the expected effect on step_time_s is 'faster'; write a ratio such as '< 0.7x'*",
            "*test_same: effect() got the same workload twice; a setting must differ from vanilla",
            "*test_nothing: effect() needs what to expect of a metric, like step_time_s='< 1.4x'",
        ]
    )
    assert not suite.baselines
    # Nothing is stored of an effect, so nothing that is to be stored excuses it.
    every = suite.run("-k", "kept or lost", "--perf-update", "all", "--perf-reason", "a new model")
    every.assert_outcomes(passed=1, failed=1)


@pytest.mark.launches(1)
def test_sides_that_do_not_fit_together_are_launched_one_after_the_other_and_it_is_said(suite):
    suite.write("""
def test_it(effect):
    effect(work("Lonely", rounds=20), work("Lonely", rounds=60), step_time_s="> 1.5x")
""")
    suite.run().assert_outcomes(passed=1)
    run = read(suite.run_files[0])
    timed = [launch for launch in run.launches if launch.pass_name == "time"]
    assert {launch.details.turns.stepped for launch in timed} == {"one after the other"}
    assert {launch.side for launch in timed} == {"reference", "candidate"}
    (verdict,) = run.verdicts
    assert "both sides were stepped one after the other, as they do not fit into memory together" in verdict.why


@pytest.mark.launches(2)
@pytest.mark.slice
def test_a_budget_of_time_that_is_spent_lists_what_was_left_out(suite):
    suite.write(CASES + "\n\ndef test_last(perf):\n    perf(work(rounds=4000))")
    result = suite.run("--perf-budget", "1s")
    outcomes = result.parseoutcomes()
    assert outcomes["skipped"] >= 1
    assert outcomes["passed"] >= 1
    result.stdout.fnmatch_lines(["*: step_time_s is undecided (not measured: the run's time was spent before it *"])
    assert suite.run("--perf-budget", "1s", "--perf-strict").ret == 1


def test_what_a_reference_that_crashes_leaves_unjudged_is_told_with_the_reason(repository):
    crashing = (
        "from programs import Spin\n\n\nclass Fixed(Spin):\n    def step(self):\n        raise OSError('worn out')\n"
    )
    (repository.path / "fixed.py").write_text(crashing)
    repository.write("def test_fixed(perf):\n    perf(Workload('fixed:Fixed', {}))", "test_more.py")
    commit(repository.path)
    (repository.path / "fixed.py").write_text("from programs import Spin\n\n\nclass Fixed(Spin):\n    pass\n")
    result = repository.run("--perf-ref", "HEAD", "-k", "fixed")
    result.assert_outcomes(passed=1)
    told = "Not judged, as the reference cannot run it: test_more.py::test_fixed (crash: OSError: worn out)"
    problem = "ERROR: nothing was decided: the reference crashes in all of these cases; see above"
    result.stdout.fnmatch_lines([told, "Decided: 0 of *", problem])
    assert result.ret == 1
    report = perfgate("report", repository.run_files[-1]).stdout
    assert "Nothing was decided: 1 of 1 case is new: the reference cannot run it." in report


@pytest.mark.launches(1)
@pytest.mark.slice
def test_a_program_that_goes_wrong_in_a_later_duet_does_not_pass(suite):
    suite.write("""
from pathlib import Path

@pytest.mark.parametrize("side", [0, 1])
def test_effect(effect, side):
    sides = [work(rounds=21), work("FallsLater", count_file=str(Path(f"count-{side}").resolve()), good=2)]
    effect(sides[side - 1], sides[side], step_time_s="< 1.001x", python_calls="< 9x")

def test_case(perf):
    perf(Workload("later:Later", {"count_file": str(Path("count").resolve())}), tolerance=1e-6)
""")
    later = "from programs import FallsLater, Spin\n\n\nclass Later({}):\n    def __init__(self, device, count_file):\n"
    (suite.path / "later.py").write_text(f"{later.format('Spin')}        super().__init__(device)\n")
    begin(suite.path)
    # It is slower as well, so that the first duet, which it stands, does not decide it.
    slower = "        super().__init__(device, count_file, good=3, rounds=21)\n"
    (suite.path / "later.py").write_text(f"{later.format('FallsLater')}{slower}")
    result = suite.run("--perf-ref", "HEAD")
    result.assert_outcomes(failed=3)
    cases = ("test_effect[[]0]", "vanilla "), ("test_effect[[]1]", "the setting "), ("test_case", "")
    for case, side in cases:
        why = f"{side}could not be measured: crash: ValueError: worn out"
        result.stdout.fnmatch_lines([f"*{case} could not be measured: {why}" if side else f"*{case} {why}"])
    found = {verdict.metric: verdict.verdict for verdict in read(suite.run_files[-1]).verdicts}
    assert found == {"step_time_s": "invalid", "python_calls": "pass"}


@pytest.mark.launches(2)
@pytest.mark.slice
def test_a_program_whose_steps_become_slower_and_slower_does_not_pass(suite):
    suite.write("""
def test_it(perf):
    perf(Workload("slows:Slows", {}), tolerance=0.9)
""")
    slows = (
        "from programs import Spin\n\n\nclass Slows(Spin):\n    def step(self):\n        {}\n        super().step()\n"
    )
    (suite.path / "slows.py").write_text(slows.format("pass"))
    begin(suite.path)
    suite.run("--perf-update", "new").assert_outcomes(passed=1)
    commit(suite.path)
    # No call of Python's more, so that the times alone tell it.
    (suite.path / "slows.py").write_text(slows.format("self.rounds += 1_000"))
    for arguments, where in (([], "launch"), (["--perf-ref", "HEAD"], "duet")):
        result = suite.run(*arguments)
        result.assert_outcomes(failed=1)
        why = f"unsteady, ever slower: * went from 1 to * within the {where}"
        result.stdout.fnmatch_lines([f"test_case.py::test_it could not be measured: {why}"])


@pytest.mark.launches(1)
@pytest.mark.slice
def test_every_third_step_that_became_slower_is_told_though_the_median_is_as_before(suite):
    suite.write("""
def test_it(perf):
    perf(Workload("thirds:Thirds", {}), tolerance=0.9)
""")
    thirds = """
from programs import Spin

class Thirds(Spin):
    number = 0

    def step(self):
        self.number += 1
        self.rounds = {} if self.number % 3 == 0 else 20_000
        super().step()
"""
    (suite.path / "thirds.py").write_text(thirds.format("20_000"))
    begin(suite.path)
    (suite.path / "thirds.py").write_text(thirds.format("200_000"))
    result = suite.run("--perf-ref", "HEAD")
    result.assert_outcomes(passed=1, warnings=1)
    told = (
        "test_case.py::test_it: step_time_s is as before *; the median does not tell that * of * steps became slower *"
    )
    result.stdout.fnmatch_lines([told])
    assert suite.run("--perf-ref", "HEAD", "--perf-strict").ret == 1


@pytest.mark.launches(1)
def test_a_time_that_one_side_alone_measures_is_not_left_out_in_silence(suite):
    suite.write("""
@pytest.mark.parametrize("kind", ["lost", "won"])
def test_it(perf, kind):
    perf(Workload("mine:Mine", {"kind": kind}), tolerance=0.9)
""")
    mine = """
from programs import TellsTimes
TIMES = {}

class Mine(TellsTimes):
    def __init__(self, device, kind):
        super().__init__(device, TIMES[kind])
"""
    (suite.path / "mine.py").write_text(mine.format('{"lost": {"load_time_s": 1e-3}, "won": {}}'))
    begin(suite.path)
    (suite.path / "mine.py").write_text(mine.format('{"lost": {}, "won": {"load_time_s": 1e-3}}'))
    suite.run("--perf-ref", "HEAD").assert_outcomes(passed=2)
    told = {v.case.partition("::")[2]: v for v in read(suite.run_files[-1]).verdicts if v.metric == "load_time_s"}
    lost, won = told["test_it[lost]"], told["test_it[won]"]
    assert (lost.verdict, lost.why.partition(";")[0]) == (
        "inconclusive",
        "measured in the reference, but not in the candidate",
    )
    assert (won.verdict, won.why) == ("new", "the reference does not measure it")


@pytest.mark.slice
def test_a_reference_whose_dry_run_crashes_leaves_exact_metrics_unjudged_and_it_is_said(exact):
    crashing = "from torch_programs import Allocate\n\n\nclass Fixed(Allocate):\n    "
    (exact.path / "fixed.py").write_text(f"{crashing}def step(self):\n        raise OSError('worn out')\n")
    exact.write("""
def test_fixed(perf):
    perf(Workload("fixed:Fixed", {"kept": 64, "sizes": [64]}))

def test_other(perf):
    perf(Workload("torch_programs:Allocate", {"kept": 64, "sizes": [64]}))
""")
    begin(exact.path)
    (exact.path / "fixed.py").write_text(f"{crashing}pass\n")
    result = exact.run("--perf-ref", "HEAD", "--perf-device", "none")
    result.assert_outcomes(passed=2)
    told = "Exact metrics not judged, as the reference cannot run it dry: test_case.py::test_fixed (OSError: worn out)"
    result.stdout.fnmatch_lines([told])
    assert result.ret == 0
    result = exact.run("--perf-ref", "HEAD", "--perf-device", "none", "-k", "fixed")
    problem = "ERROR: nothing was decided: the reference crashes in all of these cases; see above"
    result.stdout.fnmatch_lines([told, "Decided: 0 of *", problem])
    assert result.ret == 1
