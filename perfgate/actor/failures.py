"""Describes why a launch ended, in the stage's words."""

import re
import traceback
from pathlib import Path

from perfgate.actor.devices.assumed import last_refusal
from perfgate.shared.wire import NO_PROGRAM, NOT_EMULATED, UNSUPPORTED

# The last one is the end of cuBLAS's and cuDNN's statuses, such as CUBLAS_STATUS_ALLOC_FAILED.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "_status_alloc_failed")
ASKED_ON_CPU = re.compile(r"tried to allocate (\d+) bytes")
# "Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.23 GiB is free."
ASKED_ON_GPU = re.compile(r"Tried to allocate ([\d.]+ \w+)\..*?of which ([\d.]+ \w+) is free", re.DOTALL)


# An emulated card prints this when it cannot go on; CUDA's own hints follow on further lines.
EMULATED = re.compile(r"the emulated GPU (computes no values|does not implement)[^\n]*")

# Libraries whose errors consist of a number only.
NUMBERED = re.compile(r"cusolver error|cuFFT error")


class NotFinite(ArithmeticError):  # noqa: N818  named as the stage names the reason
    """A loss or a logit is NaN or infinite."""


class Unsupported(Exception):  # noqa: N818  an answer, not an error
    """The device does not support the workload, so no other launch can succeed; the message is the reason."""


class NoProgram(Exception):  # noqa: N818  an answer, not an error
    """This interpreter has no such program; the message is a clause that names it."""


class WrongProgram(Exception):  # noqa: N818  as above
    """A program sets an attribute that it must not; the message is a clause that names program and attribute."""


class WrongModel(Exception):  # noqa: N818  as above
    """A model cannot be built from its source; the message is a clause that says what helps."""


# Errors whose message says everything, so that no traceback is needed.
SENTENCES: dict[type[BaseException], str] = {
    Unsupported: UNSUPPORTED,
    NoProgram: NO_PROGRAM,
    WrongProgram: "wrong program",
    WrongModel: "wrong model",
}


def reason_of(error: BaseException) -> str:
    """The kind of end: ``not finite``, a value of ``SENTENCES``, ``out of memory``, ``not emulated`` or ``crash``."""
    if isinstance(error, NotFinite):
        return "not finite"
    for kind, reason in SENTENCES.items():
        if isinstance(error, kind):
            return reason
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(phrase in text for phrase in OUT_OF_MEMORY):
        return "out of memory"
    return NOT_EMULATED if refused(error) else "crash"


def message_of(error: BaseException) -> str:
    """The requested and the free memory if memory ran out and they are known; otherwise the error's own words."""
    text = str(error)
    if is_sentence(error):
        return text
    if found := ASKED_ON_GPU.search(text):
        return f"it does not fit: {found[1]} asked, {found[2]} free"
    if found := ASKED_ON_CPU.search(text):
        free = free_bytes()
        return f"it does not fit: {in_gib(int(found[1]))} asked" + (f", {in_gib(free)} free" if free else "")
    if told := refused(error):
        return told + place_of(error)
    return first_line(error)


def refused(error: BaseException) -> str:
    """The sentence with which an emulated card ended a step; empty if it did not."""
    text = str(error)
    found = EMULATED.search(text + (last_refusal() if NUMBERED.search(text) else ""))
    return found[0] if found else ""


def place_of(error: BaseException) -> str:
    """The place of an error outside of torch, as a clause with file and line; empty if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    named = [frame for frame in frames if "/torch/" not in frame.filename]
    return f", at {'/'.join(Path(named[-1].filename).parts[-3:])}:{named[-1].lineno}" if named else ""


def is_sentence(error: BaseException) -> bool:
    """Whether the message says everything, so that nobody needs the traceback."""
    return isinstance(error, tuple(SENTENCES))


def in_gib(size_bytes: int) -> str:
    """A number of bytes as text in GiB."""
    return f"{size_bytes / 2**30:.2f} GiB"


def free_bytes() -> int:
    """The available memory of the host in bytes (Linux); 0 if it cannot be found out."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def first_line(error: BaseException) -> str:
    """The exception's type and the first line of its message."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
