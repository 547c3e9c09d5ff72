"""Finds the files of the repository that a case depends on, by following imports from its test file."""

import ast
import importlib.util
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from perfgate.gate.wording import are, many
from perfgate.plugin.options import Options
from perfgate.plugin.selection import fixtures_of
from perfgate.shared.errors import UserError
from perfgate.system.git import commit_of, differing
from perfgate.workloads.programs import OF_FIXTURE

# The packages behind Perfgate's own programs: a change to one of them in the repository concerns all their cases.
LIBRARIES = frozenset({"perfgate", "transformers", "torch", "accelerate", "datasets", "peft", "tokenizers", "triton"})
INSTALLED = frozenset({"site-packages", "dist-packages"})
STDLIB = sysconfig.get_path("stdlib")
SOURCES = ("src", "lib")  # folders in which a repository keeps packages
PROGRAM = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_]\w*")


def touched(items: Sequence[pytest.Item], options: Options) -> tuple[list[pytest.Item], list[str]]:
    """The cases that changes since ``--perf-affected`` concern, and a line with each reason; without it, all cases.

    Raises:
        UserError: there is no repository, or no such revision.
    """
    if not options.affected or not items:
        return list(items), []
    changed = changed_files(items[0].config.rootpath, options.affected)
    why = {item: why_touched(item, changed, options.locks) for item in items}
    found = [item for item in items if why[item]]
    left = len(items) - len(found)
    rest = f"{left} of {many(len(items), 'case')} {are(left)} not concerned"
    return found, [*(f"{item.nodeid}: {why[item]}" for item in found), rest]


def why_touched(item: pytest.Item, changed: Iterable[Path], locks: Iterable[str]) -> str:
    """The reason why changes concern a case, as a clause; empty if they do not.

    Args:
        item: the case.
        changed: files that changed, in the order in which they are looked at.
        locks: names of files that pin libraries.
    """
    root, own = item.config.rootpath, files_of(item)
    for path in changed:
        name = path.relative_to(root) if path.is_relative_to(root) else path
        if path in own:
            return f"it is {name}, which changed" if path == item.path else f"it imports {name}, which changed"
        if path.name in locks or str(name) in locks:
            return f"{name}, which pins libraries, changed"
        if is_library(path, root) and set(fixtures_of(item)) & set(OF_FIXTURE):
            return f"its program imports {name}, which changed"
    return ""


def changed_files(root: Path, revision: str) -> list[Path]:
    """The files that differ from a revision.

    Raises:
        UserError: there is no repository, or no such revision.
    """
    if (commit := commit_of(root, revision)) is None:
        raise UserError(f"--perf-affected {revision}: there is no such revision in the repository of {root}")
    return changed_since(root, commit)


def changed_since(root: Path, commit: str) -> list[Path]:
    """The files that differ from a commit, sorted.

    Raises:
        UserError: git cannot tell.
    """
    return sorted(map(Path, differing(root, commit)))


def is_library(path: Path, root: Path) -> bool:
    """Whether a file of the repository belongs to a package behind Perfgate's own programs."""
    parts = path.relative_to(root).parts if path.is_relative_to(root) else path.parts
    inner = parts[1:] if parts and parts[0] in SOURCES else parts
    return len(inner) > 1 and inner[0] in LIBRARIES


def files_of(item: pytest.Item) -> frozenset[Path]:
    """The files of the repository that a case depends on: its own, its conftest.py files, and their imports."""
    root = item.config.rootpath
    folders = [folder for folder in (item.path.parent, *item.path.parents) if folder.is_relative_to(root)]
    conftests = [path for folder in folders if (path := folder / "conftest.py").exists()]
    return frozenset().union(*(reached(path, root) for path in (item.path, *conftests)))


@cache
def reached(begin: Path, root: Path) -> frozenset[Path]:
    """A file below a folder, and all files in the folder that it imports directly or indirectly."""
    found: set[Path] = set()
    left = [begin.resolve()]
    while left:
        path = left.pop()
        if path in found or not path.is_relative_to(root) or is_installed(path):
            continue
        found.add(path)
        left += imported(path)
    return frozenset(found)


def is_installed(path: Path) -> bool:
    """Whether a file belongs to an installed package or to Python itself, even inside the repository's folder."""
    return not INSTALLED.isdisjoint(path.parts) or path.is_relative_to(STDLIB)


@cache
def imported(path: Path) -> tuple[Path, ...]:
    """The files that a Python file imports, also within functions, or names as the program of a workload."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return ()
    return tuple(found for name in names_in(tree, path) if (found := place_of(name, path.parent)))


def names_in(tree: ast.AST, path: Path) -> Iterator[str]:
    """The module names that a file imports or mentions; for a dotted name, all packages in it as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = f"{package_of(path, node.level)}{node.module or ''}" if node.level else node.module or ""
            yield from with_parents(base.rstrip("."))
            yield from (f"{base.rstrip('.')}.{alias.name}" for alias in node.names if base)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (told := PROGRAM.fullmatch(node.value)):
            yield from with_parents(told[1])


def with_parents(name: str) -> Iterator[str]:
    """A dotted name, and the names of the packages that contain it."""
    parts = name.split(".")
    yield from (".".join(parts[: count + 1]) for count in range(len(parts)) if name)


def package_of(path: Path, level: int) -> str:
    """The package that a number of leading dots means in a file, with a dot at its end; empty outside of packages."""
    folders = [folder.name for folder in path.parents if (folder / "__init__.py").exists()]
    names = list(reversed(folders))[: len(folders) - level + 1]
    return "".join(f"{name}." for name in names)


@cache
def place_of(name: str, beside: Path) -> Path | None:
    """The file of a module, without importing it; ``None`` if it has none."""
    top, *inner = name.split(".")
    for base in (beside / top, *places_of_top(top)):
        place = base.joinpath(*inner)
        for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if path.exists():
                return path.resolve()
    return None


@cache
def places_of_top(name: str) -> tuple[Path, ...]:
    """The paths at which a top-level module or package lies, without a suffix."""
    module = sys.modules.get(name)
    try:
        spec = module.__spec__ if module is not None else importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        spec = None
    folders = [Path(folder) for folder in getattr(spec, "submodule_search_locations", None) or ()]
    origin = getattr(spec, "origin", None) or getattr(module, "__file__", None) or ""
    return (*folders, Path(origin).with_suffix("")) if origin.endswith(".py") else tuple(folders)
