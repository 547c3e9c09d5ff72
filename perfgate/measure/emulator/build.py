"""Builds the emulated driver for the torch of an interpreter, once, and keeps it in the user's cache."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from platformdirs import user_cache_path

from perfgate.measure.emulator.profiles import Profile
from perfgate.measure.emulator.symbols import header_named, stubs
from perfgate.shared.errors import UserError
from perfgate.shared.private import private

SOURCE = Path(__file__).with_name("source")
HEADERS = ("cuda.h", "cuda_runtime_api.h", "driver_types.h", "cublas_v2.h", "cublasLt.h", "cudnn.h", "cupti.h")
# The file names under which torch's libraries look for the driver.
NAMES = ("libcuda.so.1", "libcuda.so", "libnvidia-ml.so.1")
PLANS = "plans.txt"  # what cuDNN said of the plans that were asked for
FLAGS = ("-O2", "-fPIC", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-fvisibility=hidden")
LINK = ("-ldl", "-lpthread", "-Wl,-Bsymbolic")
WANTED = "python -m pip install torch==2.14.1"


@dataclass(frozen=True)
class Toolkit:
    """The parts from which the library is built, besides its sources.

    Attributes:
        torch: the folder of the package.
        cuda: the version of CUDA that this torch was built for.
    """

    torch: Path
    cuda: str

    @property
    def libraries(self) -> Path:
        """Folder of torch's shared libraries."""
        return self.torch / "lib"

    @property
    def headers(self) -> list[Path]:
        """Folders with the headers of CUDA and its libraries: the toolkit in ``CUDA_HOME`` first, then the wheels.

        Triton's wheel has the compiler's headers, which NVIDIA's wheel of the runtime lacks.
        """
        wheels = self.torch.parent
        named = [Path(os.environ["CUDA_HOME"]) / "include"] if os.environ.get("CUDA_HOME") else []
        own = [wheels / "nvidia" / part / "include" for part in (f"cu{self.cuda.split('.')[0]}", "cudnn")]
        return [*named, *own, wheels / "triton" / "backends" / "nvidia" / "include"]


def started_on(profile: Profile, python: str = sys.executable) -> Mapping[str, str]:
    """The variables that start a process of an interpreter on the emulated card.

    Raises:
        UserError: the library cannot be built here.
    """
    place = built(python)
    before = [os.environ[name] for name in ("LD_PRELOAD",) if os.environ.get(name)]
    path = [os.environ[name] for name in ("LD_LIBRARY_PATH",) if os.environ.get(name)]
    return {
        "LD_PRELOAD": ":".join([str(place / "libemu.so"), *before]),
        "LD_LIBRARY_PATH": ":".join([str(place), *path]),
        "TRITON_LIBCUDA_PATH": str(place),
        "EMU_PROFILE": profile.described,
        "EMU_PLANS": str(place / PLANS),
    }


def built(python: str) -> Path:
    """The folder with the library for an interpreter's torch; it is built if it does not exist yet.

    Raises:
        UserError: this is no Linux on x86-64, the torch is not built for CUDA, or there is no compiler.
    """
    toolkit, compiler = parts_for(python)
    generated = stubs(toolkit.libraries, toolkit.headers, SOURCE)
    place = private(user_cache_path("perfgate") / "emulator") / digest_of(toolkit, generated)
    if not (place / "libemu.so").exists():
        with TemporaryDirectory(dir=place.parent, prefix="building-") as folder:
            done = Path(folder) / "done"
            done.mkdir()
            compile_into(done, compiler, toolkit, generated)
            with suppress(OSError):  # another process was faster
                done.rename(place)
    return place


def parts_for(python: str) -> tuple[Toolkit, list[str]]:
    """Torch's folders and the compiler's command, after a check that nothing is missing for the build.

    Raises:
        UserError: this is no Linux on x86-64, the torch is not built for CUDA, or a tool or a header is missing.
    """
    toolkit = toolkit_of(python)
    compiler = shlex.split(os.environ.get("CC", "")) or [shutil.which("cc") or shutil.which("gcc") or ""]
    if not compiler[0] or not shutil.which(compiler[0]):
        named = f"the compiler {compiler[0]}, which CC names, is not there" if compiler[0] else "there is none"
        raise UserError(f"the emulated GPU is built by a C compiler, and {named}; install one: apt install gcc")
    if not shutil.which("nm"):
        raise UserError("the emulated GPU is built with nm, and there is none; install it: apt install binutils")
    for header in HEADERS:
        header_named(header, toolkit.headers)
    return toolkit, compiler


def toolkit_of(python: str) -> Toolkit:
    """Find an interpreter's torch and the CUDA version that it was built for, without importing torch.

    Raises:
        UserError: there is no torch for CUDA, or no emulation for this system.
    """
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise UserError(f"the emulated GPU needs Linux on x86-64, and this is {sys.platform} on {os.uname().machine}")
    code = "import importlib.util, runpy, pathlib; p = pathlib.Path(importlib.util.find_spec('torch').origin).parent; "
    code += "print(p); print(runpy.run_path(p / 'version.py')['cuda'] or '')"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, errors="replace", check=False)
    found = done.stdout.splitlines()
    if done.returncode or len(found) != 2 or not found[1]:
        raise UserError(f"the emulated GPU needs a torch that is built for CUDA, and {python} has none: {WANTED}")
    return Toolkit(Path(found[0]), found[1])


def digest_of(toolkit: Toolkit, generated: str) -> str:
    """The name of a build; it changes with the sources, with torch and with the imports of torch's libraries."""
    digest = hashlib.sha256(f"{toolkit.torch} {toolkit.cuda}\n{generated}".encode())
    for path in sorted(SOURCE.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def compile_into(folder: Path, compiler: Sequence[str], toolkit: Toolkit, generated: str) -> None:
    """Compile the library, and link it under the names by which the driver is found.

    Raises:
        UserError: the compiler fails; the message has its output.
    """
    (folder / "stubs.c").write_text(generated)
    includes = [f"-I{path}" for path in (SOURCE, *toolkit.headers)]
    sources = [*(str(path) for path in sorted(SOURCE.glob("*.c"))), str(folder / "stubs.c")]
    command = [*compiler, *FLAGS, *includes, "-shared", "-o", str(folder / "libemu.so"), *sources, *LINK]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise UserError(f"the emulated GPU does not compile against {toolkit.torch}", done.stderr[-2000:])
    for name in NAMES:
        (folder / name).symlink_to("libemu.so")
