"""The report of ``perfgate tour``: each topic with its idea, its numbers, and their explanation."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import pandas as pd

from perfgate.reports.lecture.topic import Topic
from perfgate.reports.lecture.walk import Told, shown
from perfgate.reports.report import Report, Section
from perfgate.shared.errors import UserError
from perfgate.shared.metrics import METRICS

WIDTH = 100


def tour_report(told: Sequence[Told], written: bool = False) -> Report:
    """The report of all topics.

    Args:
        told: the topics that were run.
        written: whether each topic was already written when it ended, so that only the ending remains.
    """
    sections = [] if written else [section for one in told for section in (opening(one.topic), closing(one))]
    lines = [{"topic": one.topic.name, "row": row, **numbers(one, row)} for one in told for row in one.values]
    document = {"schema": "perfgate.reports.lecture/1", "topics": [one.to_json() for one in told]}
    return Report([*sections, ending(told)], pd.DataFrame(lines), document)


def opening(topic: Topic) -> Section:
    """The section before a topic runs: its idea and its command."""
    return Section(topic.title, [*wrap(topic.idea, WIDTH), f"    {topic.command}"])


def closing(told: Told) -> Section:
    """The section after a topic ran: its numbers, where to look, and why."""
    if all(number is None for values in told.values.values() for number in values.values()):
        return Section(lines=[f"{told.topic.name}: {told.problem}"])
    notes = [*wrap(f"Look: {told.topic.look}", WIDTH), *wrap(f"Why: {told.topic.why}", WIDTH)]
    notes += [f"Took {told.took_s:.0f} s. Gated by perf_tests/{told.topic.cases}"]
    return Section(tables={"": table(told)}, notes=[*([told.problem] if told.problem else []), *notes])


def ending(told: Sequence[Told]) -> Section:
    """The section at the end: the number of finished topics, and those that were left out."""
    lacking = [one for one in told if one.problem]
    seconds = sum(one.took_s for one in told)
    lines = [f"{len(told) - len(lacking)} of {len(told)} topics were told, in {seconds:.0f} s."]
    return Section(lines=[*lines, *(f"{one.topic.name}: {one.problem}" for one in lacking)])


def table(told: Told) -> pd.DataFrame:
    """A row for each workload, with units."""
    rows = [
        {"": row, **{column.head: shown(column, values.get(column.head)) for column in told.topic.columns}}
        for row, values in told.values.items()
    ]
    return pd.DataFrame(rows)


def numbers(told: Told, row: str) -> dict[str, float | None]:
    """A row's numbers in base units, by the metrics' names."""
    return {
        column.metric + (f"_per_{column.per}" if column.per else ""): told.values[row].get(column.head)
        for column in told.topic.columns
    }


def draw(told: Told, path: Path) -> None:
    """Draw the columns that a topic shows in a picture, as bars in SVG.

    Raises:
        UserError: the file cannot be written.
    """
    import pygal

    drawn = [column for column in told.topic.columns if column.head in told.topic.drawn]
    unit = "bytes a parameter" if drawn[0].per else METRICS[drawn[0].metric].unit
    chart = pygal.StackedBar(
        title=told.topic.title,
        y_title=unit,
        legend_at_bottom=True,
        show_legend=len(drawn) > 1,
        x_label_rotation=20,
        js=[],
        width=800,
        height=420,
    )
    chart.x_labels = list(told.values)
    for column in drawn:
        chart.add(column.head, [values.get(column.head) for values in told.values.values()])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chart.render())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None
