"""What the settings of a workload need of this machine: a package, a GPU, a compiler, a folder.

A case that lacks something is skipped at run time, with the reason.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from packaging.version import Version

from perfgate.shared.errors import Unavailable
from perfgate.shared.settings import KINDS, Need
from perfgate.shared.workload import Workload

# Every need once, with the name of its setting.
NEEDS: tuple[tuple[str, Need], ...] = tuple(
    dict.fromkeys((setting.name, need) for kind in KINDS.values() for setting in kind for need in setting.needs)
)


def needs_of(workload: Workload) -> Iterator[tuple[str, Need]]:
    """The needs of a workload, each with the name of its setting; settings at their default are not in its parameters.

    Parameters with a setting's name count in any program, as users' own programs are often built on Perfgate's.
    """
    kind = workload.id.partition(".")[0]
    for name, need in NEEDS:
        if name not in workload.params or (need.kinds and kind not in need.kinds):
            continue
        if not need.values or workload.params[name] in need.values:
            yield name, need


def is_here(need: Need) -> bool:
    """Whether the package that is needed can be imported, and is new enough."""
    try:
        found = find_spec(need.package) is not None
    except ModuleNotFoundError:  # the package that it is a part of
        return False
    return found and (not need.since or Version(version(need.package)) >= Version(need.since))


def sees_device_at_import(workload: Workload) -> str:
    """The package of a workload that looks for the device as it is imported; empty where there is none.

    A fork server must not import it, as no device is visible there. peft imports it wherever it is installed.
    """
    packages = {need.package for _, need in needs_of(workload)}
    return "bitsandbytes" if "bitsandbytes" in packages else ""


def check_needs(workload: Workload, device: str, room: int = 1) -> None:
    """Skip a case that this machine cannot run.

    Args:
        workload: with its settings.
        device: kind of the device, or ``none`` for the dry run alone.
        room: how many ranks of a launch can have a device of their own, or on a CPU a core.

    Raises:
        Unavailable: with the reason, and the command that installs what is missing where there is one.
    """
    ranks = workload.params.get("ranks", 1)
    if device != "none" and ranks > room:
        what = "core" if device == "cpu" else "GPU"
        raise Unavailable(
            f"ranks={ranks} needs {ranks} {what}s, one each, and there {'is' if room == 1 else 'are'} {room}: "
            f"two ranks on one {what} only take turns; run it on a machine with {ranks}, or with fewer ranks"
        )
    for reason in missing(workload, device):
        raise Unavailable(reason)


def missing(workload: Workload, device: str) -> Iterator[str]:
    """What this machine lacks for a workload, a sentence each."""
    for name, need in needs_of(workload):
        if device == "none" and not need.dry:
            continue
        setting = f"{name}={workload.params[name]!r}"
        if need.gpu and device == "cpu":
            yield f"{setting} needs a GPU; run it on a machine that has one, or with --perf-device none"
        if need.compiler and shutil.which(compiler := os.environ.get("CXX", "g++")) is None:
            yield f"{setting} needs a C++ compiler, and {compiler} is not here; install it: apt-get install g++"
        if need.folder and not (folder := folder_of(workload.params[name])).is_dir():
            yield (
                f"{setting} needs the folder {folder}, which is not here; "
                f"fetch it: hf download kernels-community/{folder.name} --local-dir {folder}"
            )
        if need.package and not is_here(need):
            asked = f"'{need.package}>={need.since}'" if need.since else need.pip or need.package
            what = f"'perfgate[{need.extra}]'" if need.extra else asked
            least = f" {need.since} or newer" if need.since else ""
            yield (
                f"{setting} needs the package {need.package}{least}, which is not installed; "
                f"install it: {sys.executable} -m pip install {what}"
            )


def folder_of(kernel: str) -> Path:
    """The folder in ``LAYER=FOLDER:CLASS``."""
    return Path(kernel.partition("=")[2].rpartition(":")[0])
