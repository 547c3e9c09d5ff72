"""Whose trailers hold: those of a fork's commits only propose, until someone of the repository agrees."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfgate.shared.parsing import load_json

LABEL = "perf-accepted"


def objection(environment: Mapping[str, str]) -> str:
    """Why trailers of this branch accept nothing yet, as a clause; empty where they hold.

    Those of a fork hold in the run that the label itself started, and in no later one: a newer push may accept more.
    GitHub lets those set a label who have the role triage or a higher one.

    Args:
        environment: of the workflow; trailers hold where it is none of GitHub's.
    """
    event = read(environment.get("GITHUB_EVENT_PATH", ""))
    pull = mapping(event.get("pull_request"))
    if not pull:
        return ""
    head, base = (mapping(mapping(pull.get(side)).get("repo")).get("full_name") for side in ("head", "base"))
    if head and head == base:
        return ""
    if event.get("action") == "labeled" and mapping(event.get("label")).get("name") == LABEL:
        return ""
    return f"the commit comes from a fork, so it only proposes; whoever may set labels accepts it by setting {LABEL}"


def read(path: str) -> Mapping[str, Any]:
    """The event of the workflow; empty where there is none."""
    try:
        return mapping(load_json(Path(path).read_text(encoding="utf-8"))) if path else {}
    except (OSError, ValueError):
        return {}


def mapping(found: object) -> Mapping[str, Any]:
    """What was read, if it has the right shape."""
    return found if isinstance(found, Mapping) else {}
