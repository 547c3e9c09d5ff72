"""The order of a run with a budget of time, and the cases that changes concern."""

import pytest

from tests.support.repositories import begin, commit

OWN = "import programs\n\n\ndef test_it(perf):\n    perf(work(rounds=1))"
FILES = {
    "test_a.py": "def test_it(perf):\n    perf(Workload('other:Other', {}))",
    "test_b.py": OWN,
    "test_c.py": "def test_it(perf):\n    assert perf",
}


@pytest.fixture
def kept(suite):
    """A suite under git whose files import different programs."""
    (suite.path / "other.py").write_text("import helper\n")
    (suite.path / "helper.py").write_text("KIND = 1\n")
    for name, text in FILES.items():
        suite.write(text, name)
    begin(suite.path)
    return suite


def order(result):
    """Names of the collected files, in their order."""
    return [line.split("::")[0].rpartition("/")[2] for line in result.outlines if "::test_it" in line]


def collected(suite, *arguments):
    return suite.run("--collect-only", "-q", *arguments)


def test_only_cases_whose_imported_files_changed_are_run_and_each_says_why(kept):
    (kept.path / "helper.py").write_text("KIND = 2\n")
    result = collected(kept, "--perf-affected", "HEAD")
    result.stdout.fnmatch_lines(
        ["perf_tests/test_a.py::test_it: it imports helper.py, which changed", "2 of 3 cases are not concerned"]
    )
    (kept.path / "requirements.txt").write_text("numpy\n")
    found = collected(kept, "--perf-affected", "HEAD", "-o", "perf_lock=requirements.txt")
    found.stdout.fnmatch_lines(["*test_b.py::test_it: requirements.txt, which pins libraries, changed"])
    commit(kept.path)
    assert "3 of 3 cases are not concerned" in collected(kept, "--perf-affected", "HEAD").outlines
    (kept.path / "perf_tests" / "test_c.py").write_text("def test_it(perf):\n    perf(0)\n")
    found = collected(kept, "--perf-affected", "HEAD")
    found.stdout.fnmatch_lines(["perf_tests/test_c.py::test_it: it is perf_tests/test_c.py, which changed"])
    found = collected(kept, "--perf-affected", "nowhere")
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines(["ERROR: --perf-affected nowhere: there is no such revision in the repository of *"])


def test_a_budget_is_spent_on_what_changed_then_on_what_moved_then_on_what_is_oldest(suite):
    for name in ("test_a.py", "test_b.py", "test_c.py"):
        suite.write("def test_it(perf):\n    perf(work(rounds=1))", name)
    suite.write("import helper\n\n\ndef test_it(perf):\n    perf(work(rounds=1))", "test_d.py")
    (suite.path / "helper.py").write_text("KIND = 1\n")
    begin(suite.path)
    suite.run("--perf-update", "new", "-o", "perf_launches=1").assert_outcomes(passed=4)
    old = suite.baselines
    (path,) = (path for path in old if path.name == "test_c.json")
    path.write_text(path.read_text().replace('"date": "20', '"date": "19'))
    assert order(collected(suite)) == ["test_a.py", "test_b.py", "test_c.py", "test_d.py"]
    (suite.path / "helper.py").write_text("KIND = 2\n")
    newest = suite.run_files[-1]
    lines = newest.read_text().splitlines()
    worse = [line.replace('"verdict": "new"', '"verdict": "regressed"') for line in lines]
    of_b = [new if "test_b.py" in old else old for old, new in zip(lines, worse, strict=True)]
    newest.write_text("\n".join(of_b) + "\n")
    assert order(collected(suite, "--perf-budget", "1h")) == ["test_d.py", "test_b.py", "test_c.py", "test_a.py"]
    result = suite.run("--perf-budget", "1s", "-o", "perf_launches=1")
    result.stdout.fnmatch_lines(["*not measured: the run's time was spent before it began; last measured on 19*"])


@pytest.mark.slice
def test_packages_of_an_environment_in_the_repository_are_none_of_its_files(suite):
    place = suite.path / "venv" / "lib" / "site-packages"
    (place / "installed").mkdir(parents=True)
    (place / "installed" / "__init__.py").write_text("")
    suite.write("import installed\n\n\ndef test_it(perf):\n    perf(work(rounds=1))")
    suite.pytester.makeconftest(f"import sys\n\nsys.path.append({str(place)!r})\n")
    begin(suite.path)
    (place / "installed" / "__init__.py").write_text("KIND = 2\n")
    assert "1 of 1 case is not concerned" in collected(suite, "--perf-affected", "HEAD").outlines
