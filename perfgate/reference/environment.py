"""The interpreter of a revision whose pinned libraries are others than those at hand: built once, and kept."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from perfgate.shared.errors import UserError

LOCKS = ("requirements.txt", "requirements.lock", "pylock.toml", "uv.lock", "poetry.lock", "constraints.txt")
READY = ".perfgate-ready"
BUILD_TIMEOUT_S = 3600


def moved_locks(there: Path, here: Path, locks: Sequence[str]) -> list[str]:
    """The files that pin libraries and are not the same on both sides."""
    return [name for name in locks if content(there / name) != content(here / name)]


def built_for(folder: Path, locks: Sequence[str], install: Sequence[str]) -> str:
    """An interpreter with the libraries that a checked-out revision pins; from the cache where it was built before.

    Args:
        folder: where the revision lies.
        locks: the files that pin its libraries.
        install: arguments of ``pip install``, run in the folder; where there are none, a requirements file among the
            locks is installed.

    Raises:
        UserError: it cannot be built.
    """
    arguments = list(install) or requirements(folder, locks)
    digest = hashlib.sha256("\0".join([sys.version, *arguments]).encode())
    for name in locks:
        digest.update(content(folder / name))
    place = user_cache_path("perfgate") / "environments" / digest.hexdigest()[:16]
    place.parent.mkdir(parents=True, exist_ok=True)
    python = place / "bin" / "python"
    with FileLock(f"{place}.lock"):
        if not (place / READY).exists():
            shutil.rmtree(place, ignore_errors=True)
            run([sys.executable, "-m", "venv", str(place)], folder)
            run([str(python), "-m", "pip", "install", "--quiet", *arguments], folder)
            (place / READY).touch()
    return str(python)


def requirements(folder: Path, locks: Sequence[str]) -> list[str]:
    """The arguments that install what a requirements file pins.

    Raises:
        UserError: there is none.
    """
    found = [name for name in locks if name.endswith((".txt", ".lock")) and name.startswith("requirements")]
    present = [name for name in found if (folder / name).exists()]
    if not present:
        raise UserError(
            f"--perf-ref: {', '.join(locks)} differs there, and pip cannot install from it; say what to install with "
            "the ini value perf_ref_install, or name an interpreter with --perf-ref-python PYTHON"
        )
    return ["-r", present[0]]


def run(command: list[str], folder: Path) -> None:
    """Run one step of a build.

    Raises:
        UserError: it failed, with the end of what it printed.
    """
    with tempfile.TemporaryFile("w+") as output:
        try:
            subprocess.run(
                command, cwd=folder, check=True, stdout=output, stderr=subprocess.STDOUT, timeout=BUILD_TIMEOUT_S
            )
        except (OSError, subprocess.SubprocessError) as error:
            output.seek(0)
            said = output.read().strip().splitlines()[-3:]
            raise UserError(
                f"--perf-ref: the revision's environment does not build: {' '.join(command[1:])} failed in {folder}: "
                f"{' '.join(said) or error}"
            ) from None


def content(path: Path) -> bytes:
    """What a file holds; nothing where there is none."""
    return path.read_bytes() if path.is_file() else b""
