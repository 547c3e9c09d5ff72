"""A topic of the tour, as data."""

from collections.abc import Mapping
from dataclasses import dataclass

from perfgate.shared.workload import Workload


@dataclass(frozen=True)
class Column:
    """A number that a topic's table shows.

    Attributes:
        head: its heading in the table.
        metric: the metric's name.
        per: a number in the dry run's ledger to divide it by, such as ``parameters``; empty for none.
    """

    head: str
    metric: str
    per: str = ""


@dataclass(frozen=True)
class Topic:
    """One topic: workloads that differ in one thing, the numbers that differ, and the reason.

    Attributes:
        name: the name for ``perfgate tour NAME``.
        title: its heading.
        idea: the idea, shown before it runs.
        rows: the workloads by their names in the table; the others are compared with the first one.
        columns: the columns of its table.
        look: a sentence that points to the important numbers.
        why: the explanation of the numbers.
        cases: the file below ``perf_tests/`` whose cases gate the same.
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
