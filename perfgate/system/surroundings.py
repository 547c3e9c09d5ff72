"""Digests of the packages, environment variables and files that a measurement depends on besides the code.

A baseline keeps them. If all are unchanged, none of these things can have made a case slower.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from perfgate.system.child_env import QUIET

DIGITS = 12
MOST_FILES = 1000
UNKNOWN = "unknown"
WORDS = {"packages": "Python or packages", "variables": "environment variables", "files": "files that it reads"}
# Variables that differ between terminals, sessions and jobs and that no program under test reads; and secrets.
PASSING = re.compile(
    r"_|PWD|OLDPWD|SHLVL|PS\d|TERM.*|COLORTERM|COLUMNS|LINES|DISPLAY|WINDOWID|.*COLORS?|LESS.*|PAGER|.*EDITOR|MAIL|HIST.*"
    r"|USER|LOGNAME|HOST|HOSTNAME|TMUX.*|STY|SSH_.*|XDG_(SESSION|RUNTIME|SEAT|VTNR).*|DBUS_.*|VSCODE_.*|INVOCATION_ID"
    r"|JOURNAL_STREAM|SYSTEMD_.*|GIT_.*|CI|CI_.*|GITHUB_.*|GITLAB_.*|RUNNER_.*|ACTIONS_.*|JENKINS_.*|BUILD_.*|JOB_.*"
    r"|PYTEST_.*|PERFGATE_.*|COV_CORE_.*|COVERAGE_.*|.*(TOKEN|SECRET|PASSW(OR)?D|PASSPHRASE|CREDENTIAL|API_?KEY).*"
    r"|(.*_)?(ACCESS|ACCOUNT|ENCRYPTION|PRIVATE|SIGNING)_?KEY(_.*)?|(.*_|PG)?PASS|(.*_)?(AUTH|COOKIE|DSN|PAT)"
)


def surroundings(packages: Mapping[str, str], params: Any) -> dict[str, str]:
    """A short digest of each kind of thing that a measurement depends on besides its code.

    Args:
        packages: versions of Python and of every installed package, by name.
        params: the parameters of its workload; a text that is a path on this machine counts with its content.
    """
    kept = {name: value for name, value in os.environ.items() if not PASSING.fullmatch(name) and name not in QUIET}
    files = list(paths_in(params))
    held = contents(files)
    return {
        "packages": digest(sorted(packages.items())),
        "variables": digest(sorted(kept.items())),
        "files": UNKNOWN if held is None else digest(held),
    }


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The kinds that changed, in words; all kinds if nothing is known of before."""
    return [word for kind, word in WORDS.items() if before.get(kind) != now[kind] or now[kind] == UNKNOWN]


def digest(value: Any) -> str:
    """The first digits of a value's SHA-256, as JSON."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:DIGITS]


def paths_in(params: Any) -> Iterator[Path]:
    """The texts in a JSON value that are existing paths on this machine."""
    if isinstance(params, Mapping):
        params = list(params.values())
    if isinstance(params, list | tuple):
        for value in params:
            yield from paths_in(value)
    elif isinstance(params, str) and params and "\0" not in params and len(params) < os.pathconf("/", "PC_PATH_MAX"):
        try:
            if Path(params).exists():
                yield Path(params)
        except OSError:  # a part of it is longer than a file name may be
            return


def contents(places: list[Path]) -> list[tuple[str, str]] | None:
    """Each file at or below these places with a digest of its content; ``None`` if there are too many to read."""
    found: list[tuple[str, str]] = []
    for place in places:
        for path in [place] if place.is_file() else place.rglob("*"):
            if len(found) >= MOST_FILES:
                return None
            if path.is_file():
                with path.open("rb") as file:
                    found.append((str(path), hashlib.file_digest(file, "sha256").hexdigest()))
    return sorted(found)
