"""Lists the traces of a case, for the terminal, for an explanation and for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from perfgate.records.runfile import RunFile
from perfgate.records.traces import Trace, traces_of

OPEN = "Open a trace at https://ui.perfetto.dev or in chrome://tracing."
WORDS = {"candidate": "", "reference": " (reference)"}


def trace_lines(traces: Sequence[Trace], folder: str | Path, reference_folder: str | Path = "") -> list[str]:
    """A line for each trace, and one on how to open them; empty without traces.

    Args:
        traces: the traces of any cases.
        folder: the folder of the run file.
        reference_folder: the folder of the reference's run file, if that is another one.
    """
    folders = {"candidate": Path(folder), "reference": Path(reference_folder or folder)}
    lines = [
        f"Trace of {trace.case}{WORDS[trace.side]}: {folders[trace.side] / trace.file}"
        if trace.file
        else f"No trace of {trace.case}{WORDS[trace.side]}: {trace.why}."
        for trace in traces
    ]
    return [*lines, OPEN] if any(trace.file for trace in traces) else lines


def traces_of_sides(run: RunFile, base: RunFile | None = None) -> Mapping[str, Sequence[Trace]]:
    """The traces of each case: those of a run or, in a comparison of two runs, the candidates of both."""
    now = traces_of(run)
    if base is None or base is run:
        return now
    found: dict[str, list[Trace]] = {}
    for traces in (now, traces_of(base)):
        for case, each in traces.items():
            candidates = [trace for trace in each if trace.side == "candidate"]
            found.setdefault(case, []).extend(
                candidates if traces is now else [replace(trace, side="reference") for trace in candidates]
            )
    return found
