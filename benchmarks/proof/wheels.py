"""Brings the packages that the proof needs to a machine without a network.

GPU containers have torch, transformers, accelerate and pytest, and most other packages too. Missing packages are
downloaded as wheels on another machine, and installed into a folder of their own, so that nothing in the container
changes.
"""

import importlib.metadata
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from perfgate.shared.errors import UserError

ROOT = Path(__file__).parent.parent.parent
LIMIT_BYTES = 60 * 10**6
PYTHON = "3.12"
# pip takes each of these by its exact name.
PLATFORMS = ("2_28", "2_27", "2_24", "2_17", "2_12", "2_5", "2014", "2010", "1")
THERE = {"torch": "2.11", "transformers": "5.17", "accelerate": "1.15", "pytest": "8.1", "numpy": "2"}


@dataclass(frozen=True)
class Wheel:
    """One package that the proof needs.

    Attributes:
        name: the name of the distribution.
        version: the version to download, as ``ci/constraints.txt`` allows.
        least: the oldest version that is good enough if the machine has the package already.
        size_bytes: the size of the wheel for Python 3.12 on x86-64 Linux.
        large: whether it is downloaded only if named, because most GPU containers have it.
    """

    name: str
    version: str
    least: str
    size_bytes: int
    large: bool = False


WHEELS = (
    Wheel("datasets", "5.2.0", "5.0", 608_276),
    Wheel("dill", "0.4.1", "0.3", 120_019),
    Wheel("multiprocess", "0.70.19", "0.70", 150_281),
    Wheel("xxhash", "4.1.0", "3", 472_238),
    Wheel("platformdirs", "4.14.8", "4", 94_267),
    Wheel("pygal", "3.1.3", "3", 132_630),
    Wheel("importlib_metadata", "10.2.0", "6", 34_109),
    Wheel("zipp", "4.1.2", "3", 10_581),
    Wheel("rich", "15.0.0", "13", 310_654),
    Wheel("markdown-it-py", "4.3.0", "2.2", 96_951),
    Wheel("mdurl", "0.1.2", "0.1", 9_979),
    Wheel("pygments", "2.21.0", "2.15", 1_250_147),
    Wheel("tabulate", "0.10.0", "0.9", 39_814),
    Wheel("python-dateutil", "4.0.0", "2.9", 92_853),
    Wheel("filelock", "4.3.1", "3.21", 244_559),
    Wheel("nvidia-ml-py", "13.615.71", "13", 58_132),
    Wheel("pyarrow", "26.0.1", "24", 55_043_763, large=True),
    Wheel("pandas", "3.1.1", "2.2", 12_031_410, large=True),
    Wheel("scipy", "1.18.1", "1.11", 35_344_199, large=True),
)


def listing():
    """A list of the wheels with their sizes, for the help text."""
    lines = [
        f"  {wheel.name:20} {wheel.version:12} {wheel.size_bytes / 1e6:6.2f} MB" for wheel in WHEELS if not wheel.large
    ]
    total = sum(wheel.size_bytes for wheel in WHEELS if not wheel.large)
    lines.append(f"  {'together':33} {total / 1e6:6.2f} MB")
    lines.append("only when named with --also, as GPU containers hold them (60 MB at most in all):")
    lines += [
        f"  {wheel.name:20} {wheel.version:12} {wheel.size_bytes / 1e6:6.2f} MB" for wheel in WHEELS if wheel.large
    ]
    return "\n".join(lines)


def chosen(also):
    """The wheels to download.

    Args:
        also: names of large wheels to include.

    Raises:
        UserError: a name is none of the large ones, or all wheels together are too large.
    """
    large = [wheel.name for wheel in WHEELS if wheel.large]
    if unknown := [name for name in also if name not in large]:
        raise UserError(f"--also {unknown[0]}: it is one of {', '.join(large)}")
    found = [wheel for wheel in WHEELS if not wheel.large or wheel.name in also]
    total = sum(wheel.size_bytes for wheel in found)
    if total > LIMIT_BYTES:
        raise UserError(
            f"these wheels come to {total / 1e6:.0f} MB, more than 60 MB; leave out one of {', '.join(also)}"
        )
    return found


def download(folder, also):
    """Download the wheels with pip.

    Raises:
        UserError: pip failed, or the wheels are too large together.
    """
    platforms = [word for name in PLATFORMS for word in ("--platform", f"manylinux{'_' * ('_' in name)}{name}_x86_64")]
    names = [f"{wheel.name}=={wheel.version}" for wheel in chosen(also)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", PYTHON, "--implementation", "cp", *platforms, "--dest", str(folder), *names]
    if subprocess.run(command, check=False).returncode:
        raise UserError("pip could not download the wheels; see above")


def lacking():
    """The wheels that this interpreter lacks, or has in too old a version."""
    return [wheel for wheel in WHEELS if older(wheel.name, wheel.least)]


def unfit():
    """Packages that this interpreter must have already and lacks, as text. They are never downloaded."""
    return [f"{name} {least} or newer" for name, least in THERE.items() if older(name, least)]


def older(name, least):
    """Whether a distribution is missing, or older than a version."""
    try:
        return numbers(importlib.metadata.version(name)) < numbers(least)
    except importlib.metadata.PackageNotFoundError:
        return True


def numbers(version):
    """The release part of a version."""
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])[:3]))


def install(source, target):
    """Install missing packages into a folder of their own, and put that folder on this process's path.

    Raises:
        UserError: a wheel is not in ``source``.
    """
    names = [wheel.name for wheel in lacking()]
    if names:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
        command += ["--no-compile", "--root-user-action=ignore", "--disable-pip-version-check"]
        command += ["--find-links", str(source), "--target", str(target), *names]
        if subprocess.run(command, check=False).returncode:
            raise UserError(f"{', '.join(names)} could not be installed from {source}; see above")
        sys.path.insert(0, str(target))


def check():
    """Check that nothing is missing before the proof begins.

    Raises:
        UserError: something is missing; the message names it and the command that helps.
    """
    if absent := unfit():
        raise UserError(f"{sys.executable} lacks {', '.join(absent)}; name another interpreter with PYTHON=...")
    if absent := lacking():
        large = [wheel.name for wheel in absent if wheel.large]
        also = f" --also {' '.join(large)}" if large else ""
        raise UserError(
            f"{sys.executable} lacks {', '.join(wheel.name for wheel in absent)}; where there is a network run "
            f"ci/gpu-proof --wheels WHEELS{also}, and here add --install WHEELS"
        )
