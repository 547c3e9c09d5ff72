"""Instruments read metrics from a running program. Each module in this folder defines one, and is found automatically.

A module defines ``INSTRUMENT``, a subclass of ``Instrument``, whose ``passes`` say in which passes it takes part. An
instrument that slows the program down belongs to a separate pass. Users add their own instruments with the hook
``pytest_perfgate_instruments``.
"""

import importlib
import pkgutil
from collections.abc import Sequence

from perfgate.actor.devices.base import Device
from perfgate.actor.instrument import Instrument


def for_pass(name: str, device: Device, added: Sequence[str] = ()) -> list[Instrument]:
    """Build the instruments of one pass, in alphabetical order of their modules, the innermost ones last.

    Args:
        name: the name of the pass.
        device: the device that the program runs on.
        added: the import paths ``module:Class`` of instruments that users added.

    Raises:
        ImportError: an added instrument cannot be imported.
        TypeError: an added instrument is no subclass of ``Instrument``.
    """
    chosen = [cls for cls in (*map(imported, added), *own()) if name in cls.passes]
    return [cls(device) for cls in sorted(chosen, key=lambda cls: cls.innermost)]


def own() -> list[type[Instrument]]:
    """The classes of Perfgate's own instruments, in alphabetical order of their modules."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{module}").INSTRUMENT for module in modules]


def imported(path: str) -> type[Instrument]:
    """The class of a user's instrument, from its import path."""
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ImportError(f"instrument {path} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Instrument)):
        raise TypeError(f"instrument {path} is no subclass of perfgate.actor.instruments.Instrument")
    return found
