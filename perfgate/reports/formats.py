"""The formats in which every command can write its report. A new format is one function and one line in ``WRITERS``.

Users can name a format of their own by the import path ``module:function`` of a function
``writer(report: Report) -> str``.
"""

import importlib
import io
import json
import re
import shutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from perfgate.reports.digest import Safe, plain
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError, nearest

if TYPE_CHECKING:
    import pandas as pd

Writer = Callable[[Report], str]
WIDTH = 100  # columns, if the output is no terminal
BARS = "▁▂▃▄▅▆▇█"  # bars for a line of values, the lowest first
NUMBER_WIDTH = 14  # the widest cell that is never broken, in columns
LEAST_WIDTH = 12  # the narrowest that a breakable cell may become, in columns
JOINT = re.compile(r"(?<=::)|(?<=/)|(?<=_)|(?=\[)|(?<=-)")  # the places where an id may be broken
RATED = ("verdict", "level")  # a first column with this name colours its row
STYLES = {
    "regressed": "bold red",
    "accepted": "bold yellow",
    "stale": "red",
    "invalid": "magenta",
    "inconclusive": "yellow",
    "improved": "green",
}


def terminal(report: Report, interactive: bool = False) -> str:
    """Write headings, sentences and tables for a terminal, with rich.

    Args:
        report: the report to write.
        interactive: whether the output is a terminal; it is then in colour, and as wide as the terminal.
    """
    from rich.console import Console
    from rich.markup import escape

    stream = io.StringIO()
    width = shutil.get_terminal_size().columns if interactive else WIDTH
    console = Console(file=stream, force_terminal=interactive, width=width, emoji=False)

    def print_lines(lines: Any) -> None:
        for line in lines:
            # Lines are not wrapped, so that commands can be copied.
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    for section in report.sections:
        if section.title:
            console.print(f"[bold]{escape(section.title)}[/bold]", highlight=False, soft_wrap=True)
        print_lines(section.lines)
        for name, frame in section.tables.items():
            console.print(rich_table(name, frame, width))
        print_lines(section.notes)
    return stream.getvalue()


def rich_table(title: str, frame: "pd.DataFrame", width: int = WIDTH) -> Any:
    """Make a table for the terminal from a data frame; a verdict in the first column colours its row.

    Numbers with units and lines of bars stay whole. Columns of longer text share the rest of the width; they are
    broken between words, and ids at their joints.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title) or None, title_justify="left", header_style="bold")
    texts = [list(map(str, column)) for column in frame.fillna("").itertuples(index=False)]
    longest = [
        max((len(line) for row in texts for line in row[at].split("\n")), default=0) for at in range(len(frame.columns))
    ]
    heads = [max(map(len, str(column).split()), default=0) for column in frame.columns]
    drawn = [all(set(row[at]) <= {*BARS} for row in texts) for at in range(len(frame.columns))]
    numbers = [size <= NUMBER_WIDTH or line for size, line in zip(longest, drawn, strict=True)]
    taken = sum(max(size, head) for size, head, number in zip(longest, heads, numbers, strict=True) if number)
    left = width - taken - 3 * len(frame.columns) - 1
    share = max(left // max(numbers.count(False), 1), LEAST_WIDTH)
    for column, size, head, number in zip(frame.columns, longest, heads, numbers, strict=True):
        table.add_column(escape(str(column)), overflow="fold", width=max(size, head) if number else None)
    rated = bool(len(frame.columns)) and frame.columns[0] in RATED
    for row in texts:
        cells = [cell if number else broken(cell, share) for cell, number in zip(row, numbers, strict=True)]
        table.add_row(*map(escape, cells), style=STYLES.get(cells[0], "") if rated else "")
    return table


def broken(text: str, width: int) -> str:
    """A cell's text in lines that fit, broken between words, and long words at their joints."""
    lines = []
    for line in text.split("\n"):
        lines.append("")
        for word in line.split(" "):
            space = " " if lines[-1] else ""
            if len(lines[-1]) + len(space) + len(word) <= width:
                lines[-1] += space + word
                continue
            for piece in JOINT.split(word) if len(word) > width else [word]:
                if lines[-1] and len(lines[-1]) + len(space) + len(piece) > width:
                    lines.append("")
                    space = ""
                lines[-1] += space + piece
                space = ""
    return "\n".join(lines)


def markdown(report: Report) -> str:
    """Write markdown, for example for a comment on a pull request: the digest, or headings, paragraphs and tables."""
    if report.digest:
        return "".join(f"{line}\n" for line in report.digest())
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
    """Make a markdown table from a data frame; no text of a cell can break it."""
    safe = frame.astype(object).fillna("").map(lambda cell: cell if isinstance(cell, Safe) else plain(str(cell)))
    return safe.to_markdown(index=False, disable_numparse=True)


def csv(report: Report) -> str:
    """Write the table of plain numbers, after a line of column names."""
    return report.rows.to_csv(index=False)


def as_json(report: Report) -> str:
    """Write the report's document as JSON."""
    return indented(report.document) + "\n"


def indented(value: Any, depth: int = 0) -> str:
    """The text of ``json.dumps(value, indent=1)``, in a third of its time, because Python's fast encoder cannot indent.

    The fast encoder writes every value without nested mappings and lists; its separators contain the line breaks.
    """
    inner, outer = "\n" + " " * (depth + 1), "\n" + " " * depth
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    if not parts:
        return json.dumps(value)
    if not any(isinstance(part, dict | list | tuple) and part for part in parts):
        text = json.dumps(value, separators=(f",{inner}", ": "))
        return f"{text[0]}{inner}{text[1:-1]}{outer}{text[-1]}"
    begin, end = "{}" if isinstance(value, dict) else "[]"
    keys = [json.dumps({key: 0})[1:-4] + ": " for key in value] if isinstance(value, dict) else [""] * len(parts)
    lines = (f"{key}{indented(part, depth + 1)}" for key, part in zip(keys, parts, strict=True))
    return f"{begin}{inner}{f',{inner}'.join(lines)}{outer}{end}"


def html(report: Report) -> str:
    """Write one page that needs no network; a report without a page of its own becomes sentences and tables."""
    from perfgate.reports.page.assemble import history_page, page, plain_page

    if report.history:
        return history_page(report.history())
    return page(report.page()) if report.page else plain_page(report.sections)


WRITERS: Mapping[str, Writer] = {
    "terminal": terminal,
    "markdown": markdown,
    "csv": csv,
    "json": as_json,
    "html": html,
}


def find_writer(name: str) -> Writer:
    """Find the writer of a format: one of ``WRITERS`` by its name, or a user's own by ``module:function``.

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
    """Wrap a user's writer so that its result is checked.

    Raises:
        UserError: the writer is no function, or returns something other than text when it is called.
    """
    if not callable(writer):
        raise UserError(f"format {name} is not a function; a format is a function that takes a Report and returns text")

    def write(report: Report) -> str:
        text = writer(report)
        if not isinstance(text, str):
            raise UserError(f"format {name} returned {type(text).__name__}; it must return text")
        return text

    return write
