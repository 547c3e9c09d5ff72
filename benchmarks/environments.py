"""Environments with other libraries and this environment's torch, built once and kept in the cache."""

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

# Packages that need a newer transformers, and that an older one would try to use if they were there.
NEWER = ("peft", "bitsandbytes", "torchao")
CACHE = user_cache_path("perfgate") / "test-environments"  # determined before a test moves the home folder


def kept(name: str, packages: Sequence[str], alone: Sequence[str]) -> str:
    """An interpreter with some packages, and with all others of this environment except those that need newer ones.

    Args:
        name: the name of its folder in the cache.
        packages: packages that pip installs with their requirements.
        alone: packages that pip installs without requirements, because they require torch, which is linked.
    """
    place = CACHE / f"{name}-python-3.{sys.version_info[1]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    python = place / "bin" / "python"
    libraries = Path(sysconfig.get_path("purelib"))
    installed = place / libraries.relative_to(sys.prefix)
    with FileLock(f"{place}.lock"):
        if not (place / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
            install = [str(python), "-m", "pip", "install", "--quiet"]
            subprocess.run([*install, "--no-deps", *alone], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([*install, *packages], check=True, stdout=subprocess.DEVNULL)
            (place / "ready").touch()
        # The next user may be another environment.
        for link in (path for path in installed.iterdir() if path.is_symlink()):
            link.unlink()
        own = {path.name.partition("-")[0] for path in installed.iterdir()}
        for path in libraries.iterdir():
            name = path.name.partition("-")[0]
            if name not in own and not name.startswith(NEWER) and path.suffix != ".pth":
                (installed / path.name).symlink_to(path)
    return str(python)
