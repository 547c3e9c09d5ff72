"""Builds environments with other libraries than the installed ones. Each is built once and kept."""

import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from perfgate.reference.lock_files import content
from perfgate.shared.errors import UserError

READY = ".perfgate-ready"
BUILD_TIMEOUT_S = 3600
Progress = Callable[[str], None]


def built_for(
    folder: Path,
    locks: Sequence[str],
    install: Sequence[str],
    option: str = "--perf-ref",
    progress: Progress = lambda _: None,
) -> str:
    """An interpreter with the libraries that a checkout pins. It is built only if the cache does not have it.

    Args:
        folder: the folder of the checkout.
        locks: the files that pin its libraries.
        install: arguments of ``pip install``, which runs in the folder; if there are none, a requirements file among
            the locks is installed.
        option: the option that asked for the environment, for messages.
        progress: called with a few words at each step.

    Raises:
        UserError: the environment cannot be built.
    """
    arguments = list(install) or requirements(folder, locks, option)
    digest = hashlib.sha256("\0".join([sys.version, *arguments]).encode())
    for name in locks:
        digest.update(content(folder / name))
    place = user_cache_path("perfgate") / "environments" / digest.hexdigest()[:16]
    place.parent.mkdir(parents=True, exist_ok=True)
    python = place / "bin" / "python"
    with FileLock(f"{place}.lock"):
        if (place / READY).exists():
            return str(python)
        begin = time.monotonic()
        shutil.rmtree(place, ignore_errors=True)
        progress(f"{option}: builds an environment in {place}, once")
        run([sys.executable, "-m", "venv", str(place)], folder, option, progress)
        progress(f"{option}: pip install {' '.join(arguments)}")
        run([str(python), "-m", "pip", "install", "--progress-bar", "off", *arguments], folder, option, progress)
        (place / READY).touch()
        progress(f"{option}: the environment is ready after {time.monotonic() - begin:.0f} s")
    return str(python)


def requirements(folder: Path, locks: Sequence[str], option: str) -> list[str]:
    """The arguments of ``pip install`` for the requirements file among some files.

    Raises:
        UserError: there is no requirements file.
    """
    found = [name for name in locks if name.endswith((".txt", ".lock")) and name.startswith("requirements")]
    present = [name for name in found if (folder / name).exists()]
    if not present:
        there = ", ".join(name for name in locks if (folder / name).exists()) or ", ".join(locks)
        named = " or name an interpreter with --perf-ref-python PYTHON" if option == "--perf-ref" else ""
        raise UserError(
            f"{option}: pip cannot install from {there}; say what to install with the ini value perf_ref_install,"
            f"{named or ' like -c constraints.txt .'}"
        )
    return ["-r", present[0]]


def run(command: Sequence[str], folder: Path, option: str, progress: Progress) -> None:
    """Run one step of a build, and show each line that it prints.

    Raises:
        UserError: the step failed; the details have the end of its output.
    """
    said: list[str] = []
    try:
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line.strip())
                progress(f"  {said[-1]}")
            code = process.wait(BUILD_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        said, code = [str(error)], 1
    if code:
        raise UserError(
            f"{option}: the environment does not build: {' '.join(command[1:])} failed in {folder}: "
            f"{' '.join(said[-3:]) or f'exit code {code}'}"
        )
