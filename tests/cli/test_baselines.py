"""``perfgate baselines``: what it lists, shows, removes, moves and stores."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from perfgate.cli.main import main
from perfgate.records.baseline_folder import cases_of
from perfgate.records.baselines import Baseline
from perfgate.records.moved_baseline import moved_baseline
from perfgate.records.store import Store
from perfgate.records.verdict import Verdict
from tests.support.repositories import begin, commit, git
from tests.support.runs import (
    CASE,
    MACHINE,
    OTHER_CASE,
    about,
    launch_line,
    launches,
    timed_baseline,
    write_run,
)
from tests.support.runs import write_baselines as write

NAME = str(MACHINE["name"])
SUITE = """
import pytest

@pytest.mark.parametrize("batch_size", [8])
def test_batch_size(perf, batch_size):
    pass
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two cases stored, of which the suite has one as ``[8]``."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:hypothesispytest -p no:randomly\n")
    begin(tmp_path)
    at = git(tmp_path, "rev-parse", "HEAD")
    stored = [replace(timed_baseline([[0.02, 0.021], [0.02]], case=case), commit=at) for case in (CASE, OTHER_CASE)]
    write(tmp_path / "baselines", *stored)
    commit(tmp_path, "Store what was measured")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def told(*arguments: str | Path) -> Said:
    """Call the command in this process, since a process of its own takes seconds."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["baselines", *map(str, arguments)])
    return Said(code, out.getvalue(), err.getvalue())


def refused(*arguments: str | Path) -> str:
    """What the command says that cannot do what it is asked."""
    said = told(*arguments)
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    return said.stderr


def stored(folder: Path, case: str = CASE) -> Baseline:
    """What is stored of a case."""
    return cases_of(folder / "baselines", NAME)[case]


def test_a_case_is_shown_with_its_numbers_and_who_moved_it(repository: Path) -> None:
    done = told("show", "gpt2-quick-8")

    assert done.returncode == 0, done.stderr
    assert f"{CASE} on {NAME}" in done.stdout
    assert "somebody" in done.stdout
    assert "Store what was measured" in done.stdout
    row = json.loads(told("show", "gpt2-quick-8", "--json").stdout)["stored"][0]
    assert (row["metric"], row["sessions"], row["launches"]) == ("step_time_s", 2, 3)


def test_an_accepted_regression_carries_who_why_and_until_when_and_is_overdue_after_that(repository: Path) -> None:
    git(repository, "config", "user.name", "Ada")
    run = {**about("s9", "slower for now, until 2026-03-01"), "by": "Ada", "until": "2026-03-01"}
    moved = moved_baseline(
        "all", CASE, launches([0.03]), [Verdict(CASE, "step_time_s", "regressed")], stored(repository), run
    )
    assert moved is not None
    Store(repository / "baselines", NAME).put({CASE: moved}, MACHINE, {})
    git(
        repository,
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        f"Later\n\nPerf-accept: {OTHER_CASE} flops +9%: until 2999-01-01",
    )

    listed = json.loads(told("list", "--json").stdout)

    first, second = listed["accepted"]
    assert (first["case"], first["by"], first["until"], first["overdue"]) == (CASE, "Ada", "2026-03-01", True)
    assert first["why"] == "slower for now, until 2026-03-01"
    assert (second["case"], second["by"], second["overdue"]) == (f"{OTHER_CASE} flops", "somebody", False)
    assert "1 accepted regressions are overdue." in told("list").stdout
    better = moved_baseline(
        "improved", CASE, launches([0.01]), [Verdict(CASE, "step_time_s", "improved")], stored(repository), about("s10")
    )
    assert better is not None
    assert (better.by, better.until) == ("", ""), "what got better is accepted no more"


@pytest.mark.slice
def test_what_no_case_has_is_named_and_removed_only_when_asked(repository: Path) -> None:
    gone = stored(repository).case
    path = repository / "perf_tests" / "training" / "test_batch_size.py"
    path.parent.mkdir(parents=True)
    path.write_text(SUITE)
    write(repository / "baselines", replace(stored(repository), case="training/test_batch_size.py::test_batch_size[8]"))
    write_both(repository, gone)

    named = told("prune")
    assert named.returncode == 1, named.stderr
    assert gone in "".join(named.stdout.replace("│", "").split())
    assert gone in cases_of(repository / "baselines", NAME)

    assert told("prune", "--yes").returncode == 0
    assert list(cases_of(repository / "baselines", NAME)) == ["training/test_batch_size.py::test_batch_size[8]"]
    assert "Every baseline belongs to a case" in told("prune").stdout
    path.write_text("import nowhere\n")
    assert "none is taken for gone" in refused("prune", "--yes")


def write_both(folder: Path, gone: str) -> None:
    """Store a case that is gone beside what is there."""
    here = cases_of(folder / "baselines", NAME)
    (kept,) = here.values()
    write(folder / "baselines", kept, replace(kept, case=gone))


def test_the_baselines_of_a_machine_become_those_of_another(repository: Path) -> None:
    before = stored(repository)
    assert "2 cases" in told("move", NAME, "cpu-new").stdout

    assert cases_of(repository / "baselines", "cpu-new")[CASE] == before
    (path,) = (repository / "baselines" / "cpu-new").rglob("*.json")
    assert json.loads(path.read_text())["machine"]["name"] == "cpu-new"
    assert "there is no such machine" in refused("move", NAME, "cpu-other")
    assert "has baselines already" in refused("move", "cpu-new", "cpu-new")


def run_file(folder: Path, number: int, step_s: float, verdict: str, change: float) -> Path:
    """A run of both cases, of which one may have got worse."""
    lines = [launch_line(case, metrics={"step_time_s": [step_s] * 3}, launch=0) for case in (CASE, OTHER_CASE)]
    told = [
        Verdict(CASE, "step_time_s", verdict, change, reference=0.02, candidate=step_s),  # type: ignore[arg-type]
        Verdict(OTHER_CASE, "step_time_s", "pass", 0.0),
    ]
    verdicts = [{"kind": "verdict", **one.to_json()} for one in told]
    return write_run(folder / f"run{number}.jsonl", [*lines, *verdicts], run_id=f"run-{number}")


def test_several_runs_are_stored_a_session_each_and_what_got_worse_is_not(repository: Path) -> None:
    runs = [run_file(repository, 1, 0.02, "pass", 0.0), run_file(repository, 2, 0.03, "regressed", 0.5)]

    done = told("promote", *runs)

    assert done.returncode == 0, done.stderr
    assert "run-1: 2 cases are stored, 0 are not" in done.stdout
    assert f"{CASE}: step_time_s got worse" in done.stdout
    assert {one.session for one in stored(repository).launches} == {"s0", "s1", "run-1"}
    assert {one.session for one in stored(repository, OTHER_CASE).launches} == {"s0", "s1", "run-1", "run-2"}


@pytest.mark.parametrize(("limit", "code"), [("+60%", 0), ("+10%", 1)])
def test_what_the_commits_of_a_merge_accept_is_stored_with_their_reason(
    repository: Path, limit: str, code: int
) -> None:
    accepted = f"Perf-accept: {CASE} step_time_s {limit}: a deeper model, until 2027-05-01"
    git(repository, "commit", "-q", "--allow-empty", "-m", f"One more block\n\n{accepted}")

    done = told("accept", run_file(repository, 1, 0.03, "regressed", 0.5))

    assert done.returncode == code, done.stderr
    found = stored(repository)
    if code:
        assert "accepts as much" in done.stdout
        assert {one.session for one in found.launches} == {"s0", "s1"}
        return
    assert (found.by, found.until) == ("somebody", "2027-05-01")
    assert found.reason == "a deeper model, until 2027-05-01"
    assert {one.session for one in found.launches} == {"run-1"}
    assert {one.session for one in stored(repository, OTHER_CASE).launches} == {"s0", "s1"}


def test_wrong_use_is_one_sentence(repository: Path) -> None:
    assert "nothing is stored of a case with 'gpt9'" in refused("show", "gpt9")
    beside = write_run(repository / "beside.jsonl", [launch_line(CASE)], reference={"name": "HEAD"})
    assert "held against a reference" in refused("promote", beside)
    assert "beside a reference stores nothing" in refused("accept", beside)
    (repository / "baselines").rename(repository / "elsewhere")
    assert "there are no baselines" in refused("list")
