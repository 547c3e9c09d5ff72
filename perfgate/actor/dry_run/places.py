"""Where in somebody's code a thing happens: file and line."""

import re
import sys
import sysconfig
from pathlib import Path
from types import FrameType, TracebackType

import torch

ROOT = str(Path.cwd())  # the folder of the run; a dry run moves to another
# An environment that lies over another one has packages in several folders.
PACKAGES = tuple(dict.fromkeys([sysconfig.get_paths()["purelib"], *filter(re.compile("-packages$").search, sys.path)]))
HERE = Path(__file__).parent
# Nobody looks for a fault of theirs in here.
MACHINERY = (
    str(Path(torch.__file__).parent),
    *(str(path) for path in HERE.glob("*.py")),
    str(HERE.parent / "instruments"),
    str(HERE.parent / "pace.py"),
    str(HERE.parent / "process.py"),
    str(HERE.parent / "programs" / "base.py"),
)


def place() -> str:
    """The line at work, as ``file:line``: the innermost one that is neither torch's nor the dry run's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_machinery(frame.f_code.co_filename):
        frame = frame.f_back
    return "" if frame is None else f"{short(frame.f_code.co_filename)}:{frame.f_lineno}"


def place_of(error: BaseException) -> str:
    """The line that an error comes from, chosen in the same way; empty where there is none."""
    found = ""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not is_machinery(name):
            found = f"{short(name)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def is_machinery(name: str) -> bool:
    """Whether a file belongs to torch or to the dry run, or is none at all."""
    return name.startswith(MACHINERY) or name.startswith("<")


def short(name: str) -> str:
    """A file's path below the run's folder or among the installed packages."""
    for root in (*PACKAGES, ROOT):
        if name.startswith(f"{root}/"):
            return name[len(root) + 1 :]
    return name
