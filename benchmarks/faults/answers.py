"""Readers of the answers of other programs and services: forges, drivers, interpreters, jobs, and history files."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest.mock import patch

from perfgate.history.bisect import state
from perfgate.measure.devices import fake, rapl, smi
from perfgate.records.fetch import fetch
from perfgate.reference.interpreter import packages_of
from perfgate.remote.fleet import fleet
from perfgate.remote.fleet.shard import Shard
from perfgate.remote.forges import consent
from perfgate.remote.forges import github as github_api
from perfgate.remote.forges.forge import Client
from perfgate.remote.forges.github import GitHub
from perfgate.remote.forges.gitlab import PROJECT, GitLab
from perfgate.remote.forges.issues import GitHubIssues, GitLabIssues
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import load_json
from perfgate.system import provenance

HEAD = {"sha": "abc", "repo": {"full_name": "org/name"}, "ref": "branch"}
EVENT = {"repository": {"full_name": "org/name"}, "pull_request": {"head": HEAD, "base": HEAD}}
PIPELINE = {PROJECT: "7", "CI_MERGE_REQUEST_IID": "3", "CI_COMMIT_SHA": "abc"}
CARD = "0, GPU-1, NVIDIA H100 NVL, 95830, 400.00, Disabled, Enabled\n"
FIELDS = len(smi.wanted())
FORGE = "https://forge.example/"


@cache
def client() -> Client:
    """A client of an API; making one reads certificates, which takes longer than an answer."""
    return Client(FORGE, {})


def from_forge(ask: Callable[[Client], object]) -> Callable[[bytes], object]:
    """A reader of a forge's answers to every request; a request that writes gets the first item of a list."""

    def read(content: bytes) -> object:
        import httpx

        def answer(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, content=content if request.method == "GET" else first_of(content))

        asked = client()
        asked._http = httpx.Client(base_url=FORGE, transport=httpx.MockTransport(answer), trust_env=False)
        return ask(asked)

    return read


def first_of(content: bytes) -> bytes:
    """The first item of a list as JSON; anything else as it is."""
    try:
        found = load_json(content)
    except ValueError:
        return content
    return told(found[0]) if isinstance(found, list) and found else content


def github(asked: Client) -> GitHub:
    """Pull requests of a repository."""
    return GitHub(asked, EVENT, "bot")


def gitlab(asked: Client) -> GitLab:
    """Merge requests of a project."""
    return GitLab(asked, PIPELINE)


def event_of(folder: Path) -> object:
    """Pull requests, found by the event of a workflow."""
    with patch.object(github_api, "client", lambda environment: client()):
        return github_api.github({}, folder / "event.json", "bot")


def publish(forge: GitHub | GitLab) -> object:
    """Write a comment, or update our own."""
    return forge.publish(SimpleNamespace(number=1, commit="abc"), "text", "<!-- mark -->")  # type: ignore[arg-type]


def from_smi(ask: Callable[[smi.Smi], object]) -> Callable[[bytes], object]:
    """A reader of nvidia-smi's tables; its callers expect ``RuntimeError``."""

    def answer(content: bytes, words: tuple[str, ...]) -> str:
        known = "".join(f'"{name}"' for names in smi.wanted().values() for name in names)
        return known if words == ("--help-query-gpu",) else content.decode(errors="replace")

    def read(content: bytes) -> object:
        with patch.object(smi, "ask", lambda *words: answer(content, words)):
            try:
                return ask(smi.Smi())
            except RuntimeError as error:
                raise UserError(str(error)) from None

    return read


@contextmanager
def in_folder(name: str, content: bytes) -> Iterator[Path]:
    """A folder that holds a file with this content, while the block runs."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        yield Path(folder)


def below(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """A reader of a folder with one file, turned into a reader of bytes."""

    def from_bytes(content: bytes) -> object:
        with in_folder(name, content) as folder:
            return read(folder)

    return from_bytes


def counted(folder: Path) -> object:
    """The energy counter of processors, read twice."""
    with patch.dict(os.environ, {rapl.VARIABLE: str(folder)}):
        return rapl.energy_j(), rapl.energy_j()


def packages(folder: Path) -> object:
    """The packages of an interpreter that prints a file."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\ncat "{folder}/said"\n')
    python.chmod(0o700)
    return packages_of(str(python), "--perf-ref")


def origin(content: bytes) -> object:
    """The origin of a package by pip's file about it."""
    text = content.decode(errors="replace")
    return provenance.commit_of(SimpleNamespace(read_text=lambda name: text))  # type: ignore[arg-type]


QUESTION = {"case": "test_it"}


@cache
def bisection() -> bytes:
    """The file of a bisection that decided one step."""
    with TemporaryDirectory() as folder:
        begun = state.opened(Path(folder), QUESTION, afresh=True)
        begun.decided.append(state.Decision("abc", "good", change=0.1))
        begun.save()
        return begun.path.read_bytes()


