"""Draws the report of a run as the picture in the README: ``python docs/picture.py RUN OUT.svg``."""

import io
import sys
from pathlib import Path

from rich.console import Console

from perfgate.records.runfile import read
from perfgate.reports.formats import rich_table
from perfgate.reports.run_report import counts, subtitle, title
from perfgate.reports.tables import technique_tables, verdict_table

WORST = 8


def main(run_path: str, target: str) -> None:
    """Draw the worst verdicts and then the table of each technique."""
    run = read(run_path)
    console = Console(record=True, width=168, file=io.StringIO())
    console.print(f"[bold]{title(run)}[/bold]\n{subtitle(run)}\n{counts(run.verdicts)}")
    console.print(rich_table("Verdicts", verdict_table(run.verdicts).head(WORST)))
    for name, frame in technique_tables(run).items():
        console.print(rich_table(name, frame))
    console.save_svg(target, title=f"perfgate report {Path(run_path).name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
