"""Instruments read metrics from a running program. Each module here reads one family, and is found by being here.

Each defines ``INSTRUMENT``, a subclass of ``base.Instrument``. Its ``passes`` say in which passes it
takes part; an instrument that slows the program down belongs to a pass of its own.
"""

import importlib
import pkgutil

from perfgate.actor.devices.base import Device
from perfgate.actor.instruments.base import Instrument


def for_pass(name: str, device: Device) -> list[Instrument]:
    """Build the instruments of one pass, in alphabetical order of their modules, the innermost ones last."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")
    classes = [importlib.import_module(f"{__name__}.{module}").INSTRUMENT for module in modules]
    chosen = [cls for cls in classes if name in cls.passes]
    return [cls(device) for cls in sorted(chosen, key=lambda cls: cls.innermost)]
