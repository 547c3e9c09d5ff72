"""Ids of the Hugging Face Hub as users write them: a repository and the commit that pins it."""

import re

from perfgate.shared.errors import UserError
from perfgate.workloads.models import hub

REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
COMMIT = re.compile(r"[0-9a-f]{40}")


def is_id(text: str) -> bool:
    """Whether a text has the form of a repository's name, with or without a commit."""
    return bool(REPO.fullmatch(text.partition("@")[0]))


def read_pin(text: str, repo_type: str = "model") -> tuple[str, str, str]:
    """Read ``org/name@COMMIT``, or ``org/name@COMMIT/path/of/a/file``.

    Args:
        text: the id as the user wrote it.
        repo_type: ``model`` or ``dataset``.

    Returns:
        The repository, the commit, and the path, which may be empty.

    Raises:
        UserError: the text does not have this form; if only the commit is missing, the message names the current one.
    """
    repo, _, rest = text.partition("@")
    revision, _, path = rest.partition("/")
    if not REPO.fullmatch(repo):
        raise UserError(f"{hub.KINDS[repo_type]} {text!r} is not an id of the hub; write org/name@COMMIT")
    if not COMMIT.fullmatch(revision):
        raise UserError(f"{hub.KINDS[repo_type]} {repo!r} {unpinned(repo, revision, path, repo_type)}")
    return repo, revision, path


def unpinned(repo: str, revision: str, path: str, repo_type: str) -> str:
    """Say how to pin a repository: with its current commit, if the hub can be asked."""
    form = f"{repo}@COMMIT" + (f"/{path}" if path else "")
    what = "is not a folder, and as an id of the hub it has no commit" if repo_type == "model" else "has no commit"
    what = f"is not pinned, because {revision!r} can move" if revision else what
    commit = hub.head_of(repo, repo_type, revision)
    if commit is None:
        return f"{what}; write {form} with the 40 digits of a commit, which the hub lists under 'History'"
    return f"{what}; write {form.replace('COMMIT', commit)}, its current commit"
