"""What ``perfgate doctor`` found, for people."""

from typing import Any, TextIO

from perfgate.doctor.diagnosis import Diagnosis
from perfgate.doctor.finding import LEVELS
from perfgate.reports.run_report import console_for

STYLES = {"problem": "bold red", "note": "yellow", "ok": "green"}
WIDTH = 120


def terminal(diagnosis: Diagnosis, stream: TextIO, interactive: bool = False) -> None:
    """What can be measured and gated, then every finding, the worst first; commands stand on lines of their own."""
    from rich.text import Text

    console = console_for(stream, interactive)
    console.width = min(console.width, WIDTH)
    console.print(f"[bold]{'Cases can' if diagnosis.fit else 'No case can'} be measured here.[/bold]\n")
    abilities = [(one.what, yes(one.measured), yes(one.gated), one.why) for one in diagnosis.abilities]
    console.print(grid([("", "measured", "gated", ""), *abilities]))
    console.print()
    worst_first = sorted(diagnosis.findings, key=lambda finding: LEVELS.index(finding.level))
    rows = [
        (Text(finding.level, STYLES[finding.level]), finding.topic, told(finding.text, finding.remedy))
        for finding in worst_first
    ]
    console.print(grid(rows))


def grid(rows: list[tuple[Any, ...]]) -> Any:
    """Columns without lines; nothing in a cell is taken for markup."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for _ in rows[0]:
        table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return table


def yes(value: bool) -> str:
    """A truth in one word."""
    return "yes" if value else "no"


def told(text: str, remedy: str) -> Any:
    """A finding's sentence, and its command below it."""
    from rich.text import Text

    return Text.assemble(text, *([("\n$ ", "dim"), (remedy, "bold")] if remedy else []))
