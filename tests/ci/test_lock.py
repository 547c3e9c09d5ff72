"""The lock file of ci/setup: all that pyproject.toml asks for, as ci/constraints.txt allows, each file by its hash."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import ROOT

LOCK = (ROOT / "ci" / "requirements.lock").read_text()
ENTRY = re.compile(r"^([\w.-]+)==(\S+)(?: ; .*)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def asked_for(lines: Iterable[str]) -> Iterator[Requirement]:
    """What a list of requirements names; for extras of Perfgate, what these name."""
    for requirement in map(Requirement, lines):
        if requirement.name != "perfgate":
            yield requirement
        for extra in requirement.extras if requirement.name == "perfgate" else ():
            yield from asked_for(PROJECT["optional-dependencies"][extra])


def locked() -> dict[str, list[str]]:
    """The versions of each package; a package has several where they differ by version of Python."""
    found = defaultdict(list)
    for name, version, _ in ENTRY.findall(LOCK):
        found[name].append(version)
    return found


def test_the_lock_is_nothing_but_packages_with_hashes():
    rest = ENTRY.sub("", LOCK)
    assert [line for line in rest.splitlines() if line and not line.startswith("#")] == []
    assert len(locked()) > 100


def test_the_packages_of_data_are_the_same_with_and_without_the_lock():
    named = re.findall(r"--no-deps ([\w.-]+)==(\S+)", (ROOT / "ci" / "setup").read_text())
    assert len(named) == 2
    assert [locked()[canonicalize_name(name)] for name, _ in named] == [[version] for _, version in named]


def test_the_lock_holds_what_the_project_asks_for_and_no_torch():
    versions = locked()
    extras = PROJECT["optional-dependencies"]
    needed = [*asked_for([*PROJECT["dependencies"], *extras["hf"], *extras["dev"]])]
    limits = [Requirement(line) for line in (ROOT / "ci" / "constraints.txt").read_text().splitlines() if "==" in line]
    names = {requirement.name for requirement in needed}
    lacking = [
        str(requirement)
        for requirement in (*needed, *(limit for limit in limits if canonicalize_name(limit.name) in names))
        if requirement.name != "torch"
        and not all(map(requirement.specifier.contains, versions[canonicalize_name(requirement.name)] or ["0"]))
    ]

    assert lacking == [], "renew it with: ci/lock"
    assert "torch" not in versions
    assert not any(name.startswith(("nvidia-cu", "triton")) for name in versions)
