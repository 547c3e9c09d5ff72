"""Instruments read metrics from a running program: one file a family, found by being here.

A module in this folder defines ``INSTRUMENT``, a subclass of ``Instrument``. Its ``passes`` say in which passes it
takes part; an instrument that slows the program down belongs to a pass of its own. Users add theirs by the hook
``pytest_perfgate_instruments``.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Any

from perfgate.actor.devices import Device


class Instrument:
    """Reads one family of metrics. The methods are called in the order in which they stand here.

    Attributes:
        passes: in which it takes part.
        innermost: whether it begins last and ends first, so that the others' work is not in what it reads.
        by_itself: what to call steps of its own, after those that are timed, where it takes part in these alone.
        steps: how many steps lie between ``begin_step`` and ``end_step``: more than one in a burst.
    """

    passes: frozenset[str] = frozenset()
    innermost = False
    by_itself = ""
    steps = 1

    def __init__(self, device: Device) -> None:
        self.device = device

    def start(self) -> None:
        """Called before the program is built."""

    def built(self, program: Any) -> None:
        """Called with the program, before its first step."""

    def begin_step(self) -> None:
        """Called as the last thing before a step, or before the first one of a burst."""

    def end_step(self) -> dict[str, Any]:
        """Called as the first thing after a step or burst; returns the metrics of a step, the mean one of a burst."""
        return {}

    def finish(self) -> dict[str, Any]:
        """Called after the last step; returns the launch's metrics, or lists with a value a step."""
        return {}

    def findings(self) -> dict[str, Any]:
        """Called last; returns what else is worth knowing, as JSON: by module path where that is known."""
        return {}


def for_pass(name: str, device: Device, added: Sequence[str] = ()) -> list[Instrument]:
    """Build the instruments of one pass, in alphabetical order of their modules, the innermost ones last.

    Args:
        name: of the pass.
        device: that the program runs on.
        added: import paths ``module:Class`` of instruments that users added.

    Raises:
        ImportError: an added instrument cannot be imported.
        TypeError: an added instrument is no subclass of ``Instrument``.
    """
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    classes = [importlib.import_module(f"{__name__}.{module}").INSTRUMENT for module in modules]
    chosen = [cls for cls in (*map(imported, added), *classes) if name in cls.passes]
    return [cls(device) for cls in sorted(chosen, key=lambda cls: cls.innermost)]


def imported(path: str) -> type[Instrument]:
    """The instrument that a user named by its import path."""
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ImportError(f"instrument {path} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Instrument)):
        raise TypeError(f"instrument {path} is no subclass of perfgate.actor.instruments.Instrument")
    return found
