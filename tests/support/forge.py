"""A server on this machine with the part of GitHub's and GitLab's APIs that a comment needs."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

SHA = "c0ffee" * 6 + "abcd"
FORK, REPOSITORY = "stranger/models", "owner/models"
BOT = "github-actions[bot]"


class Forge:
    """The server's data, and the data written to it.

    Attributes:
        pulls: open pull requests.
        files: the files of the pull request, with their patches.
        comments: the comments on pull requests, by number.
        artifact: the zip archive that is downloaded.
        issues: the issues of the repository, in a form that both APIs share.
    """

    def __init__(self) -> None:
        self.pulls: list[dict[str, Any]] = [pull(7)]
        self.files: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.artifact = b""
        self.issues: list[dict[str, Any]] = []
        self.merge_request = {"state": "opened", "sha": SHA}
        self.asked: list[str] = []
        self.url = ""

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
        """The answer as JSON or bytes; ``None`` for an unknown path."""
        self.asked.append(f"{method} {path}")
        repository, project = f"/repos/{REPOSITORY}", "/projects/5/merge_requests/3"
        first = query.get("page", ["1"]) == ["1"]
        if path == f"{repository}/pulls":
            owner, _, branch = query["head"][0].partition(":")
            of = [
                p for p in self.pulls if p["head"]["ref"] == branch and p["head"]["repo"]["full_name"].startswith(owner)
            ]
            return of if first else []
        if path == f"{repository}/pulls/7/files":
            return self.files if first else []
        if path == f"{project}/diffs":
            return [{"new_path": f["filename"], "diff": f.get("patch", "")} for f in self.files] if first else []
        if path == project:
            return self.merge_request
        if path == "/user":
            return {"username": BOT}
        if path in (f"{repository}/issues/7/comments", f"{project}/notes"):
            if method == "GET":
                return self.comments if first else []
            self.comments.append(written(len(self.comments) + 1, BOT, body["body"]))
            return self.comments[-1]
        if path in (f"{repository}/issues", "/projects/5/issues"):
            if method == "GET":
                return self.issues if first else []
            text = body.get("body") or body["description"]
            made = written(len(self.issues) + 1, BOT, text) | {"description": text, "web_url": "#1"}
            self.issues.append(made | {"title": body["title"]})
            return self.issues[-1]
        for place in (f"{repository}/issues/comments/", f"{project}/notes/"):
            if path.startswith(place):
                found = next(c for c in self.comments if c["id"] == int(path.removeprefix(place)))
                found["body"] = body["body"]
                return found
        if path == f"{repository}/actions/runs/99/artifacts":
            return {"artifacts": [{"id": 4, "name": query["name"][0]}]}
        return self.artifact if path == f"{repository}/actions/artifacts/4/zip" else None


def pull(number: int, sha: str = SHA, repository: str = FORK) -> dict[str, Any]:
    """An open pull request of a fork."""
    return {"number": number, "head": {"sha": sha, "ref": "faster", "repo": {"full_name": repository}}}


def written(number: int, login: str, body: str) -> dict[str, Any]:
    """A comment, in a form that both APIs share."""
    return {
        "id": number,
        "body": body,
        "user": {"login": login},
        "author": {"username": login},
        "html_url": f"#{number}",
    }


def event(path: Path) -> Path:
    """The event of a workflow after one of a fork: its list of pull requests is empty."""
    run = {"id": 99, "head_sha": SHA, "head_branch": "faster", "head_repository": {"full_name": FORK}}
    told = {"workflow_run": {**run, "pull_requests": []}, "repository": {"full_name": REPOSITORY}}
    path.write_text(json.dumps(told))
    return path


@contextmanager
def serving(forge: Forge) -> Iterator[Forge]:
    """The server, within the block."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            asked = urlparse(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            found = forge.answer(self.command, asked.path, parse_qs(asked.query), body)
            data = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    forge.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
