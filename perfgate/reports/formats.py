"""The formats that every command can write: a new one is one function here, and one line in ``WRITERS``.

A format of a user's own is a function ``writer(report: Report) -> str``, named by its import path ``module:function``.
"""

import importlib
import io
import json
import shutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from perfgate.reports.report import Report
from perfgate.shared.errors import UserError, nearest

if TYPE_CHECKING:
    import pandas as pd

Writer = Callable[[Report], str]
WIDTH = 240  # columns, where no terminal says how wide it is
RATED = ("verdict", "level")  # columns whose value gives a row its colour
STYLES = {
    "regressed": "bold red",
    "accepted": "bold yellow",
    "stale": "red",
    "invalid": "magenta",
    "inconclusive": "yellow",
    "improved": "green",
}


def terminal(report: Report, interactive: bool = False) -> str:
    """Headings, sentences and tables by rich.

    Args:
        report: what to write.
        interactive: whether a terminal shows it: then in colour, and as wide as the terminal.
    """
    from rich.console import Console
    from rich.markup import escape

    stream = io.StringIO()
    width = shutil.get_terminal_size().columns if interactive else WIDTH
    console = Console(file=stream, force_terminal=interactive, width=width)

    def print_lines(lines: Any) -> None:
        for line in lines:
            # Unwrapped, so that a command can be copied.
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    for section in report.sections:
        if section.title:
            console.print(f"[bold]{escape(section.title)}[/bold]", highlight=False, soft_wrap=True)
        print_lines(section.lines)
        for name, frame in section.tables.items():
            console.print(rich_table(name, frame))
        print_lines(section.notes)
    return stream.getvalue()


def rich_table(title: str, frame: "pd.DataFrame") -> Any:
    """A data frame as a table for the terminal; a row that holds a verdict has its colour."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title) or None, title_justify="left", header_style="bold")
    for column in frame.columns:
        table.add_column(escape(str(column)), overflow="fold")
    rated = bool(len(frame.columns)) and frame.columns[0] in RATED
    for row in frame.fillna("").itertuples(index=False):
        cells = [str(cell) for cell in row]
        table.add_row(*map(escape, cells), style=STYLES.get(cells[0], "") if rated else "")
    return table


def markdown(report: Report) -> str:
    """Headings, paragraphs and pipe tables, for a pull request's comment."""
    blocks = []
    for section in report.sections:
        blocks += [f"## {section.title}"] if section.title else []
        blocks += section.lines
        for name, frame in section.tables.items():
            blocks += [f"### {name}"] if name else []
            blocks.append(pipe_table(frame))
        blocks += section.notes
    return "".join(f"{block}\n\n" for block in blocks)


def pipe_table(frame: "pd.DataFrame") -> str:
    """A data frame as a markdown table; a bar inside a cell is escaped."""
    safe = frame.fillna("").astype(str).map(lambda cell: cell.replace("|", "\\|").replace("\n", " "))
    return safe.to_markdown(index=False, disable_numparse=True)


def csv(report: Report) -> str:
    """The table of plain numbers, with a line of column names."""
    return report.rows.to_csv(index=False)


def as_json(report: Report) -> str:
    """The document as JSON."""
    return json.dumps(report.document, indent=1) + "\n"


WRITERS: Mapping[str, Writer] = {"terminal": terminal, "markdown": markdown, "csv": csv, "json": as_json}


def find_writer(name: str) -> Writer:
    """The writer of a format: one of ``WRITERS`` by its name, or one of the user's by ``module:function``.

    Raises:
        UserError: there is no such format, or its module or function cannot be imported.
    """
    if name in WRITERS:
        return WRITERS[name]
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise UserError(f"unknown format {name!r}{nearest(name, WRITERS)}, or module:function for one of your own")
    try:
        writer = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UserError(f"format {name} cannot be imported: {error}") from None
    return checked(name, writer)


def checked(name: str, writer: Callable[[Report], object]) -> Writer:
    """The same writer, which must return text.

    Raises:
        UserError: it is no function, or, when it is called, it returns something else.
    """
    if not callable(writer):
        raise UserError(f"format {name} is no function; it takes a Report and returns text")

    def write(report: Report) -> str:
        text = writer(report)
        if not isinstance(text, str):
            raise UserError(f"format {name} returned {type(text).__name__}; it must return text")
        return text

    return write
