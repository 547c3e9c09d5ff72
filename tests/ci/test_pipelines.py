"""The templates for GitLab, Buildkite and Slurm: their commands run in a fresh clone, with each system's variables."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from tests import ROOT
from tests.support.forge import Forge, serving
from tests.support.layers import CHANGES, SHELL, changed, make
from tests.support.repositories import git
from tests.support.workflow import shell

pytestmark = [pytest.mark.slice, pytest.mark.untimed]
TEMPLATES = ROOT / "ci" / "templates"

# What takes the place of Buildkite's agent: artifacts lie in a folder, and the annotation becomes a file there.
AGENT = """#!/usr/bin/env bash
set -eu
case "$1 $2" in
    "artifact download") mkdir -p "$4"; cp -r "$STORE"/artifacts/. "$4" ;;
    "annotate --context") echo "$*" > "$STORE/annotated"; cat > "$STORE/annotation.md" ;;
    *) echo "no test knows how to replace $*" >&2; exit 1 ;;
esac
"""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the scripts of Buildkite and Slurm in place."""
    files = {
        ".buildkite/perf-shard": exact(TEMPLATES / "buildkite-shard.sh"),
        ".buildkite/perf-verdict": (TEMPLATES / "buildkite-verdict.sh").read_text(),
        "array.sh": exact(TEMPLATES / "slurm.sh"),
    }
    return make(tmp_path_factory.mktemp("example"), files)


def exact(script: Path) -> str:
    """A script whose cases measure on a GPU, changed to run them dry."""
    text = script.read_text()
    assert text.count("--perf-device cuda") == 1
    return text.replace("--perf-device cuda", "--perf-device none")


@pytest.fixture
def forge() -> Iterator[Forge]:
    """A server that speaks GitLab's API."""
    with serving(Forge()) as server:
        yield server


def run(lines: Sequence[str], folder: Path, more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a job's commands as one script."""
    return shell("\n".join(lines), folder, SHELL | dict(more))


@pytest.mark.parametrize("change", CHANGES)
def test_gitlab_measures_a_merge_request_and_comments(example: Path, tmp_path: Path, forge: Forge, change: str) -> None:
    clone = changed(example, tmp_path / "clone", change)
    jobs = yaml.safe_load((TEMPLATES / "gitlab-ci.yml").read_text())
    head = git(clone, "rev-parse", "HEAD")
    forge.merge_request["sha"] = head
    told = {
        "GITLAB_CI": "true",
        "CI_API_V4_URL": forge.url,
        "GITLAB_TOKEN": "secret",
        "CI_PIPELINE_URL": "https://gitlab.example.org/owner/models/-/pipelines/8",
        "CI_COMMIT_SHA": head,
        "CI_MERGE_REQUEST_IID": "3",
        "CI_MERGE_REQUEST_PROJECT_ID": "5",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "5",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": git(clone, "rev-parse", "HEAD^1"),
        "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": "",
    }

    measured = run(jobs["exact metrics"]["script"], clone, told)
    commented = run(jobs["comment"]["script"], clone, told)

    assert (measured.returncode == 0) == (change == "refactored"), measured.stdout
    assert (clone / "perf_output" / "junit.xml").is_file()
    assert commented.returncode == 0, commented.stdout
    assert len(forge.comments) == 1
    assert told["CI_PIPELINE_URL"] in forge.comments[0]["body"]
    assert ("Nothing got worse" in forge.comments[0]["body"].split("<details>")[0]) != (change == "slower")


@pytest.mark.parametrize("change", CHANGES)
def test_buildkite_puts_shards_together_and_annotates(example: Path, tmp_path: Path, change: str) -> None:
    clone = changed(example, tmp_path / "clone", change)
    store, tools = tmp_path / "store", tmp_path / "tools"
    tools.mkdir()
    (tools / "buildkite-agent").write_text(AGENT)
    (tools / "buildkite-agent").chmod(0o755)
    told = {
        "PATH": f"{tools}:{SHELL['PATH']}",
        "STORE": str(store),
        "BUILDKITE_PARALLEL_JOB_COUNT": "2",
        "BUILDKITE_PULL_REQUEST_BASE_BRANCH": "main",
    }

    shards = [run(["bash .buildkite/perf-shard"], clone, told | {"BUILDKITE_PARALLEL_JOB": n}) for n in ("0", "1")]
    (store / "artifacts").mkdir(parents=True)
    shutil.copytree(clone / "perf_output", store / "artifacts" / "perf_output")
    verdict = run(["bash .buildkite/perf-verdict"], clone, told)

    worse = change == "slower"
    assert sorted(shard.returncode for shard in shards) == [0, int(worse)], [shard.stdout for shard in shards]
    assert verdict.returncode == int(worse), verdict.stdout
    assert (store / "annotated").read_text().split()[-1] == ("error" if worse else "success")
    assert ("Nothing got worse" in (store / "annotation.md").read_text().split("<details>")[0]) != worse
    assert (clone / "verdict" / "merged.html").is_file()


def test_buildkite_compares_a_build_of_a_branch_with_the_commit_before(example: Path, tmp_path: Path) -> None:
    clone = changed(example, tmp_path / "clone", "slower")
    told = {"BUILDKITE_PARALLEL_JOB_COUNT": "1", "BUILDKITE_PARALLEL_JOB": "0"}

    done = run(["bash .buildkite/perf-shard"], clone, told | {"BUILDKITE_PULL_REQUEST_BASE_BRANCH": ""})

    assert done.returncode == 1
    assert "+20.0%" in done.stdout


def test_an_array_of_slurm_measures_every_case_once(example: Path, tmp_path: Path) -> None:
    clone = changed(example, tmp_path / "clone", "refactored")
    told = {"SLURM_ARRAY_TASK_COUNT": "2"}

    tasks = [run(["bash array.sh"], clone, told | {"SLURM_ARRAY_TASK_ID": n}) for n in ("1", "2")]
    merged = run(["perfgate merge perf_output -o merged.jsonl"], clone, told)

    assert [task.returncode for task in tasks] == [0, 0], [task.stdout for task in tasks]
    assert merged.returncode == 0, merged.stdout
    assert "2 parts of 2 shards" in merged.stdout
