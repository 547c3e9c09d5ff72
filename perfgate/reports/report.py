"""What a command has to say, before anyone decides how it is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd  # takes half a second, which a command's --help need not pay


@dataclass(frozen=True)
class Section:
    """One part of a report for people.

    Attributes:
        title: its heading; may be empty.
        lines: sentences above the tables; a line that begins with four spaces is a command.
        tables: by title; the cells are text with units, and an empty cell is ``None``.
        notes: sentences below the tables.
    """

    title: str = ""
    lines: Sequence[str] = ()
    tables: Mapping[str, "pd.DataFrame"] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Report:
    """The same content three times: for people, for a spreadsheet, and for a program. A format writes one of them.

    Attributes:
        sections: for people.
        rows: one table of plain numbers, in the units that the column names end in.
        document: the same as nested mappings and lists that JSON can hold.
    """

    sections: Sequence[Section]
    rows: "pd.DataFrame"
    document: Mapping[str, Any]
