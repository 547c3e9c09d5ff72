"""The templates of GitLab and Buildkite, run in a clone as the systems would run them, with their variables."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from tests import ROOT
from tests.support.forge import Forge
from tests.support.layers import SHELL
from tests.support.repositories import git
from tests.support.workflow import shell

TEMPLATES = ROOT / "ci" / "templates"
Done = subprocess.CompletedProcess[str]

# What takes the place of Buildkite's agent: artifacts lie in a folder, and the annotation becomes a file there.
AGENT = """#!/usr/bin/env bash
set -eu
case "$1 $2" in
    "artifact download") mkdir -p "$4"; cp -r "$STORE"/artifacts/. "$4" ;;
    "annotate --context") echo "$*" > "$STORE/annotated"; cat > "$STORE/annotation.md" ;;
    *) echo "no test knows how to replace $*" >&2; exit 1 ;;
esac
"""


def exact(script: Path) -> str:
    """A script whose cases measure on a GPU, changed to run them dry."""
    text = script.read_text()
    assert text.count("--perf-device cuda") == 1
    return text.replace("--perf-device cuda", "--perf-device none")


def scripts() -> dict[str, str]:
    """The files of a repository that has the scripts of Buildkite and Slurm in place."""
    return {
        ".buildkite/perf-shard": exact(TEMPLATES / "buildkite-shard.sh"),
        ".buildkite/perf-verdict": (TEMPLATES / "buildkite-verdict.sh").read_text(),
        "array.sh": exact(TEMPLATES / "slurm.sh"),
    }


def run(lines: Sequence[str], folder: Path, more: Mapping[str, str]) -> Done:
    """Run a job's commands as one script."""
    return shell("\n".join(lines), folder, SHELL | dict(more))


def gitlab(clone: Path, forge: Forge) -> tuple[Done, Done]:
    """Run both jobs of a merge request: the one that measures, and the one that comments."""
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
    return run(jobs["exact metrics"]["script"], clone, told), run(jobs["comment"]["script"], clone, told)


def buildkite(clone: Path, folder: Path) -> tuple[list[Done], Done]:
    """Run a build of two shards, and its verdict.

    Args:
        clone: of the repository.
        folder: that gets ``store``, with the artifacts, ``annotated`` and ``annotation.md``.
    """
    store, tools = folder / "store", folder / "tools"
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
    return shards, run(["bash .buildkite/perf-verdict"], clone, told)
