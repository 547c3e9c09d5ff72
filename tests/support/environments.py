"""Second interpreters for tests: bare ones, made in a moment, and one with an older transformers, which is kept."""

import functools
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from benchmarks.environments import kept
from benchmarks.public_regressions import ENVIRONMENTS, FOUR


def bare(folder: Path, python: str = sys.executable) -> str:
    """An environment in which nothing is installed; returns its interpreter."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    return str(folder / "bin" / "python")


@functools.cache
def newest_python() -> str:
    """The newest Python at hand, of which this one may be one."""
    return interpreters()[-1]


@functools.cache
def interpreters() -> list[str]:
    """One interpreter of each version of Python at hand that Perfgate runs on, the oldest first."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    places = [*versions.glob("3.*/bin/python"), *Path("/usr/bin").glob("python3.[0-9]*"), Path(sys.executable)]
    found = {version_of(place): place for place in map(str, places)}
    return [found[version] for version in sorted(found) if version >= (3, 11)]


@functools.cache
def version_of(python: str = sys.executable) -> tuple[int, ...]:
    """The major and minor version; (0,) for a file that is no Python that runs."""
    code = "import sys, venv; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return (0,) if done.returncode else tuple(map(int, done.stdout.split()))


def pretend_installed(folder: Path, name: str, version: str, needs: str = "") -> None:
    """Make a folder of a path look as if a package were installed in it, which may need another one."""
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir()
    needed = f"Requires-Dist: {needs}\n" if needs else ""
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}")


def write_wheel(folder: Path, name: str, version: str) -> None:
    """A wheel with one module that knows its version."""
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


def older_transformers() -> str:
    """An interpreter with transformers 4.57.6 beside this environment's torch; built once, and kept in the cache."""
    older = ENVIRONMENTS[FOUR]
    return kept(FOUR, older.packages, older.alone)
