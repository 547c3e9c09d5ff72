"""What a run is held against in place of stored numbers: another interpreter."""

import shutil
import subprocess
from pathlib import Path

from perfgate.errors import UserError
from perfgate.records.provenance import software, software_of


def find_interpreter(name: str) -> str:
    """The path of an interpreter.

    Raises:
        UserError: there is none of that name.
    """
    path = Path(name).expanduser()
    path = path / "bin" / "python" if path.is_dir() else path
    # A name alone is looked up as the shell does; an environment's link to its interpreter must stay a link.
    found = shutil.which(name) if path.name == name else shutil.which(path.absolute())
    if not found:
        raise UserError(f"--perf-ref is {name!r}; it must be a Python interpreter, or the folder of its environment")
    return str(found)


def check_differs(python: str) -> None:
    """Refuse to compare an interpreter with one that has the same.

    Raises:
        UserError: nothing differs, or the other one cannot be asked.
    """
    try:
        there, here = software_of(python), software()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise UserError(f"--perf-ref {python}: this interpreter does not tell its libraries: {error}") from None
    if missing := [name for name in ("torch", "transformers") if name not in there]:
        install = f"{python} -m pip install {' '.join(missing)}"
        raise UserError(f"--perf-ref {python} lacks {' and '.join(missing)}; install what is missing: {install}")
    there.pop("perfgate", None)  # a reference needs none
    if all(here.get(name) == version for name, version in there.items()):
        named = ", ".join(f"{name} {version}" for name, version in there.items())
        raise UserError(f"--perf-ref {python}: nothing differs between the two interpreters, both have {named}")
