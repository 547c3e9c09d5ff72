"""Counts the values that an emulated card did not compute but the host read, by operator."""

import ctypes
import json
import re
from collections import Counter
from collections.abc import Iterator

# For each operator's name, a part of the name of its last kernel.
KERNELS = {
    "all": re.compile("and_kernel"),
    "any": re.compile("or_kernel"),
    "isfinite": re.compile("10MulFunctorIbE"),
    "nonzero": re.compile("DeviceReduce(SingleTile)?Kernel.*plus|NonZero|flag_kernel|DeviceSelect"),
    "comparison": re.compile(r"Compare\w*Functor"),
}
TELLING = re.compile(r"(?:CUDAFunctor\w*_)(\w+)|(\w+?)_?(?:Functor|Ops|kernel)(?:_cuda|_impl)?")
LENGTH = re.compile(r"\d+")


def assumed_values() -> Counter[str]:
    """The number of times that this process's host read an assumed value, by operator and value: ``all: true``.

    Raises:
        RuntimeError: this process does not run on the emulated card.
    """
    try:
        report = ctypes.CDLL(None).emu_report
    except AttributeError:
        raise RuntimeError("this process does not run on an emulated card") from None
    report.restype = ctypes.c_char_p
    found: Counter[str] = Counter()
    for kind in json.loads(report())["assumed"]:
        value = "true" if kind["true"] else "zeros" if kind["bytes"] else "zeros, more than 64 bytes"
        found[f"{operator_of(kind['after'])}: {value}"] += kind["times"]
    return found


def last_refusal() -> str:
    """The last called function that the emulated card does not have, as a clause; empty on other devices."""
    try:
        why = ctypes.CDLL(None).emu_why
    except AttributeError:
        return ""
    why.restype = ctypes.c_char_p
    return str(why().decode())


def operator_of(kernel: str) -> str:
    """The common name of the operator whose last kernel this is.

    Args:
        kernel: the kernel's name in the object file, mangled if it is C++.
    """
    if not kernel.startswith("_Z"):
        return kernel or "no kernel"
    for operator, pattern in KERNELS.items():
        if pattern.search(kernel):
            return operator
    names = [*identifiers(kernel)]
    telling = [found[1] or found[2] for name in names if (found := TELLING.fullmatch(name))]
    return (telling or names or [kernel])[-1]


def identifiers(mangled: str) -> Iterator[str]:
    """The identifiers in a mangled name, in which each follows its length."""
    at = 0
    while found := LENGTH.search(mangled, at):
        end = found.end() + int(found[0])
        name = mangled[found.end() : end]
        at = end if name.isidentifier() and len(name) == int(found[0]) else found.end()
        if at == end and name:
            yield name
