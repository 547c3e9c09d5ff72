"""GitLab: finds merge requests by the variables of the pipeline."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from perfgate.remote.forges.forge import Change, Client, NothingToSay, moving_bar, understood
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import positive

NAME = "GitLab"
API = "https://gitlab.com/api/v4"
# The target project of the merge request. For a merge request from a fork, CI_PROJECT_ID may be the fork's.
PROJECT, SOURCE = "CI_MERGE_REQUEST_PROJECT_ID", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID"
NEEDED = (PROJECT, "CI_MERGE_REQUEST_IID")


class GitLab:
    """Merge requests of one project.

    Args:
        client: the client of the API.
        environment: the variables of the pipeline.

    Raises:
        UserError: a variable is missing, or the merge request has no number.
    """

    def __init__(self, client: Client, environment: Mapping[str, str]) -> None:
        self._client = client
        self._project = f"projects/{quote(environment[PROJECT], safe='')}"
        self._number = int(positive("CI_MERGE_REQUEST_IID", environment["CI_MERGE_REQUEST_IID"], whole=True))
        # A pipeline for merged results runs on a commit of its own.
        self._commit = environment.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or environment.get("CI_COMMIT_SHA", "")

    @understood(NAME)
    def change(self) -> Change:
        """The merge request of the pipeline, if it is open and still has this commit."""
        found = self._client.ask("GET", f"{self._project}/merge_requests/{self._number}")
        if found.get("state") != "opened" or found.get("sha") != self._commit:
            raise NothingToSay(
                f"nothing was posted: merge request {self._number} is not open, or its head is no longer "
                f"{self._commit[:10]} that was measured"
            )
        return Change(self._number, self._commit)

    @understood(NAME)
    def moves_bar(self, change: Change, baselines: str) -> list[str]:
        """Files below the baselines, and files in which a line with a tolerance changed."""
        files = self._client.pages(f"{self._project}/merge_requests/{change.number}/diffs")
        return moving_bar(((file["new_path"], file.get("diff")) for file in files), baselines)

    @understood(NAME)
    def publish(self, change: Change, text: str, marker: str) -> str:
        """Update our own note; notes of other users with the same beginning stay as they are."""
        notes = f"{self._project}/merge_requests/{change.number}/notes"
        me = self._client.ask("GET", "user")["username"]
        for note in self._client.pages(notes):
            if str(note.get("body") or "").startswith(marker) and note["author"]["username"] == me:
                self._client.ask("PUT", f"{notes}/{int(note['id'])}", json={"body": text})
                return f"Updated note {note['id']} of merge request {change.number}"
        made = self._client.ask("POST", notes, json={"body": text})
        return f"Posted note {made['id']} on merge request {change.number}"

    def download(self, artifact: str, folder: Path) -> Path:
        """Refuse: a later job of a pipeline already has the artifacts of earlier ones.

        Raises:
            UserError: always.
        """
        raise UserError("on GitLab a job has the artifacts of earlier jobs; name the run file in place of --artifact")


def client(environment: Mapping[str, str]) -> Client:
    """A client of the API, from the pipeline's environment variables.

    Raises:
        UserError: there is no token.
    """
    token = environment.get("GITLAB_TOKEN", "")
    if not token:
        raise UserError("GITLAB_TOKEN is not set; give the pipeline a project access token of that name")
    return Client(environment.get("CI_API_V4_URL", API), {"PRIVATE-TOKEN": token})


def gitlab(environment: Mapping[str, str]) -> GitLab:
    """The forge, from the pipeline's environment variables.

    Raises:
        NothingToSay: the merge request comes from a fork, whose pipelines have no token.
        UserError: a variable is missing.
    """
    forked = environment.get(SOURCE) != environment.get(PROJECT)
    if forked and not environment.get("GITLAB_TOKEN"):
        raise NothingToSay(
            "nothing was posted: the merge request comes from a fork, whose pipelines have no GITLAB_TOKEN; the log of "
            "the job that measured tells the result"
        )
    asked = client(environment)
    for name in NEEDED:
        if not environment.get(name):
            raise UserError(f"{name} is not set; run this in a pipeline for merge requests")
    return GitLab(asked, environment)
