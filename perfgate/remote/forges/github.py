"""GitHub: finds pull requests by the event of the workflow that measured them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfgate.remote.forges.forge import Change, Client, NothingToSay, moving_bar, understood
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import load_json

NAME = "GitHub"
API = "https://api.github.com"
BOT = "github-actions[bot]"
VERSION = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class GitHub:
    """Pull requests of one repository.

    Args:
        client: the client of the API.
        event: the workflow's event: ``workflow_run``, or ``pull_request`` for a branch of the repository itself.
        login: the user who writes the comments.

    Raises:
        UserError: it is another event.
    """

    def __init__(self, client: Client, event: Mapping[str, Any], login: str) -> None:
        self._client, self._login = client, login
        try:
            run, pull = event.get("workflow_run"), event.get("pull_request") or {}
            self._repository = str(event["repository"]["full_name"])
            if run:
                self._head, self._branch = str(run["head_repository"]["full_name"]), str(run["head_branch"])
                self._commit, self._run = str(run["head_sha"]), int(run["id"])
            else:
                self._head, self._branch = str(pull["head"]["repo"]["full_name"]), str(pull["head"]["ref"])
                self._commit, self._run = str(pull["head"]["sha"]), 0
        except (AttributeError, KeyError, TypeError, ValueError):
            raise UserError("the event names no head; run this in a workflow on workflow_run or pull_request") from None

    @understood(NAME)
    def change(self) -> Change:
        """The one open pull request with exactly this head. The API is asked, because events of forks name none."""
        owner = self._head.partition("/")[0]
        found = [
            pull
            for pull in self._client.pages(
                f"repos/{self._repository}/pulls", state="open", head=f"{owner}:{self._branch}"
            )
            if pull["head"]["sha"] == self._commit and (pull["head"]["repo"] or {}).get("full_name") == self._head
        ]
        if len(found) != 1:
            many = "no open pull request has" if not found else f"{len(found)} open pull requests have"
            raise NothingToSay(f"nothing was posted: {many} the head {self._commit[:10]} that was measured")
        return Change(int(found[0]["number"]), self._commit)

    @understood(NAME)
    def moves_bar(self, change: Change, baselines: str) -> list[str]:
        """Files below the baselines, and files in which a line with a tolerance changed."""
        files = self._client.pages(f"repos/{self._repository}/pulls/{change.number}/files")
        return moving_bar(((file["filename"], file.get("patch")) for file in files), baselines)

    @understood(NAME)
    def publish(self, change: Change, text: str, marker: str) -> str:
        """Update our own comment; comments of other users with the same beginning stay as they are."""
        issue = f"repos/{self._repository}/issues/{change.number}/comments"
        for comment in self._client.pages(issue):
            if str(comment.get("body") or "").startswith(marker) and comment["user"]["login"] == self._login:
                path = f"repos/{self._repository}/issues/comments/{int(comment['id'])}"
                return f"Updated {self._client.ask('PATCH', path, json={'body': text})['html_url']}"
        return f"Posted {self._client.ask('POST', issue, json={'body': text})['html_url']}"

    @understood(NAME)
    def download(self, artifact: str, folder: Path) -> Path:
        """Download the artifact of this name from the run that the event names."""
        path = f"repos/{self._repository}/actions/runs/{self._run}/artifacts"
        found = self._client.ask("GET", path, params={"name": artifact, "per_page": 100})["artifacts"]
        if len(found) != 1:
            raise UserError(f"the run that measured has {len(found)} artifacts of the name asked for, not one")
        where = f"repos/{self._repository}/actions/artifacts/{int(found[0]['id'])}/zip"
        return self._client.save(where, folder / "artifact.zip")


def client(environment: Mapping[str, str]) -> Client:
    """A client of the API, from the workflow's environment variables.

    Raises:
        UserError: there is no token.
    """
    token = environment.get("GITHUB_TOKEN", "")
    if not token:
        raise UserError("GITHUB_TOKEN is not set; give the step: env: {GITHUB_TOKEN: '${{ github.token }}'}")
    return Client(environment.get("GITHUB_API_URL", API), {**VERSION, "Authorization": f"Bearer {token}"})


def github(environment: Mapping[str, str], event: Path, login: str) -> GitHub:
    """The forge, from the workflow's environment variables.

    Raises:
        UserError: a variable or the event is missing.
    """
    asked = client(environment)
    try:
        told = load_json(event.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(f"{event}: the event of the workflow cannot be read") from None
    return GitHub(asked, told, login or BOT)
