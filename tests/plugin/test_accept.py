"""An intended regression is merged: a commit or an option accepts it, up to a change that is named, and it is told."""

import json

import pytest

from perfgate.records.runfile import read
from tests import SUPPORT
from tests.support.repositories import begin, commit, git
from tests.support.runs import perfgate

CASES = """
def stack(fault):
    return Workload("torch_programs:Stack", {"fault": fault})

@pytest.mark.parametrize("fault", ["call", "keep", "looks"])
def test_fault(perf, fault):
    perf(stack(fault))
"""
LOOKS = """
def test_always(perf):
    perf(Workload("torch_programs:Looking", {}))
"""
LOOKING = """

class Looking(Program):
    def __init__(self, device):
        self.network = torch.nn.Linear(8, 8)

    def step(self):
        return self.network.weight * 2 if self.network.weight.sum() > 1e9 else self.network.weight
"""
MESSAGE = """One more call, on purpose

Perf-accept: test_case.py::test_fault[call] flops +50%: this paragraph is not the last one

Perf-accept: perf_tests/test_case.py::test_fault[call] operator_calls +50%: it is called
 twice
Perf-accept: test_case.py::test_fault[*] moved_bytes +55.5%: so it moves more
Perf-accept: test_case.py::test_fault[looks] dry_run: it must look
Perf-accept: test_case.py::test_fault[looks] flops 3%: without a sign
"""


@pytest.fixture
def faulty(suite):
    """A repository whose second commit brings faults."""
    (suite.path / "torch_programs.py").write_text((SUPPORT / "torch_programs.py").read_text() + LOOKING)
    with (suite.path / "tox.ini").open("a") as ini:
        ini.write("\nperf_preload = torch_programs perfgate.actor.dry_run.run\n")
    suite.write(CASES)
    begin(suite.path)
    switch(suite, "True")
    commit(suite.path, MESSAGE)
    return suite


def switch(suite, on):
    """Put the faults that programs were asked for into force, or out of it."""
    path = suite.path / "torch_programs.py"
    before = 'return Path("faulty").exists()' if on == "True" else "return True"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, f"return {on}"))


def accepting(*texts):
    """The options."""
    return [argument for text in texts for argument in ("--perf-accept", text)]


@pytest.mark.untimed
@pytest.mark.slice
def test_what_commits_and_options_accept_passes_and_is_told_everywhere(faulty):
    head = git(faulty.path, "rev-parse", "HEAD")[:10]
    options = accepting(
        "test_case.py::test_fault[call]:flops:+50%",
        "test_case.py::test_fault[call]:predicted_peak_bytes:+6%",
        "perf_tests/test_case.py::test_fault[keep]:leaked_bytes:+512",
        "test_case.py::test_fault[kept]:leaked_bytes:+512",
        "test_case.py::test_fault[keep]:flops:+1%",
    )
    result = faulty.run(
        "--perf-device", "none", "--perf-ref", "HEAD~1", *options, "--perf-report", "markdown=report.md"
    )
    result.assert_outcomes(passed=3)
    case = "test_case.py::test_fault"
    told = [
        f"Accepted up to +50% by commit {head}: it is called twice ({case}[call]: operator_calls +50.0%)",
        f"Accepted up to +50% by --perf-accept ({case}[call]: flops +50.0%)",
        f"Accepted up to +55.5% by commit {head}: so it moves more ({case}[call]: moved_bytes +50.0%)",
        f"Accepted up to +512 by --perf-accept ({case}[keep]: leaked_bytes)",
        f"Accepted by commit {head}: it must look ({case}[looks]: dry_run)",
        f"--perf-accept accepts leaked_bytes of {case}[kept], which is no case of this run; did you mean {case}[keep]?",
        f"--perf-accept accepts flops of {case}[keep], which did not get worse",
        f"commit {head}: Perf-accept is '{case}[looks] flops 3%: without a sign'; it must be CASE METRIC +12%: REASON",
        f"commit {head}: Perf-accept: {case}[call] flops +50%: this paragraph is not the last one is not among the "
        "last lines of its message, so it accepts nothing",
    ]
    assert not [line for line in told if line not in result.outlines]
    assert result.outlines[result.outlines.index(told[0]) - 1].startswith("Run file: ")
    result.stdout.fnmatch_lines(["*3 cases measured, by metric: 6 accepted, * pass.", "Decided: all *."])
    (path,) = faulty.run_files
    markdown = (faulty.path / "report.md").read_text()
    opening = perfgate("report", path).stdout.partition("What needs attention")[0]
    assert not [line for line in told if line not in opening]
    # The digest for a comment has room for the first of them.
    opening = markdown.partition("| verdict")[0].replace("\\", "")
    assert not [line for line in (*told[:5], "- and 4 more, on the page") if line not in opening]
    document = json.loads(perfgate("report", path, "--json").stdout)["runs"][0]
    assert document["run"]["accepted"][0]["source"] == "--perf-accept"
    assert document["summary"]["accepted"] == 6
    assert {verdict.accepted for verdict in read(path).verdicts if verdict.metric == "dry_run"} == {
        f"by commit {head}: it must look"
    }
    assert perfgate("compare", path).returncode == 0


