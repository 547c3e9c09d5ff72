"""Finds fixtures of other plugins with a name of Perfgate's, so that no test counts as a case by its name alone."""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from perfgate.workloads.programs import OF_FIXTURE

OWN = "perfgate.plugin.hooks"
NAMES = ("perf", "effect")  # the fixtures that make an item a case
ALIAS = "perfgate_perf"


class PerfgateWarning(pytest.PytestWarning):
    """A warning about something that passes, or will pass, although it was not decided or not measured."""


def names_of(item: pytest.Item) -> list[str]:
    """The names of all fixtures that an item uses; ``perf`` and ``effect`` only if they are Perfgate's."""
    names = list(getattr(item, "fixturenames", []))
    own = [name for name in names if name not in NAMES or is_own(definitions(item, name))]
    return [*own, "perf"] if ALIAS in own and "perf" not in own else own


def builders_of(item: pytest.Item) -> list[str]:
    """The names of Perfgate's workload fixtures in a test that uses no fixture to measure them."""
    names = names_of(item)
    if {*NAMES} & {*names}:
        return []
    return [name for name in names if name in OF_FIXTURE and (found := definitions(item, name)) and is_own(found)]


def unasked(item: pytest.Item) -> str:
    """A sentence about a test that passed and measured nothing."""
    names, builders = names_of(item), builders_of(item)
    if builders:
        asks = f"{item.nodeid} asks for {' and '.join(builders)} and not for perf"
        return f"{asks}, so nothing was measured there: perf({builders[0]}(...))"
    name = "effect" if "effect" in names else "perf"
    return f"{item.nodeid} asks for {name} and never called {name}(), so nothing was measured there"


def definitions(item: pytest.Item, name: str) -> Sequence[Any]:
    """All definitions of a fixture that an item sees, the effective one last; empty if pytest does not tell."""
    found: Any = getattr(item, "_fixtureinfo", None)
    return tuple(getattr(found, "name2fixturedefs", {}).get(name, ()))


def is_own(found: Sequence[Any]) -> bool:
    """Whether a test gets Perfgate's fixture, directly or through a fixture that overrides and uses it."""
    for definition in reversed(found):
        if definition.func.__module__ == OWN:
            return True
        if definition.argname not in definition.argnames:
            return False
    return True  # pytest does not tell


def namesakes(items: Iterable[pytest.Item]) -> Iterator[tuple[pytest.Item, str]]:
    """One sentence for each foreign fixture with a name of Perfgate's, with the first item that uses it."""
    told = set()
    for item in items:
        for name in NAMES:
            found = definitions(item, name) if name in getattr(item, "fixturenames", ()) else ()
            others = [one for one in found if one.func.__module__ != OWN]
            if others and not is_own(found):
                sentence = taken(item, name, others[-1])
            elif others and found[-1].func.__module__ == OWN:
                sentence = hidden(name, others[-1])
            else:
                continue
            if others[-1] not in told:
                told.add(others[-1])
                yield item, sentence


def taken(item: pytest.Item, name: str, other: Any) -> str:
    """The sentence about a foreign fixture that a test gets in place of Perfgate's."""
    remedy = (
        f"; where Perfgate's is meant, ask for it as {ALIAS}" if name == "perf" else "; one of them needs another name"
    )
    return f"{item.nodeid} gets the fixture {name} of {place_of(other)}, so Perfgate measures nothing there{remedy}"


def hidden(name: str, other: Any) -> str:
    """The sentence about a foreign fixture that Perfgate's hides."""
    return (
        f"Perfgate's fixture {name} hides the one of {place_of(other)}; where that one is meant, "
        "switch Perfgate off: -p no:perfgate"
    )


def place_of(definition: Any) -> str:
    """The module and the line in which a fixture is defined."""
    function = inspect.unwrap(definition.func)
    code = getattr(function, "__code__", None)
    return f"{function.__module__} ({code.co_filename}:{code.co_firstlineno})" if code else str(function.__module__)
