"""The last lines that a run prints, with the commands for the next steps."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from perfgate.gate.acceptance import Acceptance, accepted_lines, unused_lines
from perfgate.plugin.coverage import UNSEEN, is_without_actors
from perfgate.plugin.ends import Ends
from perfgate.plugin.options import Options
from perfgate.plugin.products import Products
from perfgate.plugin.sides import Sides
from perfgate.plugin.target import Target
from perfgate.plugin.unjudged import Unjudged
from perfgate.shared.command import command
from perfgate.shared.credentials import concealed

if TYPE_CHECKING:
    from perfgate.cases.update import Update


UNCALIBRATED = (
    "How much duets vary on this machine is not known, so a case that its first duet cleared has no interval; learn it "
    "with: perfgate calibrate"
)


def last_lines(
    options: Options,
    arguments: Sequence[str],
    results: Sequence[Mapping[str, Any]],
    sides: Sides,
    update: "Update | None",
    path: Path,
) -> list[str]:
    """Lines with the decisions, the stored baselines, and helpful commands.

    Args:
        options: the options of the run.
        arguments: pytest's arguments.
        results: the results of all cases, as ``attach`` stores them.
        sides: the two sides, with the accepted regressions.
        update: the result of storing baselines; ``None`` if nothing was to be stored.
        path: the run file.
    """
    from perfgate.records.traces import Trace
    from perfgate.reports.bar import bar_lines
    from perfgate.reports.summary import some, summary
    from perfgate.reports.traces import trace_lines
    from perfgate.reports.update import update_line

    again = command_of(arguments, options.root)
    traces = [Trace.from_json(trace) for result in results for trace in result["traces"]]
    stored = [update_line(update, again)] if update else []
    if not results:
        return stored
    traced = some(trace_lines(traces, relative(path.parent, Path.cwd())))
    swept = (
        [f"Nothing was compared. Time over energy: perfgate compare-settings {relative(path, Path.cwd())}"]
        if options.power_limits_w
        else []
    )
    more = [*swept, *bar_lines(sides.bar), *acceptance_lines(sides.accepted, results), *sides.misread, *traced, *stored]
    return summary(results, None if options.reference else again, relative(path, Path.cwd()), options.update, more)


def product_lines(products: Products) -> list[str]:
    """Lines that name the page, and say that the run was added to the history."""
    page = products.page and f"Page, to open in a browser: {relative(products.page, Path.cwd())}"
    return [line for line in (page, products.kept) if line]


def unseen_lines(
    config: pytest.Config, options: Options, sides: Sides, target: Target, ends: Ends, unjudged: Unjudged
) -> list[str]:
    """Lines about things that this run could not see, such as unjudged baselines or unknown noise."""
    from perfgate.reports.summary import other_machines

    lines = [*unjudged.lines()]
    if unjudged.holders:
        again = command_of(config.invocation_params.args, options.root)
        lines.append(other_machines(target.device.machine.name, target.kind, unjudged.holders, again))
    if sides.reference and target.timed and not target.noise.df:
        lines.append(UNCALIBRATED)
    if target.kind != "none" and not options.launches:
        lines.append("No times were taken, as --perf-launches is 0.")
    if ends.unasked:
        named = ", ".join(sorted(ends.unasked))
        lines.append(f"Not measured, as no workload was given to perf() or effect(): {named}")
    if is_without_actors(config):
        lines.append(UNSEEN)
    return lines


def acceptance_lines(accepted: Sequence[Acceptance], results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines about accepted regressions, and about acceptances that had no use."""
    from perfgate.records.verdict import Verdict

    verdicts = [Verdict(**verdict) for result in results for verdict in result["verdicts"]]
    return [*accepted_lines(verdicts), *unused_lines(accepted, verdicts)]


def command_of(arguments: Sequence[str], root: str) -> str:
    """The command that repeats a run without its options for storing.

    Args:
        arguments: pytest's arguments.
        root: the folder of the cases, which a wrapper command adds by itself.
    """
    again = concealed(f"{command()} {shlex.join(without_update(arguments))}".strip())
    return again.replace(f"{command()} {root}", command()) if "PERFGATE_COMMAND" in os.environ else again


def without_update(arguments: Sequence[str]) -> list[str]:
    """The arguments of a run without ``--perf-update`` and ``--perf-reason``."""
    kept: list[str] = []
    dropped = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if name in ("--perf-update", "--perf-reason"):
            dropped = not equals
        elif dropped:
            dropped = False
        else:
            kept.append(argument)
    return kept


def relative(path: Path, folder: Path) -> str:
    """The shortest form of a path."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
