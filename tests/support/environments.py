"""Second interpreters for tests: bare ones, made in a moment, and one with an older transformers, which is kept."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

OLDER = ("transformers==4.57.6", "datasets==4.3.0", "psutil")

# What goes with a newer transformers alone, and is looked for by an older one as soon as it is there.
NEWER = ("peft", "bitsandbytes", "torchao")
CACHE = user_cache_path("perfgate") / "test-environments"  # found out before a test moves the home folder


def bare(folder: Path, python: str = sys.executable) -> str:
    """An environment in which nothing is installed; returns its interpreter."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    return str(folder / "bin" / "python")


def newest_python() -> str:
    """The newest Python at hand, of which this one may be one."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    places = [*versions.glob("3.*/bin/python"), *Path("/usr/bin").glob("python3.[0-9]*"), Path(sys.executable)]
    return max((place for place in map(str, places) if version_of(place) >= (3, 11)), key=version_of)


def version_of(python: str = sys.executable) -> tuple[int, ...]:
    """Major and minor version; (0,) of what is no Python that runs."""
    code = "import sys, venv; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return (0,) if done.returncode else tuple(map(int, done.stdout.split()))


def pretend_installed(folder: Path, name: str, version: str) -> None:
    """Let a folder of a path look as if a package were installed in it."""
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


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
    place = CACHE / f"transformers-4.57.6-python-3.{sys.version_info[1]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    python = place / "bin" / "python"
    libraries = Path(sysconfig.get_path("purelib"))
    installed = place / libraries.relative_to(sys.prefix)
    with FileLock(f"{place}.lock"):
        if not (place / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
            install = [str(python), "-m", "pip", "install", "--quiet"]
            # It requires torch, which is linked.
            subprocess.run([*install, "--no-deps", "accelerate==1.11.0"], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([*install, *OLDER], check=True, stdout=subprocess.DEVNULL)
            (place / "ready").touch()
        # Whoever uses it next may be another environment.
        for link in (path for path in installed.iterdir() if path.is_symlink()):
            link.unlink()
        own = {path.name.partition("-")[0] for path in installed.iterdir()}
        for path in libraries.iterdir():
            name = path.name.partition("-")[0]
            if name not in own and not name.startswith(NEWER) and path.suffix != ".pth":
                (installed / path.name).symlink_to(path)
    return str(python)
