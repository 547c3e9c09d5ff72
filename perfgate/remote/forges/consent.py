"""Decides whether the trailers of a branch count: those of a fork only after someone of the repository agreed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from perfgate.shared.parsing import load_json

LABEL = "perf-accepted"
DIGITS = 16  # digits of a commit's hash in a label, too many to match another commit by chance
GITLAB = ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "CI_MERGE_REQUEST_PROJECT_ID")
BUILDKITE = ("BUILDKITE_PULL_REQUEST_REPO", "BUILDKITE_REPO")
FORK = "the commit comes from a fork, so it only proposes"


def objection(environment: Mapping[str, str]) -> str:
    """The reason why trailers of this branch accept nothing yet, as a clause; empty if they count.

    A fork's trailers count for one commit only, because a newer commit may accept more: on GitHub in the run that
    setting the label starts, elsewhere if the label names the commit.

    Args:
        environment: the environment of the CI job; outside of GitHub, GitLab and Buildkite trailers always count.
    """
    if path := environment.get("GITHUB_EVENT_PATH"):
        return of_github(path)
    if environment.get("CI_MERGE_REQUEST_IID") or any(environment.get(name) for name in GITLAB):
        source, target = (environment.get(name) for name in GITLAB)
        head = environment.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or environment.get("CI_COMMIT_SHA", "")
        return "" if source and source == target else unlabelled(head, environment.get("CI_MERGE_REQUEST_LABELS", ""))
    if environment.get("BUILDKITE_PULL_REQUEST", "false") != "false":
        source, target = (place(environment.get(name, "")) for name in BUILDKITE)
        head, labels = (environment.get(f"BUILDKITE_{name}", "") for name in ("COMMIT", "PULL_REQUEST_LABELS"))
        return "" if source and source == target else unlabelled(head, labels)
    return ""


def of_github(path: str) -> str:
    """The objection under an event of GitHub; empty if trailers count.

    A merge queue's event names no pull request. Trailers count there, because someone with write access queued the
    change.

    Args:
        path: the file with the event.
    """
    try:
        event = mapping(load_json(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return "the event of the workflow cannot be read, so nobody knows whether the commit comes from a fork"
    pull = mapping(event.get("pull_request"))
    if not pull:
        return ""
    head, base = (mapping(mapping(pull.get(side)).get("repo")).get("full_name") for side in ("head", "base"))
    if head and head == base:
        return ""
    if event.get("action") == "labeled" and mapping(event.get("label")).get("name") == LABEL:
        return ""
    return f"{FORK}; whoever may set labels accepts it by setting {LABEL}"


def unlabelled(commit: str, labels: str) -> str:
    """The objection to a fork's commit without a label that names it; empty if there is such a label.

    Labels stay when somebody pushes, so a label without a commit would accept code that nobody has seen.

    Args:
        commit: the head of the fork's branch.
        labels: the change's labels, separated by commas.
    """
    label = f"{LABEL}::{commit[:DIGITS]}"
    if len(commit) >= DIGITS and label in (one.strip() for one in labels.split(",")):
        return ""
    return f"{FORK}; whoever may set labels accepts it by setting {label} and starting another run"


def place(url: str) -> str:
    """The host and path of a repository's URL, which are the same for every protocol.

    Args:
        url: like ``https://host/owner/name.git`` or ``git@host:owner/name``.
    """
    if "://" in url:
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path
    else:
        host, _, path = url.rpartition("@")[2].partition(":")
    return f"{host}/{path.strip('/').removesuffix('.git')}".lower() if path else ""


def mapping(found: object) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty mapping."""
    return found if isinstance(found, Mapping) else {}
