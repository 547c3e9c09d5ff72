"""Generates C for the entry points that torch's libraries import and the handwritten sources do not define."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from perfgate.shared.errors import UserError

NOT_SUPPORTED_BY_DRIVER = 801
NOT_SUPPORTED_BY_CUDNN = 3000
UNKNOWN = "an unknown error"
VISIBLE = '__attribute__((visibility("default")))'
# cuBLAS functions that configure a multiplication succeed; those that return an index or a number are refused.
CONFIGURES = re.compile(r"cublasLt\w+SetAttribute$")
ANSWERS = re.compile(r"cublas(Lt|Get|Set|I?[SDCZ]?[sdcz]?(am|asum|nrm2|rotm?g))")
NOT_SUPPORTED_BY_CUBLAS = 15
# Libraries that are not emulated, with the status that each returns for "not supported".
REFUSED = {"cusolver": 9, "cusparse": 10, "cufft": 16, "nccl": 5}
# Their preparations succeed, so that the first real work is what fails; versions come from the real library.
PREPARES = re.compile(r"(cusolverDn|cusparse|cufft)(Create|Destroy|Set(Stream|PointerMode|AutoAllocation|WorkArea))$")
TELLS = re.compile(r"(cusparse|nccl)Get(ErrorString|LastError)$")
REAL = re.compile(r"(cusolver|cusparse|cufft|nccl)Get(Version|Property)$")
NOT_SUPPORTED_BY_RUNTIME = 801


def stubs(libraries: Path, headers: Sequence[Path], source: Path) -> str:
    """C code for all functions that are imported or declared and not written by hand.

    A cuBLAS call that computes counts as one kernel. The driver's other functions exist, because libraries look up all
    names in advance, but return "not supported".

    Args:
        libraries: the folder of torch's shared libraries.
        headers: folders, one of which holds ``cuda.h``.
        source: the folder of the handwritten sources.
    """
    written = {path.name: path.read_text() for path in source.glob("*.c")}
    lines = ['#include "emu.h"', "extern void *emu_stream_of(void *handle);"]
    own = set(re.findall(r"\b(?:B\()?((?:cublas|cudnn)\w+)\)?\(", written["libs.c"] + written["cudnn.c"]))
    for name in sorted(imported(libraries) - own):
        if name.startswith("cublas"):
            lines.append(of_cublas(name))
        elif name.startswith("cudnn"):
            lines.append(refusal(name, NOT_SUPPORTED_BY_CUDNN))
        elif library := next((library for library in REFUSED if name.startswith(library)), ""):
            lines += of_refused(name, REFUSED[library])
        elif re.match(r"cuda[A-Z]|__cuda", name) and not re.search(rf"\b{name}\b", "".join(written.values())):
            lines.append(refusal(name, NOT_SUPPORTED_BY_RUNTIME))
    driver, runtime = (header_named(name, headers) for name in ("cuda.h", "driver_types.h"))
    names = [
        names_of("emu_error_name", re.findall(r"\b(cudaError\w+|cudaSuccess)\s*=\s*(\d+)", runtime)),
        names_of("emu_result_name", re.findall(r"\b(CUDA_ERROR_\w+|CUDA_SUCCESS)\s*=\s*(\d+)", driver)),
    ]
    return "\n".join([*lines, *names, *of_driver(driver, "\n".join(written.values()))]) + "\n"


def header_named(name: str, headers: Sequence[Path]) -> str:
    """The text of a header in the first folder that has it.

    Raises:
        UserError: none has it.
    """
    for folder in headers:
        if (folder / name).exists():
            return (folder / name).read_text()
    raise UserError(f"the emulated GPU needs CUDA's header {name}, and there is none; set CUDA_HOME to a toolkit")


def names_of(function: str, numbered: Sequence[tuple[str, str]]) -> str:
    """A C function that returns the name of an error's number."""
    cases = {number: f'case {number}: return "{name}";' for name, number in numbered}
    body = " ".join([*cases.values(), f'default: return "{UNKNOWN}";'])
    return f"const char *{function}(int error) {{ switch (error) {{ {body} }} }}"


def imported(libraries: Path) -> set[str]:
    """The names that torch's shared libraries import without defining them."""
    names: set[str] = set()
    for library in libraries.glob("*.so"):
        command = ["nm", "-D", "--undefined-only", str(library)]
        listed = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True).stdout
        names |= {line.split()[-1].split("@")[0] for line in listed.splitlines()}
    return names


def of_cublas(name: str) -> str:
    """A cuBLAS function in C: configuring succeeds, returning a number is refused, computing counts as one kernel."""
    if CONFIGURES.match(name):
        return answer(name, 0)
    if ANSWERS.match(name):
        return refusal(name, NOT_SUPPORTED_BY_CUBLAS)
    return f'{VISIBLE} int {name}(void *h) {{ emu_library_call("{name}", emu_stream_of(h)); return 0; }}'


def of_refused(name: str, status: int) -> list[str]:
    """A function of a library that is not emulated: refused, except for preparations and error texts."""
    if REAL.match(name):
        return []
    if TELLS.match(name):
        return [f"{VISIBLE} const char *{name}(void) {{ return emu_why(); }}"]
    if name in ("cusolverDnCreate", "cusparseCreate"):
        return [f"{VISIBLE} int {name}(void **handle) {{ static char made; *handle = &made; return 0; }}"]
    if name == "cufftCreate":
        return [f"{VISIBLE} int {name}(int *handle) {{ *handle = 1; return 0; }}"]
    return [answer(name, 0) if PREPARES.match(name) else refusal(name, status)]


def of_driver(header: str, source: str) -> list[str]:
    """The driver's other functions, by their names with and without a version."""
    declared = set(re.findall(r"CUresult CUDAAPI\s+(cu\w+)\(", header))
    pairs = re.findall(r"#\s*define (cu\w+)\s+(cu\w+)\b", header)
    renamed = {plain: versioned for plain, versioned in pairs if re.fullmatch(rf"{plain}_v\d", versioned)}
    named = re.findall(r"\bD\((cu\w+)\)", source)
    written = {name if name == "cuEventElapsedTime" else renamed.get(name, name) for name in named}
    missing = sorted({renamed.get(name, name) for name in declared} - written)
    lines = [f"__attribute__((weak)) {refusal(name, NOT_SUPPORTED_BY_DRIVER)}" for name in missing]
    # Libraries that were built against the oldest interface look up names without a version.
    return lines + [
        f'__asm__(".text\\n.weak {plain}\\n.type {plain},@function\\n{plain}: jmp {versioned}@PLT");'
        for plain, versioned in sorted(renamed.items())
        if plain not in written
    ]


def answer(name: str, status: int) -> str:
    """A C function that is counted and returns a status."""
    return f'{VISIBLE} int {name}(void) {{ HIT("{name}"); return {status}; }}'


def refusal(name: str, status: int) -> str:
    """A C function that is counted and reports that it is not implemented."""
    return f'{VISIBLE} int {name}(void) {{ HIT("{name}"); return emu_missing("{name}", {status}); }}'
