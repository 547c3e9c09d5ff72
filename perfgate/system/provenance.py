"""Versions of Python and of the libraries under test, here and in another interpreter."""

import importlib.metadata
import json
import subprocess
import sys

TIMEOUT_S = 60
LIBRARIES = ("torch", "transformers", "accelerate", "datasets", "numpy", "perfgate")


def software() -> dict[str, str]:
    """Versions of Python and of the libraries under test, without importing them."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def software_of(python: str) -> dict[str, str]:
    """The same versions in another interpreter, which runs this file to find them.

    Raises:
        OSError: the interpreter does not start.
        subprocess.SubprocessError: it fails, or takes too long.
    """
    done = subprocess.run([python, __file__], capture_output=True, check=True, timeout=TIMEOUT_S)
    found: dict[str, str] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(software()))