CALLS = """
from perfgate.actor.programs.base import Program


class Calls(Program):
    def __init__(self, device):
        pass

    def step(self):
        for number in range(1):
            call(number)


def call(number):
    return number
"""
HEAD = "1a2b3c4d5e6f7a8b9c0d" * 2
GITLAB = {"CI_MERGE_REQUEST_PROJECT_ID": "5", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "9", "CI_COMMIT_SHA": HEAD}
BUILDKITE = {
    "BUILDKITE_PULL_REQUEST": "7",
    "BUILDKITE_PULL_REQUEST_REPO": "git://github.com/stranger/models.git",
    "BUILDKITE_REPO": "git@github.com:owner/models.git",
}


def pull(action, label=""):
    """An event of GitHub about a pull request of a fork."""
    sides = {side: {"repo": {"full_name": f"{owner}/models"}} for side, owner in (("head", "them"), ("base", "us"))}
    return {"action": action, "label": {"name": label}, "pull_request": sides}


@pytest.mark.untimed
@pytest.mark.parametrize(
    ("event", "variables", "passes"),
    [
        (pull("synchronize"), {}, False),
        (pull("labeled", "perf-accepted"), {}, True),
        ({"action": "checks_requested", "merge_group": {"head_sha": HEAD}}, {}, True),
        (None, GITLAB, False),
        (None, GITLAB | {"CI_MERGE_REQUEST_LABELS": f"slow,perf-accepted::{HEAD[:16]}"}, True),
        (None, BUILDKITE, False),
    ],
    ids=["GitHub", "GitHub, labelled", "a merge queue of GitHub", "GitLab", "GitLab, labelled", "Buildkite"],
)
@pytest.mark.slice
def test_a_forks_trailer_only_proposes_until_it_gets_the_label(suite, monkeypatch, event, variables, passes):
    (suite.path / "programs.py").write_text(CALLS)
    suite.write("def test_it(perf):\n    perf(work('Calls'))")
    begin(suite.path)
    (suite.path / "programs.py").write_text(CALLS.replace("range(1)", "range(2)"))
    commit(suite.path, "One more call\n\nPerf-accept: test_case.py::test_it python_calls +100%: on purpose\n")
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if event is not None:
        (suite.path / "event.json").write_text(json.dumps(event))
        monkeypatch.setenv("GITHUB_EVENT_PATH", str(suite.path / "event.json"))

    result = suite.run("--perf-ref", "HEAD~1")

    result.assert_outcomes(passed=int(passes), failed=int(not passes))
    proposed = "accepts python_calls of test_case.py::test_it: the commit comes from a fork, so it only proposes"
    assert (proposed in result.stdout.str()) is not passes


@pytest.mark.slice
@pytest.mark.untimed
def test_more_than_was_accepted_fails_and_the_message_says_how_to_accept_it(faulty):
    options = accepting(
        "test_case.py::test_fault[call]:flops:+49.9%", "test_case.py::test_fault[keep]:leaked_bytes:+511"
    )
    result = faulty.run("--perf-device", "none", "--perf-ref", "HEAD~1", *options, "-n", "1")
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines_random(
        [
            "*[[]call]: flops got worse by +50.0% (*; more than was accepted up to +49.9% by --perf-accept)*",
            "*[[]keep]: leaked_bytes got worse (512 B, *; more than was accepted up to +511 by --perf-accept)",
            "If it is intended, accept it with --perf-accept 'test_case.py::test_fault[[]call]:flops:+50%', or *:",
            "    Perf-accept: test_case.py::test_fault[[]keep] leaked_bytes +512: WHY",
        ]
    )
    assert perfgate("compare", faulty.run_files[0]).returncode == 1


@pytest.mark.slice
@pytest.mark.untimed
def test_a_dry_run_that_the_reference_lacks_is_new_and_one_that_both_lack_is_missing_in_the_report(faulty):
    faulty.write(LOOKS, "test_looks.py")
    switch(faulty, "False")
    result = faulty.run("--perf-device", "none", "--perf-ref", "HEAD", "-k", "looks or always")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines_random(
        [
            "*ok *test_fault[[]looks]: dry_run new (the reference cannot run it dry: *); 6 exact metrics new*",
            "*test_always: dry_run invalid (no dry run: *",
        ]
    )
    told = perfgate("report", faulty.run_files[0]).stdout
    assert "Exact metrics are missing of test_looks.py::test_always: no dry run: " in told
    assert "missing of test_case.py" not in told


@pytest.mark.untimed
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--perf-accept", "a::b:flops:+1%"], "*--perf-accept goes with --perf-ref; what is stored moves with *"),
        (["--perf-ref", "HEAD", *accepting("flops")], "*--perf-accept is 'flops'; it must be CASE:METRIC:+12%, *"),
        (["--perf-ref", "HEAD", *accepting("a::b:flops")], "*'a::b:flops' names no largest change; *like +12%"),
        (["--perf-ref", "HEAD", *accepting("a::b:flop:+1%")], "*unknown metric 'flop'; *"),
    ],
)
def test_an_acceptance_that_cannot_be_read_is_refused_in_one_sentence(suite, arguments, message):
    suite.write("def test_it(perf):\n    perf(work())")
    result = suite.run(*arguments)
    result.stderr.fnmatch_lines([message])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
