"""Checks whether this machine has the packages, GPU, compiler and folders that a workload's settings need.

If something is missing, the case is skipped at run time, with the reason.
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

# Each need of each setting, with the setting's name.
NEEDS: tuple[tuple[str, Need], ...] = tuple(
    dict.fromkeys((setting.name, need) for kind in KINDS.values() for setting in kind for need in setting.needs)
)


def needs_of(workload: Workload) -> Iterator[tuple[str, Need]]:
    """The needs of a workload, each with the name of the setting that has it.

    Settings at their default are not among a workload's parameters, so they need nothing. A parameter that has the name
    of a setting counts in any program, because users often build their own programs on Perfgate's.
    """
    kind = workload.id.partition(".")[0]
    for name, need in NEEDS:
        if name not in workload.params or (need.kinds and kind not in need.kinds):
            continue
        if not need.values or workload.params[name] in need.values:
            yield name, need


def is_here(need: Need) -> bool:
    """Whether the needed package can be imported and is new enough."""
    try:
        found = find_spec(need.package) is not None
    except ModuleNotFoundError:  # raised if the parent of a dotted name is missing
        return False
    return found and (not need.since or Version(version(need.package)) >= Version(need.since))


def sees_device_at_import(workload: Workload) -> str:
    """The name of a package that this workload needs and that looks for a GPU while it is imported, or ``""``.

    A fork server must not import such a package, because no device is visible to a fork server. It must not import peft
    either, which imports bitsandbytes if that is installed.
    """
    packages = {need.package for _, need in needs_of(workload)}
    return "bitsandbytes" if "bitsandbytes" in packages else ""


def check_needs(workload: Workload, device: str, room: int = 1) -> None:
    """Check that this machine can run a workload.

    Args:
        workload: the workload with its settings.
        device: kind of the device, or ``none`` if there is only a dry run.
        room: number of ranks that can each have a device of their own, or on a CPU a core of their own.

    Raises:
        Unavailable: it cannot. The message has the reason and, if something can be installed, the command that does.
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
    """One sentence for each thing that a workload needs and this machine lacks."""
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
    """The folder of a kernel that is written ``LAYER=FOLDER:CLASS``."""
    return Path(kernel.partition("=")[2].rpartition(":")[0])
