"""Whether cases can run on an emulated GPU here (docs/emulated-gpu.md)."""

import sys

from perfgate.doctor.finding import Finding
from perfgate.measure.emulator.build import parts_for
from perfgate.shared.errors import UserError


def look() -> Finding:
    """A finding: an emulated GPU can be used, or what is missing and the command that helps."""
    try:
        toolkit, compiler = parts_for(sys.executable)
    except UserError as error:
        return Finding("emulated gpu", "note", f"No emulated GPU can be used: {error}.")
    text = f"An emulated GPU can be used: CUDA {toolkit.cuda} in {toolkit.torch}, compiler {compiler[0]}."
    return Finding("emulated gpu", "ok", text, "pytest --perf-device emulated")
