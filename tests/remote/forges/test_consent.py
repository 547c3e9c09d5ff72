"""Where a branch's trailers hold, by a CI system's variables; tests/plugin/test_accept.py runs suites under them."""

import json
from pathlib import Path
from typing import Any

import pytest

from perfgate.remote.forges.consent import objection

HEAD = "1a2b3c4d5e6f7a8b9c0d" * 2
OLD = "0" * 40
NAMED, OLDER = (f"perf-accepted::{commit[:16]}" for commit in (HEAD, OLD))
PARENT = "git@github.com:owner/models.git"


def pull(head: str | None, action: str = "synchronize", label: str = "") -> dict[str, Any]:
    """An event about a pull request."""
    sides = {side: {"repo": {"full_name": name}} for side, name in (("head", head), ("base", "owner/models"))}
    return {"action": action, "label": {"name": label}, "pull_request": sides}


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (pull("stranger/models"), "setting perf-accepted"),
        (pull("stranger/models", "labeled", "documentation"), "setting perf-accepted"),
        (pull("stranger/models", "labeled", "perf-accepted"), ""),
        (pull("stranger/models", "synchronize", "perf-accepted"), "setting perf-accepted"),
        (pull(None), "setting perf-accepted"),  # the fork is gone
        (pull("owner/models"), ""),
        ({"merge_group": {"head_sha": HEAD, "base_sha": OLD}}, ""),
        ({"ref": "refs/heads/main"}, ""),
        ("{", "cannot be read"),
    ],
)
def test_on_github(tmp_path: Path, event: Any, told: str) -> None:
    path = tmp_path / "event.json"
    path.write_text(event if isinstance(event, str) else json.dumps(event))

    why = objection({"GITHUB_EVENT_PATH": str(path)})

    assert told in why
    assert bool(why) is bool(told)


@pytest.mark.parametrize(
    ("source", "labels", "more", "told"),
    [
        ("5", "", {}, ""),
        ("9", "", {}, NAMED),
        ("", NAMED[:-1], {}, NAMED),  # the fork is gone
        ("9", "perf-accepted", {}, NAMED),
        ("9", f"slow,{OLDER}", {}, NAMED),
        ("9", f"slow,{NAMED}", {}, ""),
        ("9", f"{OLDER}, {NAMED}", {}, ""),
        ("9", NAMED, {"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": OLD}, OLDER),  # a pipeline of the merged result
        ("9", "perf-accepted::", {"CI_COMMIT_SHA": ""}, "perf-accepted::"),
    ],
)
def test_on_gitlab(source: str, labels: str, more: dict[str, str], told: str) -> None:
    variables = {
        "CI_MERGE_REQUEST_IID": "3",
        "CI_MERGE_REQUEST_PROJECT_ID": "5",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": source,
        "CI_MERGE_REQUEST_LABELS": labels,
        "CI_COMMIT_SHA": HEAD,
    }

    why = objection(variables | more)

    assert told in why
    assert bool(why) is bool(told)


@pytest.mark.parametrize(
    ("pull_request", "source", "labels", "told"),
    [
        ("false", "", "", ""),
        ("7", PARENT, "", ""),
        ("7", "git://github.com/owner/models.git", "", ""),
        ("7", "https://somebody@GitHub.com/owner/models", "", ""),
        ("7", "ssh://git@github.com:22/owner/models.git/", "", ""),
        ("7", "", "", NAMED),
        ("7", "git://github.com/stranger/models.git", "", NAMED),
        ("7", "git://example.org/owner/models.git", "", NAMED),
        ("7", "git://github.com/stranger/models.git", "perf-accepted", NAMED),
        ("7", "git://github.com/stranger/models.git", f"{NAMED},slow", ""),
    ],
)
def test_on_buildkite(pull_request: str, source: str, labels: str, told: str) -> None:
    variables = {
        "BUILDKITE_PULL_REQUEST": pull_request,
        "BUILDKITE_PULL_REQUEST_REPO": source,
        "BUILDKITE_PULL_REQUEST_LABELS": labels,
        "BUILDKITE_REPO": PARENT,
        "BUILDKITE_COMMIT": HEAD,
    }

    why = objection(variables)

    assert told in why
    assert bool(why) is bool(told)


def test_where_no_ci_system_tells_anything_they_hold() -> None:
    assert objection({"CI": "true"}) == ""
