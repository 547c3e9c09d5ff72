"""GitHub's workflows for a GPU, each night and comments: their steps run as the runner would, but without a GPU."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import ROOT
from tests.cli.test_comment import verdict, zipped
from tests.support.forge import REPOSITORY, SHA, Forge, event, serving
from tests.support.layers import CASES, SHELL, changed, make
from tests.support.repositories import git
from tests.support.runs import CASE, launch_line, perfgate, write_run
from tests.support.workflow import Ran, run_job

pytestmark = [pytest.mark.slice, pytest.mark.untimed]
TEMPLATES = ROOT / "ci" / "templates"
BASE = "github.event.merge_group.base_sha || 'HEAD^1'"
ACTIONS = {"CI": "true", "GITHUB_ACTIONS": "true"}


def run(folder: Path, template: str, values: Mapping[str, str], told: Mapping[str, str], job: str = "") -> Ran:
    """Run a job of a template in a checkout, dry where it measures on a GPU."""
    text = (TEMPLATES / f"github-actions-{template}.yml").read_text()
    assert text.count("--perf-device cuda") == (template != "comment")
    path = folder.parent / f"{template}.yml"
    path.write_text(text.replace("--perf-device cuda", "--perf-device none"))
    return run_job(path, folder, values, SHELL | ACTIONS | dict(told), job)


@pytest.fixture
def forge() -> Iterator[Forge]:
    """A server that speaks GitHub's API."""
    with serving(Forge()) as server:
        yield server


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A repository with one case that names a history, and ignores the environment that the workflows make."""
    options = "addopts = -p no:benchmark -p no:randomly\nperf_env = installed"
    ini = f"[pytest]\n{options}\nperf_history = {tmp_path / 'history'}\n"
    ignored = "perf_output/\n__pycache__/\n.venv\n"
    (tmp_path / "example").mkdir()
    one = CASES.partition("\n\n\ndef test_single")[0] + "\n"
    return make(tmp_path / "example", {"pytest.ini": ini, ".gitignore": ignored, "perf_tests/test_layers.py": one})


def test_a_group_of_the_merge_queue_is_held_against_its_base(example: Path, tmp_path: Path) -> None:
    """Two commits beyond the base: the parent of the second one has the slowdown already."""
    clone = changed(example, tmp_path / "clone", "slower")
    base = git(clone, "rev-parse", "main")
    git(clone, "commit", "-q", "--allow-empty", "-m", "another pull request of the group")
    told = tmp_path / "event.json"
    group = {"base_sha": base, "head_sha": git(clone, "rev-parse", "HEAD")}
    told.write_text(json.dumps({"action": "checks_requested", "merge_group": group}))

    ran = run(clone, "gpu", {BASE: base}, {"GITHUB_EVENT_NAME": "merge_group", "GITHUB_EVENT_PATH": str(told)})

    assert ran.used == ["actions/checkout", "actions/upload-artifact"]
    assert ran.failed.startswith(".venv/bin/python -m pytest"), ran.output
    assert "+20.0%" in ran.output
    assert list((clone / "perf_output").glob("*.jsonl"))


def test_each_night_is_kept_and_a_change_gets_one_issue(example: Path, tmp_path: Path, forge: Forge) -> None:
    told = {
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_API_URL": forge.url,
    }
    earlier_nights(tmp_path)

    night = run(example, "nightly", {"github.token": "secret"}, told, "history")
    (example / ".venv").unlink()  # the next job is another checkout
    issues = run(example, "nightly", {"github.token": "secret"}, told, "issues")

    assert not night.failed, night.output
    assert night.used == ["actions/checkout", "actions/upload-artifact"]
    kept = json.loads(perfgate("history", "changes", "--from", tmp_path / "history", "--json").stdout)["machines"]
    assert [one["runs"] for one in kept] == [20, 1]
    assert CASE in (tmp_path / "summary.md").read_text()
    assert not issues.failed, issues.output
    (issue,) = forge.issues
    assert CASE in issue["title"]


def earlier_nights(folder: Path) -> None:
    """Put 20 nights of another machine into the history; a week ago a case began to call more operators."""
    today, runs = datetime.now(UTC), []
    for ago in range(20, 0, -1):
        lines = [launch_line(CASE, metrics={"operator_calls": 100 if ago > 7 else 105})]
        about = {"created": (today - timedelta(days=ago)).isoformat(timespec="seconds"), "commit": f"{ago:02d}" * 20}
        runs.append(write_run(folder / f"{ago}.jsonl", lines, run_id=f"night-{ago:02d}", **about))
    assert perfgate("history", "add", *runs, "--to", folder / "history").returncode == 0


def test_the_comment_is_posted_by_the_second_workflow(tmp_path: Path, forge: Forge) -> None:
    forge.artifact = zipped(tmp_path, [verdict()])
    link = "https://github.com/owner/models/actions/runs/99"
    told = {"GITHUB_EVENT_PATH": str(event(tmp_path / "event.json")), "GITHUB_API_URL": forge.url}
    folder = tmp_path / "empty"  # nothing is checked out
    folder.mkdir()

    ran = run(folder, "comment", {"github.token": "secret", "github.event.workflow_run.html_url": link}, told)

    assert not ran.failed, ran.output
    assert ran.used == ["actions/setup-python"]
    (comment,) = forge.comments
    assert link in comment["body"]
    assert SHA[:10] in comment["body"]
    assert list(folder.iterdir()) == []