def bisected(content: bytes) -> object:
    """A bisection that continues."""
    with TemporaryDirectory() as folder:
        path = state.opened(Path(folder), QUESTION, afresh=True).path
        path.write_bytes(content)
        return state.opened(Path(folder), QUESTION, afresh=False)


@cache
def history() -> bytes:
    """A merged file of a history, with two runs."""
    from perfgate.history.points import Point, Run
    from perfgate.history.store import Store

    with TemporaryDirectory() as folder:
        store = Store(folder)
        for day in (1, 2):
            run = Run(f"run-{day}", datetime(2026, 1, day, tzinfo=UTC), "machine", "abc", "{}")
            store.add(run, [Point("test_it", "step_time_s", 0.1, 1.5, 3, "")])
        store.compact("machine")
        (path,) = Path(folder, "machine").iterdir()
        return path.read_bytes()


def looked_at(folder: Path) -> object:
    """All series of a history."""
    from perfgate.history.series import opened
    from perfgate.history.store import Store

    with opened(Store(str(folder)), "machine") as found:
        return list(found.series())


def fetched(content: bytes) -> object:
    """Run files below a URL; only addresses within this process are used."""
    import fsspec

    text = content.decode(errors="replace")
    if "::" in text or "//" in text:
        return None
    fsspec.filesystem("memory").pipe("/night/run.jsonl", b"{}")
    with TemporaryDirectory() as folder:
        return fetch(f"memory://{text}", Path(folder) / "runs")


def told(value: object) -> bytes:
    """A value as JSON."""
    return json.dumps(value).encode()


PULL = {"number": 4, "head": HEAD, "filename": "a.py", "patch": "+tolerance", "id": 9, "html_url": "u", "body": "x"}
COMMENT = {"id": 9, "html_url": "u", "body": "<!-- mark -->", "user": {"login": "bot"}, "author": {"username": "bot"}}
MERGE = {"state": "opened", "sha": "abc", "username": "bot", "id": 9, "web_url": "u"}
PLAN = {
    "engine": "local", "shards": 2, "arguments": ["-x"], "root": "/", "settings": {}, "parallel": 1,
    "jobs": {"1": ["77"]},
}  # fmt: skip
ROWS: dict[str, tuple[Callable[[bytes], object], Callable[[], bytes]]] = {
    "pull requests of GitHub": (from_forge(lambda asked: github(asked).change()), lambda: told([PULL])),
    "files of GitHub": (
        from_forge(lambda asked: github(asked).moves_bar(SimpleNamespace(number=1), "baselines")),  # type: ignore[arg-type]
        lambda: told([PULL]),
    ),
    "comments of GitHub": (from_forge(lambda asked: publish(github(asked))), lambda: told([COMMENT])),
    "issues of GitHub": (
        from_forge(lambda asked: GitHubIssues(asked, "org/name", "bot").texts()),
        lambda: told([COMMENT]),
    ),
    "merge requests of GitLab": (from_forge(lambda asked: gitlab(asked).change()), lambda: told(MERGE)),
    "notes of GitLab": (from_forge(lambda asked: publish(gitlab(asked))), lambda: told(MERGE)),
    "issues of GitLab": (from_forge(lambda asked: GitLabIssues(asked, "7").texts()), lambda: told(MERGE)),
    "event of a workflow": (
        below("event.json", event_of),
        lambda: told(EVENT),
    ),
    "event of a fork": (
        below("event.json", lambda folder: consent.objection({"GITHUB_EVENT_PATH": str(folder / "event.json")})),
        lambda: told(EVENT | {"action": "labeled", "label": {"name": consent.LABEL}}),
    ),
    "cards of nvidia-smi": (from_smi(lambda reader: reader.gpus()), lambda: CARD.encode()),
    "status of nvidia-smi": (from_smi(lambda reader: reader.status("GPU-1")), lambda: b"1, " * (FIELDS - 1) + b"2\n"),
    "counter of energy": (below("intel-rapl:0/energy_uj", counted), lambda: b"123456\n"),
    "script of a device": (
        below("script.json", lambda folder: fake.fake_devices(True, str(folder / "script.json"))),
        lambda: told({"devices": [{"uuid": "FAKE-1", "name": "Fake", "memory_bytes": 1024}]}),
    ),
    "packages of an interpreter": (below("said", packages), lambda: told({"python": "3.11.7", "torch": "2.13.0"})),
    "origin of a package": (origin, lambda: told({"vcs_info": {"commit_id": "abc"}})),
    "plan of a fleet": (below(fleet.PLAN, fleet.load), lambda: told(PLAN)),
    "end of a shard": (
        below("shard-1/ended.json", lambda folder: (Shard(1, 2, folder, 2).code, Shard(1, 2, folder, 2).parts)),
        lambda: told({"code": 1, "attempt": "try-1"}),
    ),
    "bisection": (bisected, bisection),
    "file of a history": (below("machine/merged-1.parquet", looked_at), history),
    "address of run files": (fetched, lambda: b"night/run.jsonl"),
}
