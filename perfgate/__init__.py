"""Performance regression tests for Hugging Face models.

Three names are for users; each is imported when it is first asked for, so that importing ``perfgate`` costs nothing.

- ``Model``: which model a case runs, and where it comes from.
- ``Program``: the base class of programs of your own; a subclass says what one step does.
- ``Workload``: a program and its parameters, which is what the fixtures ``perf`` and ``effect`` take.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfgate.actor.programs.base import Program
    from perfgate.shared.workload import Workload
    from perfgate.workloads.models.model import Model

__version__ = "0.2.0"
__all__ = ["Model", "Program", "Workload", "__version__"]
# A reference interpreter sees only this file, shared/ and actor/: there Program and Workload are found, Model is not.
_MODULES = {
    "Model": "perfgate.workloads.models.model",
    "Program": "perfgate.actor.programs.base",
    "Workload": "perfgate.shared.workload",
}


def __getattr__(name: str) -> Any:
    """Import one of the public names; called only for names that are not there yet."""
    if name not in _MODULES:
        raise AttributeError(f"module 'perfgate' has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    """The public names, those that were not asked for yet among them."""
    return sorted({*globals(), *__all__})
