"""Finds a program and checks its attributes.

A name of Perfgate's with another meaning fails here, with a sentence, and not later in another place.
"""

import importlib
import inspect
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from perfgate.actor.failures import NoProgram, WrongProgram
from perfgate.actor.programs.base import Program


@dataclass(frozen=True)
class Meaning:
    """The meaning that an attribute of a program has for Perfgate.

    Attributes:
        what: the meaning in words.
        holds: whether a value has this meaning.
    """

    what: str
    holds: Callable[[Any], bool]


def whole(least: int) -> Callable[[Any], bool]:
    """A check for whole numbers from ``least`` on, including numpy's."""

    def holds(value: Any) -> bool:
        try:
            return not isinstance(value, bool) and operator.index(value) >= least
        except TypeError:
            return False

    return holds


METHODS = ("step", "drive", "effective", "outcome", "parts")
MEANINGS = {
    "samples": Meaning("how many samples a step handles, a whole number", whole(0)),
    "tokens": Meaning("how many real tokens a step handles, a whole number", whole(0)),
    "ranks": Meaning("how many processes share a step, a whole number from 1 on", whole(1)),
    "network": Meaning(
        "the model that it runs, a torch module, or None",
        lambda value: value is None or (hasattr(value, "named_modules") and hasattr(value, "parameters")),
    ),
    "components": Meaning("the networks of a pipeline, a dict by name", lambda value: isinstance(value, Mapping)),
    "phases": Meaning(
        "its clock of phases, a perfgate Phases, or None", lambda value: value is None or hasattr(value, "span")
    ),
    "host_work": Meaning("whether a step is the host's alone, a bool", lambda value: isinstance(value, bool)),
    "threaded": Meaning("whether a thread of its own does the work, a bool", lambda value: isinstance(value, bool)),
    "repeats_calls": Meaning(
        "whether each step enters the same functions of Python, a bool", lambda value: isinstance(value, bool)
    ),
    "keeps_outcome": Meaning("whether its outcome will be asked for", lambda value: isinstance(value, bool)),
}


def find_program(path: str) -> Any:
    """Find the class of a program.

    Args:
        path: ``module:Class``.

    Raises:
        NoProgram: this interpreter has no such module, or the module has no such class.
        ImportError: the module exists, but does not work with the installed libraries.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise NoProgram(f"{path} cannot be imported: {error}") from None
    except AttributeError as error:
        # An error that the module itself raised is not changed.
        if getattr(error, "obj", None) is None or getattr(error, "name", "") != name:
            raise
        raise NoProgram(f"{path}: {error}") from None


def check_program(program: Any, path: str) -> None:
    """Refuse a program whose attributes have another meaning for Perfgate.

    Args:
        program: the program after it was built.
        path: ``module:Class``.

    Raises:
        WrongProgram: an attribute is wrong; the message has its name, its value, its meaning and the remedy.
    """
    if not isinstance(program, Program):
        raise WrongProgram(f"{path} is no subclass of perfgate.Program")
    for name in METHODS:
        if not callable(getattr(program, name)):
            raise WrongProgram(
                f"{path} sets {name} to {told(getattr(program, name))}, and {name}() is a method that Perfgate calls; "
                f"choose another name for it, like own_{name}"
            )
    for name, meaning in MEANINGS.items():
        value = getattr(program, name)
        if not meaning.holds(value):
            raise WrongProgram(
                f"{path} sets {name} to {told(value)}, and Perfgate reads in it {meaning.what}; "
                f"choose another name for it, like own_{name}"
            )


def told(value: Any) -> str:
    """A value in a few characters on one line."""
    if inspect.ismodule(value) or callable(value):
        return f"a {type(value).__name__}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"a {type(value).__name__} of {text[:30]}..."
