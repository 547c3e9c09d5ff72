"""Builds environments with other libraries than the installed ones. Each is built once and kept."""

import hashlib
import json
import math
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from perfgate.reference.build_step import BUILD_TIMEOUT_S, Progress, run
from perfgate.reference.lock_files import content
from perfgate.shared.credentials import concealed
from perfgate.shared.errors import UserError
from perfgate.shared.private import private
from perfgate.system.provenance import installed_in

READY = ".perfgate-ready"
FOLDERS = "import json, site; print(json.dumps([*site.getsitepackages(), site.getusersitepackages()]))"
BROUGHT = ("pip", "setuptools")
# As printed by pip check: datasets 5.2.0 has requirement huggingface-hub<3.0, but you have huggingface-hub 0.36.2.
BROKEN = re.compile(r"(?P<name>\S+) \S+ has requirement .+, but you have (?P<needed>\S+) ")


@dataclass(frozen=True)
class Recipe:
    """The recipe of an environment.

    Attributes:
        folder: the folder in which pip runs.
        steps: arguments of ``pip install``, one call after the other.
        files: names of files in the folder whose content is part of the recipe.
        python: the interpreter that makes the environment.
        over: whether it lies over that interpreter's environment, whose packages it has too unless it has another
            version.
    """

    folder: Path
    steps: Sequence[Sequence[str]]
    files: Sequence[str] = ()
    python: str = sys.executable
    over: bool = False

    @property
    def digest(self) -> str:
        """The environment's name: equal recipes over equal environments have equal digests."""
        words = [sys.version, *(word for step in self.steps for word in step)]
        if self.over:
            words += [
                "over, with what broke",
                self.python,
                *(f"{name}=={version}" for name, version in self.beneath.items()),
            ]
        digest = hashlib.sha256("\0".join(words).encode())
        for name in self.files:
            digest.update(content(self.folder / name))
        return digest.hexdigest()[:16]

    @property
    def unasked(self) -> list[str]:
        """Packages that every new environment has and that no step installs."""
        return [name for name in BROUGHT if not any(word.startswith(name) for step in self.steps for word in step)]

    @cached_property
    def beneath(self) -> Mapping[str, str]:
        """Every package of the environment below."""
        return installed_in(self.python)


def built_for(
    folder: Path,
    locks: Sequence[str],
    install: Sequence[str],
    option: str = "--perf-ref",
    progress: Progress = lambda _: None,
    left_s: float = math.inf,
) -> str:
    """An interpreter with the libraries that a checkout pins. It is built only if the cache does not have it.

    Args:
        folder: the folder of the checkout.
        locks: the files that pin its libraries.
        install: arguments of ``pip install``, which runs in the folder; if there are none, a requirements file among
            the locks is installed.
        option: the option that asked for the environment, for messages.
        progress: called with a few words at each step.
        left_s: the longest that building it may take, in seconds.

    Raises:
        TimeoutError: it was not ready in time.
        UserError: the environment cannot be built.
    """
    arguments = list(install) or requirements(folder, locks, option)
    return built(Recipe(folder, [arguments], locks), option, progress, left_s)


