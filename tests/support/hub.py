"""A small Hugging Face Hub on localhost, with faults on request: as much of it as ``huggingface_hub`` asks for.

What is served, and with which headers, follows the client (``HfApi.repo_info``, ``hf_hub_download``) and the hub's own
description of them: https://huggingface.co/docs/hub/api.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGE = (".safetensors", ".gguf", ".parquet", ".bin")
STALL_S = 5.0
ABOUT = re.compile(r"/api/(models|datasets)/([\w.-]+/[\w.-]+)(?:/revision/([\w.-]+))?")
FILE = re.compile(r"/(datasets/)?([\w.-]+/[\w.-]+)/resolve/([\w.-]+)/(.+)")


@dataclass
class Repo:
    """A repository: its files by commit, the latest commit last."""

    commits: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    gated: bool = False

    def at(self, revision: str | None) -> str | None:
        """The commit of a revision, or ``None``."""
        if revision in (None, "main"):
            return list(self.commits)[-1]
        return revision if revision in self.commits else None


class Hub:
    """The hub's contents, its faults, and the requests that it got.

    Attributes:
        faults: by name of a file, or ``api``: ``missing``, ``tampered``, ``cut`` (it ends in the middle, always),
            ``cut once``, or ``stall`` (no answer comes).
        requests: method and path of each, in order.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.faults: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []
        self.closing = threading.Event()
        self.url = ""

    def add(self, name: str, files: Mapping[str, bytes | str], kind: str = "models") -> str:
        """Put a commit on top of a repository; returns it."""
        contents = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
        digest = hashlib.sha1(name.encode())
        for path, data in contents.items():
            digest.update(path.encode() + data)
        self.repos.setdefault(f"{kind}/{name}", Repo()).commits[digest.hexdigest()] = contents
        return digest.hexdigest()

    def fetched(self) -> list[str]:
        """The names of all files whose contents were requested."""
        found = [FILE.fullmatch(path) for method, path in self.requests if method == "GET"]
        return [match[4] for match in found if match]


def serving(hub: Hub) -> type[BaseHTTPRequestHandler]:
    """The handler of a hub's requests."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def log_message(self, *_: Any) -> None:
            pass

        def answer(self) -> None:
            path = self.path.partition("?")[0]
            hub.requests.append((self.command, path))
            if match := ABOUT.fullmatch(path):
                self.about(f"{match[1]}/{match[2]}", match[3])
            elif match := FILE.fullmatch(path):
                kind = "datasets" if match[1] else "models"
                self.file(f"{kind}/{match[2]}", match[3], match[4])
            elif path.startswith("/storage/"):
                self.storage(path.removeprefix("/storage/"))
            else:
                self.reply(404)

        def repo(self, name: str, revision: str | None) -> tuple[Repo, str] | None:
            """The repository at a commit; ``None`` if the answer was already given."""
            repo = hub.repos.get(name)
            if repo is None:
                return self.reply(401, {"X-Error-Code": "RepoNotFound"})
            if repo.gated:
                return self.reply(403, {"X-Error-Code": "GatedRepo"})
            commit = repo.at(revision)
            if commit is None:
                return self.reply(404, {"X-Error-Code": "RevisionNotFound"})
            return repo, commit

        def about(self, name: str, revision: str | None) -> None:
            if hub.faults.get("api") == "stall":
                hub.closing.wait(STALL_S)
                return
            if (found := self.repo(name, revision)) is None:
                return
            repo, commit = found
            siblings = [describe(path, data) for path, data in repo.commits[commit].items()]
            about = {"id": name.partition("/")[2], "sha": commit, "siblings": siblings}
            self.reply(200, {"Content-Type": "application/json"}, json.dumps(about).encode())

        def file(self, name: str, revision: str, path: str) -> None:
            if (found := self.repo(name, revision)) is None:
                return
            repo, commit = found
            data = repo.commits[commit].get(path)
            headers = {"X-Repo-Commit": commit}
            if data is None or hub.faults.get(path) == "missing":
                return self.reply(404, headers | {"X-Error-Code": "EntryNotFound"})
            if path.endswith(LARGE):
                # Large files are at another host, as far as the client can see.
                place = hub.url.replace("127.0.0.1", "localhost")
                headers["Location"] = f"{place}/storage/{name}/{commit}/{path}"
                headers |= {"X-Linked-Etag": f'"{sha256(data)}"', "X-Linked-Size": str(len(data))}
                return self.reply(302, headers)
            return self.contents(path, data, headers | {"ETag": f'"{git_sum(data)}"'})

        def storage(self, place: str) -> None:
            kind, owner, name, commit, path = place.split("/", 4)
            self.contents(path, hub.repos[f"{kind}/{owner}/{name}"].commits[commit][path], {})

        def contents(self, path: str, data: bytes, headers: dict[str, str]) -> None:
            fault = hub.faults.get(path, "")
            if fault == "tampered" and self.command == "GET":
                data = bytes(len(data))
            begin = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").partition("-")[0])
            if begin:
                headers = headers | {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"}
            end = len(data) // 2 if fault.startswith("cut") and self.command == "GET" else len(data)
            if fault == "cut once" and self.command == "GET":
                del hub.faults[path]
            headers = headers | {"Content-Length": str(len(data) - begin)}
            self.reply(206 if begin else 200, headers, data[begin:end])
            self.close_connection = end < len(data)

        def reply(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | dict(headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    return Handler


def describe(path: str, data: bytes) -> dict[str, Any]:
    """A file as the hub lists it."""
    entry = {"rfilename": path, "size": len(data), "blobId": git_sum(data)}
    large = {"sha256": sha256(data), "size": len(data), "pointerSize": 128}
    return entry | ({"lfs": large} if path.endswith(LARGE) else {})


def sha256(data: bytes) -> str:
    """The sum of a large file."""
    return hashlib.sha256(data).hexdigest()


def git_sum(data: bytes) -> str:
    """The sum of a small file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that answers until the end of the block."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), serving(hub))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
