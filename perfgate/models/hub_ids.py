"""Ids of the Hugging Face Hub as people write them: a repository and the commit that pins it."""

import re

from perfgate.models import hub
from perfgate.shared.errors import UserError

REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
COMMIT = re.compile(r"[0-9a-f]{40}")


def is_id(text: str) -> bool:
    """Whether a text may name a repository of the hub, pinned or not."""
    return bool(REPO.fullmatch(text.partition("@")[0]))


def read_pin(text: str, repo_type: str = "model") -> tuple[str, str, str]:
    """Read ``org/name@COMMIT``, or ``org/name@COMMIT/path/of/a/file``.

    Args:
        text: as a user wrote it.
        repo_type: ``model`` or ``dataset``.

    Returns:
        The repository, the commit, and the path, which may be empty.

    Raises:
        UserError: it is not of that form; where only the commit is missing, the one that it is at now is named.
    """
    repo, _, rest = text.partition("@")
    revision, _, path = rest.partition("/")
    if not REPO.fullmatch(repo):
        raise UserError(f"{hub.KINDS[repo_type]} {text!r} is no hub id; write org/name@COMMIT")
    if not COMMIT.fullmatch(revision):
        raise UserError(f"{hub.KINDS[repo_type]} {repo!r} {unpinned(repo, revision, path, repo_type)}")
    return repo, revision, path


def unpinned(repo: str, revision: str, path: str, repo_type: str) -> str:
    """How to pin a repository: by the commit that it is at now, if the hub tells."""
    form = f"{repo}@COMMIT" + (f"/{path}" if path else "")
    what = "is no folder, and as an id of the hub it is not pinned" if repo_type == "model" else "is not pinned"
    what = f"is not pinned by {revision!r}, which may move" if revision else what
    commit = hub.head_of(repo, repo_type, revision)
    if commit is None:
        return f"{what}; write {form} with the 40 digits of a commit, as the hub lists them under 'History'"
    return f"{what}; write {form.replace('COMMIT', commit)}, where it is now"