def built(recipe: Recipe, option: str, progress: Progress = lambda _: None, left_s: float = math.inf) -> str:
    """The interpreter of an environment, from the cache if it was built before.

    An unfinished environment is deleted, and never counts as built.

    Args:
        recipe: the environment's recipe.
        option: the option that asked for it, for messages.
        progress: called with a few words at each step.
        left_s: the longest that building it may take, in seconds; also the longest wait for another run that builds it.

    Raises:
        TimeoutError: it was not ready in time.
        UserError: it cannot be built.
    """
    place = private(user_cache_path("perfgate") / "environments") / recipe.digest
    python = str(place / "bin" / "python")
    begin = time.monotonic()
    with locked(Path(f"{place}.lock"), left_s):
        if (place / READY).exists():
            return python
        shutil.rmtree(place, ignore_errors=True)
        progress(f"{option}: builds an environment in {place}, once")
        try:
            run([recipe.python, "-m", "venv", str(place)], recipe.folder, option, progress, begin + left_s)
            if recipe.over:
                # The packages of a new environment hide those below, and packages there may need newer ones.
                remove(python, recipe, {"setuptools"}, option, progress, begin + left_s)
                lay_over(place, recipe.python, option)
            for step in recipe.steps:
                progress(concealed(f"{option}: pip install {' '.join(step)}"))
                install = [python, "-m", "pip", "install", "--progress-bar", "off", "--disable-pip-version-check"]
                run([*install, *step], recipe.folder, option, progress, begin + left_s)
            if recipe.over:
                mend(python, place, recipe, option, progress, begin + left_s)
                remove(python, recipe, {"pip"}, option, progress, begin + left_s)
            (place / READY).touch()
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        progress(f"{option}: the environment is ready after {time.monotonic() - begin:.0f} s")
    return python


def remove(
    python: str, recipe: Recipe, names: Set[str], option: str, progress: Progress, end: float = math.inf
) -> None:
    """Uninstall the named packages that came with an environment and that no step installs.

    Raises:
        TimeoutError: it had not ended by ``end``, on the monotonic clock.
        UserError: pip failed.
    """
    if unasked := sorted(names & set(recipe.unasked)):
        run([python, "-m", "pip", "uninstall", "--yes", *unasked], recipe.folder, option, progress, end)


def mend(python: str, place: Path, recipe: Recipe, option: str, progress: Progress, end: float = math.inf) -> None:
    """Install fitting versions of packages from below that do not accept a package installed over them.

    An older transformers brings an older huggingface_hub, for instance, with which the datasets of beneath cannot be
    imported. If pip finds no fitting version, the environment stays as it is.

    Raises:
        TimeoutError: it had not ended by ``end``, on the monotonic clock.
    """
    own = {path.name.partition("-")[0].lower() for path in place.glob("lib/python*/site-packages/*.dist-info")}
    check = [python, "-m", "pip", "check"]
    try:
        done = subprocess.run(
            check, capture_output=True, text=True, errors="replace", check=False, timeout=BUILD_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return
    found = [match for match in map(BROKEN.match, done.stdout.splitlines()) if match]
    names = [one["name"] for one in found if one["needed"].lower().replace("-", "_") in own]
    if not names:
        return
    asked = [word for step in recipe.steps for word in step]
    step = [*asked, *dict.fromkeys(names)]
    progress(f"{option}: pip install {' '.join(step)}, as these do not fit what is installed")
    try:
        run([python, "-m", "pip", "install", "--progress-bar", "off", *step], recipe.folder, option, progress, end)
    except UserError as error:
        progress(f"{option}: {', '.join(names)} may not work there: {error}")


def lay_over(place: Path, python: str, option: str) -> None:
    """Make the packages of another environment importable in an environment, behind its own.

    Raises:
        UserError: the other interpreter does not name the folder of its packages.
    """
    try:
        done = subprocess.run(
            [python, "-I", "-c", FOLDERS], capture_output=True, check=True, text=True, errors="replace"
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"{option} {python}: this interpreter does not tell where its packages lie: {error}") from None
    (own,) = place.glob("lib/python*/site-packages")
    # By addsitedir, because packages installed as editable lie elsewhere.
    lines = [f"import site; site.addsitedir({folder!r})\n" for folder in json.loads(done.stdout)]
    (own / "perfgate_over.pth").write_text("".join(lines), encoding="utf-8")


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


@contextmanager
def locked(path: Path, left_s: float) -> Iterator[None]:
    """Hold a lock; waits at most this many seconds for its holder.

    Raises:
        TimeoutError: it was not free in time.
    """
    lock = FileLock(path, timeout=-1 if math.isinf(left_s) else max(left_s, 0.0))
    try:
        lock.acquire()
    except Timeout:
        raise TimeoutError(f"{path}: another run still builds this environment") from None
    try:
        yield
    finally:
        lock.release()
