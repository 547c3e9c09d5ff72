"""Stored times are confirmed: what they do not pass is stepped beside the state that the baseline comes from."""

import json
import subprocess
import sys

import pytest

from perfgate.records.runfile import read
from perfgate.records.traces import traces_of
from tests.support.environments import write_wheel
from tests.support.repositories import begin, change, commit, git, worktrees

CASE = """
def test_it(perf):
    # Some milliseconds of a Python loop are faster in one process than in another by some percent.
    perf(work(rounds=100, factor_file="factor"), tolerance=0.2)
"""


@pytest.fixture
def stored(suite):
    """A suite under git whose baseline, one session, is committed."""
    suite.write(CASE)
    begin(suite.path)
    suite.run("--perf-update", "new").assert_outcomes(passed=1)
    commit(suite.path)
    return suite


def times_as(suite, factor):
    """Store the same times in three sessions, as if the machine had been another one; commits them."""
    (path,) = suite.baselines
    document = json.loads(path.read_text())
    own, *launches = [row for row in document["rows"] if row]
    for row in launches:
        for clock in ("metrics", "processor"):
            for pair in row.get(clock, {}).values():
                pair[:] = [value and value * factor for value in pair]
    document["rows"] = [own, *(row | {"session": f"s{number}"} for number in range(3) for row in launches), {}]
    path.write_text(json.dumps(document))
    return commit(suite.path)


def verdict(suite):
    """The verdict of the newest run on the only time."""
    (found,) = (found for found in read(suite.run_files[-1]).verdicts if found.metric == "step_time_s")
    return found


def duets(suite):
    """The launches of the newest run that were halves of a duet."""
    return [launch for launch in read(suite.run_files[-1]).launches if launch.pair is not None]


def test_a_slowdown_since_the_baseline_is_regressed_by_duets_against_its_commit(stored):
    baseline = git(stored.path, "rev-parse", "HEAD")
    change(stored.path)
    commit(stored.path)
    result = stored.run("--junitxml=report.xml", "--perf-trace", "regressed")
    result.assert_outcomes(failed=1)
    short = baseline[:12]
    result.stdout.fnmatch_lines(
        [
            f"step_time_s got worse by +* (*; beside the baseline's state {short}; the stored times alone: "
            "+* (inconclusive))",
            "Accept it with: * --perf-update all --perf-reason WHY",
        ]
    )
    # The baseline's state is traced as well, and no side of this program works in torch.
    sides = [(trace.side, trace.why) for trace in traces_of(read(stored.run_files[-1]))["test_case.py::test_it"]]
    assert sides == [(side, "its program does no work in torch") for side in ("candidate", "reference")]
    halves = duets(stored)
    assert {(launch.side, launch.details.turns.confirms) for launch in halves} == {
        ("reference", baseline),
        ("candidate", baseline),
    }
    assert len({launch.server for launch in halves}) == 4
    assert not any(
        launch.pair is not None for found in read(stored.run_files[-1]).by_case().values() for launch in found
    )
    assert len(worktrees(stored.path)) == 1


def test_what_did_not_get_slower_passes_by_duets_and_is_stored_without_them(stored):
    change(stored.path, "total = 0", "total = 0  # from nothing")
    stored.run("--perf-update", "more").assert_outcomes(passed=1)
    assert verdict(stored).verdict in ("pass", "improved")
    assert verdict(stored).against == "reference"
    assert duets(stored)
    rows = [row for row in json.loads(stored.baselines[0].read_text())["rows"] if "session" in row]
    assert len(rows) == 4


@pytest.mark.slice
def test_a_machine_that_got_slower_is_not_regressed_and_is_named_where_nothing_else_changed(stored, monkeypatch):
    short = times_as(stored, 0.2)[:12]
    result = stored.run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [f"*step_time_s: the machine, not the code: the stored times say * (regressed), and code, * commit {short}*"]
    )
    assert verdict(stored).verdict == "pass"
    assert not duets(stored)
    # A variable that a program may read is no part of the machine.
    monkeypatch.setenv("SPEED_OF_MINE", "1")
    result = stored.run()
    assert "the machine, not the code" not in result.stdout.str()
    assert verdict(stored).verdict == "inconclusive"
    assert verdict(stored).why.endswith("but environment variables are not as they were")
    # Of a tree that differs, by whatever, duets decide.
    (stored.path / "notes.txt").write_text("to do")
    result = stored.run()
    result.assert_outcomes(passed=1)
    assert "the machine, not the code" not in result.stdout.str()
    assert verdict(stored).verdict in ("pass", "improved")
    assert duets(stored)


