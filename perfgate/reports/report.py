"""The content of a command's report, independent of the format in which it is written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd  # takes half a second, which --help must not cost


@dataclass(frozen=True)
class Section:
    """One part of a report for people.

    Attributes:
        title: the heading; may be empty.
        lines: sentences above the tables; a line that begins with four spaces is a command.
        tables: by title; the cells are text with units, and an empty cell is ``None``.
        notes: sentences below the tables.
        planes: pictures of settings by time and memory, which only a page shows.
    """

    title: str = ""
    lines: Sequence[str] = ()
    tables: Mapping[str, "pd.DataFrame"] = field(default_factory=dict)
    notes: Sequence[str] = ()
    planes: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Report:
    """The same content in several forms; each format writes one of them.

    Attributes:
        sections: the content for people.
        rows: one table of plain numbers for a spreadsheet; column names end in their units.
        document: nested mappings and lists for a program; JSON values only.
        page: makes the content for the format ``html``; ``None`` for a report without a page.
        history: makes the content for ``html`` of a history; ``None`` for any other report.
        digest: makes the lines of the format ``markdown``; ``None`` for a report whose markdown is its sections.
    """

    sections: Sequence[Section]
    rows: "pd.DataFrame"
    document: Mapping[str, Any]
    page: "Callable[[], Mapping[str, Any]] | None" = None
    digest: "Callable[[], Sequence[str]] | None" = None
    history: "Callable[[], Mapping[str, Any]] | None" = None
