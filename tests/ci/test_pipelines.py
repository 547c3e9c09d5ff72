"""The templates for GitLab, Buildkite and Slurm: their commands run in a fresh clone, with each system's variables."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forge import Forge, serving
from tests.support.layers import CHANGES, changed, make
from tests.support.pipelines import buildkite, gitlab, run, scripts

pytestmark = [pytest.mark.slice, pytest.mark.untimed]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the scripts of Buildkite and Slurm in place."""
    return make(tmp_path_factory.mktemp("example"), scripts())


@pytest.fixture
def forge() -> Iterator[Forge]:
    """A server that speaks GitLab's API."""
    with serving(Forge()) as server:
        yield server


@pytest.mark.parametrize("change", CHANGES)
def test_gitlab_measures_a_merge_request_and_comments(example: Path, tmp_path: Path, forge: Forge, change: str) -> None:
    clone = changed(example, tmp_path / "clone", change)

    measured, commented = gitlab(clone, forge)

    assert (measured.returncode == 0) == (change == "refactored"), measured.stdout
    assert (clone / "perf_output" / "junit.xml").is_file()
    assert commented.returncode == 0, commented.stdout
    assert len(forge.comments) == 1
    assert "https://gitlab.example.org/owner/models/-/pipelines/8" in forge.comments[0]["body"]
    assert ("Nothing got worse" in forge.comments[0]["body"].split("<details>")[0]) != (change == "slower")


@pytest.mark.parametrize("change", CHANGES)
def test_buildkite_puts_shards_together_and_annotates(example: Path, tmp_path: Path, change: str) -> None:
    clone = changed(example, tmp_path / "clone", change)

    shards, verdict = buildkite(clone, tmp_path)

    store = tmp_path / "store"
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
