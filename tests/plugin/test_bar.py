"""What a branch changes of what it is held against is told at the end of a run, in reports and in comments."""

from pathlib import Path

import pytest

from perfgate.system.bar import moved_bar
from tests.conftest import Suite
from tests.support.repositories import begin, commit, git

CASES = """
@pytest.mark.perf(tolerance=0.03)
def test_spin(perf):
    perf(work(rounds=1))


def test_promise(effect):
    effect(work(rounds=2), work(rounds=1), step_time_s="< 0.7x")


def test_other(perf):
    perf(work(rounds=1))
"""
OTHERS = """
import pytest


def test_sum():
    assert sum([1, 2]) == 3


def test_max():
    assert max(1, 2) == 2
"""
WORKFLOW = """
jobs:
  exact:
    steps:
      - run: python -m pip install -r requirements.txt
      - run: python -m pytest perf_tests --perf-device none --perf-ref "$BASE"
      - uses: actions/upload-artifact@v4
        with:
          path: perf_output
"""
ACTIONS = ".github/workflows/performance.yml"
INI = "[pytest]\naddopts = -ra\nperf_strict = true\ntestpaths = tests\n"
HERE = "perf_tests/test_case.py"


@pytest.fixture
def branch(tmp_path: Path) -> Path:
    """A repository with cases of a suite, tests of other things, baselines, and what CI runs."""
    files = {HERE: CASES, "tests/test_others.py": OTHERS, "baselines/a.json": "{}", ACTIONS: WORKFLOW, "tox.ini": INI}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    begin(tmp_path)
    return tmp_path


def replaced(text: str, old: str, new: str) -> str:
    """A text with something else in it."""
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("name", "text", "moves"),
    [
        ("baselines/a.json", '{"stored": 1}', True),
        ("baselines/b.json", "{}", True),
        (HERE, replaced(CASES, "0.03", "0.5"), True),
        (HERE, replaced(CASES, "def test_other", "@pytest.mark.skip\ndef test_other"), True),
        (HERE, replaced(CASES, "def test_other(perf):\n", 'def test_other(perf):\n    pytest.skip("slow")\n'), True),
        (HERE, CASES[: CASES.index("def test_other")], True),
        (HERE, replaced(CASES, "def test_other", '@pytest.mark.perf(tier="full")\ndef test_other'), True),
        (HERE, replaced(CASES, "def test_other", "@pytest.mark.perf(dry=True)\ndef test_other"), True),
        (HERE, replaced(CASES, "< 0.7x", "< 1.7x"), True),
        (HERE, f'{CASES}\n\n@pytest.mark.perf(tier="full")\ndef test_more(perf):\n    perf(work(rounds=1))\n', False),
        (HERE, f'{CASES}\n\ndef test_more(effect):\n    effect(work(), work(rounds=1), flops="< 2x")\n', False),
        (HERE, "", True),
        (HERE, f"{CASES}\n\ndef test_more(perf):\n    perf(work(rounds=1))\n", False),
        (HERE, replaced(CASES, "perf(work(rounds=1))", "perf(work(rounds=2))"), False),
        ("tests/test_others.py", replaced(OTHERS, "def test_max", "@pytest.mark.skip\ndef test_max"), False),
        ("others.py", "tolerance = 1e-3\n", False),
        ("marks.py", "import pytest\n\nLOOSE = pytest.mark.perf(tolerance=0.5)\n", True),
        ("pytest.ini", "[pytest]\nperf_tolerance = 0.5\n", True),
        ("pytest.ini", "[pytest]\naddopts = --deselect perf_tests/test_case.py::test_other\n", True),
        ("pyproject.toml", '[tool.pytest.ini_options]\nperf_device = "none"\n', True),
        ("pyproject.toml", '[tool.pytest.ini_options]\nperf_html = "off"\n', False),
        ("tests/test_others.py", OTHERS[: OTHERS.index("def test_max")], False),
        (ACTIONS, replaced(WORKFLOW, "none", "none --perf-version-tolerance 0.5"), True),
        (ACTIONS, replaced(WORKFLOW, "--perf-ref", "-o perf_strict=false --perf-ref"), True),
        (ACTIONS, replaced(WORKFLOW, '-m pytest perf_tests --perf-device none --perf-ref "$BASE"', "-V"), True),
        (ACTIONS, replaced(WORKFLOW, "requirements.txt", "perf_requirements.txt"), False),
        (ACTIONS, replaced(WORKFLOW, "path: perf_output", "path: perf_output/*.html"), False),
        (".gitlab-ci.yml", "exact metrics:\n  script: pytest --perf-ref HEAD^1\n", True),
        (".buildkite/perf-shard", "pytest -o perf_tolerance=0.5\n", True),
        ("docs/shard.sh", "pytest -o perf_strict=false\n", False),
        ("tox.ini", replaced(INI, "perf_strict = true\n", ""), True),
        ("tox.ini", replaced(INI, "-ra", "-ra -k 'not slow'"), True),
        ("tox.ini", replaced(INI, "-ra", "-ra\n    --deselect perf_tests/test_case.py::test_spin"), True),
        ("tox.ini", replaced(INI, "testpaths = tests", "testpaths = tests perf_tests"), False),
        ("pyproject.toml", '[project]\nname = "perf_models"\n', False),
    ],
)
def test_what_moves_the_bar(branch: Path, name: str, text: str, moves: bool) -> None:
    (branch / name).parent.mkdir(exist_ok=True)
    (branch / name).write_text(text)
    git(branch, "add", "-A")

    assert moved_bar(branch, git(branch, "rev-parse", "HEAD"), "baselines") == [name] * moves

    base = git(branch, "rev-parse", "HEAD")
    commit(branch)

    assert moved_bar(branch, base, "baselines") == [name] * moves


def test_a_test_file_that_is_gone_moves_the_bar(branch: Path) -> None:
    (branch / HERE).unlink()

    assert moved_bar(branch, git(branch, "rev-parse", "HEAD"), "baselines") == [HERE]


def test_baselines_outside_of_the_repository_are_moved_by_no_branch(
    branch: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (branch / HERE).write_text(replaced(CASES, "0.03", "0.5"))

    assert moved_bar(branch, git(branch, "rev-parse", "HEAD"), str(elsewhere)) == [HERE]


def test_what_ci_runs_is_seen_from_a_suite_in_a_folder_of_the_repository(branch: Path) -> None:
    (branch / ACTIONS).write_text(replaced(WORKFLOW, "none", "none --perf-tolerance 0.5"))

    assert moved_bar(branch / "perf_tests", git(branch, "rev-parse", "HEAD"), "baselines") == [ACTIONS]


@pytest.mark.untimed
def test_a_plain_run_tells_it_too_since_the_default_branch(suite: Suite) -> None:
    suite.write(CASES)
    begin(suite.path)
    git(suite.path, "branch", "-M", "main")
    git(suite.path, "checkout", "-q", "-b", "feature")
    unmoved = suite.run()
    suite.write(replaced(CASES, "0.03", "0.5"))
    commit(suite.path)

    moved = suite.run()

    assert "moves its own bar" not in unmoved.stdout.str()
    moved.stdout.fnmatch_lines([f"This change moves its own bar: {HERE}"])
