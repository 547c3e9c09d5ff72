"""Finds the file and line of the user's or a library's code at which something happens."""

import re
import sys
import sysconfig
from pathlib import Path
from types import FrameType, TracebackType

import torch

ROOT = str(Path.cwd())  # the run's folder, stored here because a dry run changes to another folder
# An environment that lies over another one has packages in several folders.
PACKAGES = tuple(dict.fromkeys([sysconfig.get_paths()["purelib"], *filter(re.compile("-packages$").search, sys.path)]))
HERE = Path(__file__).parent
# Code of torch and Perfgate, where users do not look for the cause.
MACHINERY = (
    str(Path(torch.__file__).parent),
    *(str(path) for path in HERE.glob("*.py")),
    str(HERE.parent / "instruments"),
    str(HERE.parent / "pace.py"),
    str(HERE.parent / "process.py"),
    str(HERE.parent / "programs" / "base.py"),
)


def place() -> str:
    """The running line, as ``file:line``: the innermost one that is neither in torch nor in Perfgate's machinery."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_machinery(frame.f_code.co_filename):
        frame = frame.f_back
    return "" if frame is None else f"{short(frame.f_code.co_filename)}:{frame.f_lineno}"


def place_of(error: BaseException) -> str:
    """The line that raised an error, chosen as in ``place``; empty if there is none."""
    found = ""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not is_machinery(name):
            found = f"{short(name)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def is_machinery(name: str) -> bool:
    """Whether a file belongs to torch or to Perfgate's machinery, or is no file at all."""
    return name.startswith(MACHINERY) or name.startswith("<")


def short(name: str) -> str:
    """A file's path relative to the run's folder or to the installed packages; any other path is returned whole."""
    for root in (*PACKAGES, ROOT):
        if name.startswith(f"{root}/"):
            return name[len(root) + 1 :]
    return name
