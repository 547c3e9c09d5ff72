"""The provenance of a run: the versions of all installed packages.

It also runs as a script under any Python from 3.9 on, so it uses only the standard library.
"""

import importlib.metadata
import json
import re
import subprocess
import sys

TIMEOUT_S = 60
LIBRARIES = ("torch", "transformers", "accelerate", "datasets", "numpy", "perfgate")


def software() -> dict[str, str]:
    """Versions of Python and of the libraries under test, without importing them."""
    found = {"python": python_version()}
    return found | {name: version for name in LIBRARIES if (version := version_here(name))}


def version_here(name: str) -> str:
    """The installed version of a package; empty if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def python_version() -> str:
    """Python's version, such as ``3.11.7``."""
    return ".".join(map(str, sys.version_info[:3]))


def installed() -> dict[str, str]:
    """Versions of Python and of every installed package, by normalized name.

    The version of a package that was installed from a repository has the commit behind it, as in ``5.24.0@1a2b3c4d``.
    """
    found = {"python": python_version()}
    for package in importlib.metadata.distributions():
        # A folder that pip removed only in part has no name. If a package is found twice, the first one is imported.
        if name := package.metadata["Name"]:
            found.setdefault(normalized(name), f"{package.version}{commit_of(package)}")
    return found


def normalized(name: str) -> str:
    """The normal form of a package's name (packaging.python.org, name normalization)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def commit_of(package: importlib.metadata.Distribution) -> str:
    """``@`` and the commit that a package was installed from; empty if there is none.

    It is also empty if pip's file about it is damaged.
    """
    try:
        commit = json.loads(package.read_text("direct_url.json") or "{}")["vcs_info"]["commit_id"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return f"@{commit[:8]}" if commit and isinstance(commit, str) else ""


def installed_in(python: str) -> dict[str, str]:
    """The packages of another interpreter, as ``installed`` returns them; it runs this file.

    Raises:
        OSError: the interpreter does not start.
        subprocess.SubprocessError: it fails, or takes too long.
        ValueError: it prints something else.
    """
    # Isolated, because this file's folder and PYTHONPATH do not belong to that environment.
    done = subprocess.run([python, "-I", __file__], capture_output=True, check=True, timeout=TIMEOUT_S)
    try:
        found = json.loads(done.stdout)
    except RecursionError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(version, str) for version in found.values()):
        raise ValueError("it prints something else than its packages")
    return found


def libraries_among(found: dict[str, str]) -> dict[str, str]:
    """Python and the libraries under test among all that is installed."""
    return {name: found[name] for name in ("python", *LIBRARIES) if name in found}


if __name__ == "__main__":
    print(json.dumps(installed()))
