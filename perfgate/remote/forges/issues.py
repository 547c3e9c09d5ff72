"""Issues that a program opened in a repository, found again by their label."""

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote

from perfgate.remote.forges import github, gitlab
from perfgate.remote.forges.forge import Client, understood
from perfgate.shared.errors import UserError

LABEL = "performance"


class Issues(Protocol):
    """The issues of one repository, on GitHub or GitLab."""

    def texts(self) -> list[str]:
        """The texts of all issues with the label that this login wrote, including closed ones."""
        ...

    def open(self, title: str, text: str) -> str:
        """Open an issue; returns its URL."""
        ...


class GitHubIssues:
    """Issues of a repository on GitHub.

    Args:
        client: the client of the API.
        repository: ``owner/name``.
        login: the user who opens them.
    """

    def __init__(self, client: Client, repository: str, login: str) -> None:
        self._client, self._issues, self._login = client, f"repos/{repository}/issues", login

    @understood(github.NAME)
    def texts(self) -> list[str]:
        """The texts of our own issues, open or closed; other users can set the label too, and theirs do not count."""
        found = self._client.pages(self._issues, state="all", labels=LABEL)
        return [str(one.get("body") or "") for one in found if one["user"]["login"] == self._login]

    @understood(github.NAME)
    def open(self, title: str, text: str) -> str:
        """Open an issue."""
        told = {"title": title, "body": text, "labels": [LABEL]}
        return str(self._client.ask("POST", self._issues, json=told)["html_url"])


class GitLabIssues:
    """Issues of a project on GitLab.

    Args:
        client: the client of the API.
        project: the project's number or path.
    """

    def __init__(self, client: Client, project: str) -> None:
        self._client, self._issues = client, f"projects/{quote(project, safe='')}/issues"

    @understood(gitlab.NAME)
    def texts(self) -> list[str]:
        """The texts of our own issues, open or closed."""
        me = self._client.ask("GET", "user")["username"]
        found = self._client.pages(self._issues, scope="all", labels=LABEL)
        return [str(one.get("description") or "") for one in found if one["author"]["username"] == me]

    @understood(gitlab.NAME)
    def open(self, title: str, text: str) -> str:
        """Open an issue."""
        told = {"title": title, "description": text, "labels": LABEL}
        return str(self._client.ask("POST", self._issues, json=told)["web_url"])


def issues(environment: Mapping[str, str], login: str) -> Issues:
    """The issues of the repository that the CI system's variables name.

    Args:
        environment: the variables of a GitHub workflow or a GitLab pipeline.
        login: the user who opens issues on GitHub; empty for the workflow's own token.

    Raises:
        UserError: it is neither, or has no token.
    """
    if repository := environment.get("GITHUB_REPOSITORY"):
        return GitHubIssues(github.client(environment), repository, login or github.BOT)
    if project := environment.get("CI_PROJECT_ID"):
        return GitLabIssues(gitlab.client(environment), project)
    raise UserError("this is neither a workflow of GitHub nor a pipeline of GitLab; print the issues with --dry")
