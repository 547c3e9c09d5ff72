"""A topic of the tour, as data."""

from collections.abc import Mapping
from dataclasses import dataclass

from perfgate.shared.workload import Workload


@dataclass(frozen=True)
class Column:
    """A number to look at.

    Attributes:
        head: what the table calls it.
        metric: its name in the registry of metrics.
        per: a number of the dry run's ledger by which it is divided, such as ``parameters``; empty for none.
    """

    head: str
    metric: str
    per: str = ""


@dataclass(frozen=True)
class Topic:
    """One topic: workloads that differ in one thing, the numbers that tell them apart, and why they come out so.

    Attributes:
        name: what ``perfgate tour NAME`` takes.
        title: its heading.
        idea: what it is about, told before it runs.
        rows: the workloads by their names in the table; the first one is what the others are held against.
        columns: the numbers to look at.
        look: a sentence that says where to look.
        why: why the numbers come out so.
        cases: the file of this repository's suite that gates the same, below ``perf_tests/``.
        exact: whether steps are only run dry, without times.
        package: a package that it needs besides torch and transformers; empty for none.
        drawn: heads of the columns that its picture shows; empty for no picture.
    """

    name: str
    title: str
    idea: str
    rows: Mapping[str, Workload]
    columns: tuple[Column, ...]
    look: str
    why: str
    cases: str
    exact: bool = False
    package: str = ""
    drawn: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command that runs it."""
        return f"perfgate tour {self.name}"
