"""The comparison report of one or more run files, in the formats that people and programs ask for."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

import pandas as pd

from perfgate.gate.verdicts import summarize
from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.reports.memory import memory_rows, memory_table
from perfgate.reports.tables import long_table, setting_rows, technique_tables, verdict_table
from perfgate.reports.work import group_table, work_rows, work_tables


def terminal(runs: Sequence[RunFile], stream: TextIO, interactive: bool = False, work: str | None = None) -> None:
    """Tables by rich; in colour and as wide as the terminal where there is one."""
    from rich.markup import escape

    console = console_for(stream, interactive)
    for run in runs:
        console.print(f"[bold]{escape(title(run))}[/bold]")
        console.print(escape(subtitle(run)))
        if run.verdicts and work is None:
            console.print(escape(counts(run.verdicts)))
            console.print(rich_table("Verdicts", verdict_table(run.verdicts)))
        for name, frame in tables(run, work).items():
            console.print(rich_table(name, frame))


def tables(run: RunFile, work: str | None) -> dict[str, pd.DataFrame]:
    """The tables of each technique, then those of memory and work; or the break-down of some cases' work alone."""
    if work is not None:
        return work_tables(run, work)
    more = {
        "memory: predicted and measured": memory_table(run),
        "work: each operator group's share of FLOPs / of bytes moved": group_table(run),
    }
    return technique_tables(run) | {name: frame for name, frame in more.items() if not frame.empty}


def verdicts_for_terminal(verdicts: Sequence[Verdict], stream: TextIO, interactive: bool = False) -> None:
    """The table of verdicts alone."""
    console_for(stream, interactive).print(rich_table("Verdicts", verdict_table(verdicts)))


def console_for(stream: TextIO, interactive: bool) -> Any:
    """A console that writes into a stream as if it were standard output."""
    from rich.console import Console

    width = shutil.get_terminal_size().columns if interactive else WIDE
    return Console(file=stream, force_terminal=interactive, width=width)


WIDE = 240
STYLES = {"regressed": "bold red", "stale": "red", "invalid": "magenta", "inconclusive": "yellow", "improved": "green"}


def rich_table(title: str, frame: pd.DataFrame) -> Any:
    """A data frame as a table for the terminal; the rows of a verdict have its colour."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", header_style="bold")
    for column in frame.columns:
        table.add_column(str(column), overflow="fold")
    for row in frame.fillna("").itertuples(index=False):
        cells = [str(cell) for cell in row]
        table.add_row(*map(escape, cells), style=STYLES.get(cells[0], "") if title == "Verdicts" else "")
    return table


def markdown(runs: Sequence[RunFile], stream: TextIO, interactive: bool = False, work: str | None = None) -> None:
    """For a pull request's comment."""
    del interactive
    for run in runs:
        stream.write(f"## {title(run)}\n\n{subtitle(run)}\n\n")
        if run.verdicts and work is None:
            stream.write(f"{counts(run.verdicts)}\n\n{pipe_table(verdict_table(run.verdicts))}\n\n")
        for name, frame in tables(run, work).items():
            stream.write(f"### {name}\n\n{pipe_table(frame)}\n\n")


def pipe_table(frame: pd.DataFrame) -> str:
    """A data frame as a markdown table; a bar inside a cell is escaped."""
    safe = frame.fillna("").astype(str).map(lambda cell: cell.replace("|", "\\|").replace("\n", " "))
    return safe.to_markdown(index=False, disable_numparse=True)


def csv(runs: Sequence[RunFile], stream: TextIO, interactive: bool = False, work: str | None = None) -> None:
    """One row for each run, case and metric; or for each run, case, module and group of operators."""
    del interactive
    frames = [long_table(run) if work is None else pd.DataFrame(broken_down(run, work)) for run in runs]
    frames = [frame.assign(run=run.header["run_id"]) for frame, run in zip(frames, runs, strict=True)]
    pd.concat(frames).to_csv(stream, index=False)


def broken_down(run: RunFile, work: str) -> list[dict[str, Any]]:
    """The work of the cases whose id holds a text."""
    return [row for row in work_rows(run) if work in row["case"]]


def as_json(runs: Sequence[RunFile], stream: TextIO, interactive: bool = False, work: str | None = None) -> None:
    """One document with everything that the tables show, in plain numbers."""
    del interactive
    documents = [
        {
            "run": dict(run.header),
            "summary": summarize(run.verdicts),
            "verdicts": [verdict.to_json() for verdict in run.verdicts],
            "settings": setting_rows(run),
            "memory": memory_rows(run),
            "work": broken_down(run, work or ""),
        }
        for run in runs
    ]
    stream.write(json.dumps({"runs": documents}, indent=1) + "\n")


FORMATS: Mapping[str, Callable[[Sequence[RunFile], TextIO, bool, str | None], None]] = {
    "terminal": terminal,
    "markdown": markdown,
    "csv": csv,
    "json": as_json,
}


def title(run: RunFile) -> str:
    """Which run it is."""
    return f"Perfgate run {run.header['run_id']}"


def subtitle(run: RunFile) -> str:
    """Where and with what it ran."""
    header = run.header
    this = one_side(header["software"], header.get("commit"), " with changes" if header.get("dirty") else "")
    text = f"Machine {header['machine']['name']}; {this}; {header['created']}"
    if not (reference := header.get("reference")):
        return text
    there = one_side(reference.get("software") or {}, reference.get("commit"))
    return f"{text}\nReference {reference['name']}: {there}{also_moved(reference.get('moved') or {})}"


def one_side(software: Mapping[str, str], commit: str | None, changes: str = "") -> str:
    """Libraries and commit of one side."""
    at = [f"commit {commit[:10]}{changes}"] if commit else []
    return ", ".join([*(f"{name} {version}" for name, version in software.items()), *at])


def also_moved(moved: Mapping[str, Sequence[str]]) -> str:
    """Packages that both sides have in different versions, as a clause: the reference's version first."""
    both = [f"{name} {before} -> {now}" for name, (before, now) in moved.items() if before and now]
    return f"; other versions there: {', '.join(both)}" if both else ""


def counts(verdicts: Sequence[Verdict]) -> str:
    """How many verdicts of each kind."""
    return ", ".join(f"{count} {name}" for name, count in summarize(verdicts).items())