@pytest.mark.slice
def test_stored_times_alone_decide_where_duets_are_not_wanted_not_possible_or_blind(stored):
    times_as(stored, 0.2)
    change(stored.path)
    result = stored.run("--perf-confirm", "never")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*step_time_s got worse by * (*, baseline *"])
    assert not duets(stored)
    result = stored.run("--perf-budget", "1s")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*got worse by *not confirmed by duets: no time was left for more duets (--perf-bud*"])
    assert not duets(stored)
    # What a program reads is the same on both sides of a duet, which could not see it.
    (stored.path / "factor").write_text("2")
    result = stored.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*got worse by *not confirmed by duets: the files that it reads are not those of the b*"]
    )


def test_a_program_that_goes_wrong_beside_the_baseline_s_state_does_not_pass(suite):
    suite.write("""
def test_it(perf):
    perf(Workload("later:Later", {"good": 4}), tolerance=0.2)
""")
    later = "from programs import FallsLater, Spin\n\n\nclass Later({}):\n    def __init__(self, device, good):\n"
    (suite.path / "later.py").write_text(f"{later.format('Spin')}        super().__init__(device)\n")
    begin(suite.path)
    suite.run("--perf-update", "new").assert_outcomes(passed=1)
    commit(suite.path)
    falls = f"        super().__init__(device, {str(suite.path / 'count')!r}, good)\n"
    (suite.path / "later.py").write_text(later.format("FallsLater") + falls)
    # Its counters, its memory and two timed launches go well.
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["test_case.py::test_it could not be measured: crash: ValueError: worn out"])


@pytest.mark.slice
def test_a_shallow_clone_cannot_tell_and_names_the_command_that_fetches_the_state(stored):
    times_as(stored, 0.2)
    change(stored.path)
    commit(stored.path)
    clone = stored.path.parent / "shallow"
    git(stored.path, "clone", "-q", "--depth", "1", f"file://{stored.path}", str(clone))
    command = [sys.executable, "-m", "pytest", "perf_tests"]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    (path,) = (clone / "perf_output").glob("*.jsonl")
    (found,) = (found for found in read(path).verdicts if found.metric == "step_time_s")
    assert found.verdict == "inconclusive"
    assert found.why.startswith("the stored times alone: ")
    assert found.why.endswith("is not in this shallow clone; fetch it: git fetch --unshallow")
    assert "1 not confirmed by duets: the commit that last changed" in done.stdout
    assert "Decided: 1 of 2; not decided: 1 inconclusive." in done.stdout  # Python's calls are
    git(clone, "fetch", "-q", "--unshallow")
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert "got worse by" in done.stdout


@pytest.mark.untimed
@pytest.mark.launches(2)
@pytest.mark.slice
def test_a_baseline_that_is_not_committed_has_no_state(suite):
    suite.write(CASE)
    begin(suite.path)
    suite.run("--perf-update", "new")
    result = suite.run()
    result.stdout.fnmatch_lines(
        ["1 not confirmed by duets: its baseline is not committed, *; commit it: git add *.json && git commit"]
    )
    assert verdict(suite).verdict == "inconclusive"
    assert verdict(suite).why.startswith("baseline too young: 2 launches from 1 session, ")


@pytest.mark.slice
def test_the_libraries_of_a_baseline_are_brought_back_once(stored, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(stored.path.parent / "cache"))
    write_wheel(stored.path, "datasets", "1.0")
    (stored.path / "requirements.txt").write_text("--no-index\n--find-links .\n")
    (path,) = stored.baselines
    document = json.loads(path.read_text())
    document["software"] = {"python": document["software"]["python"], "datasets": "1.0"}
    document["rows"][0]["reason"] = "measured with another version"
    path.write_text(json.dumps(document))
    (stored.path / "programs.py").write_text(
        (stored.path / "programs.py").read_text().replace("self.samples, self.tokens = 4, 40", SAMPLES)
    )
    commit(stored.path)
    for _ in range(2):
        stored.run().assert_outcomes(passed=1)
        seen = {(launch.side, launch.samples == 1) for launch in duets(stored) if not launch.invalid}
        assert seen == {("reference", True), ("candidate", False)}
    assert len(list((stored.path.parent / "cache").rglob(".perfgate-ready"))) == 1


SAMPLES = "import datasets; self.samples = 1 if hasattr(datasets, 'VERSION') else 2"
