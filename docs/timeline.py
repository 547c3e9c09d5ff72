"""Draw what a run did over time, from its run file: python docs/timeline.py RUN OUT.svg

Above, every launch of the run on the server that forked it; below, one timed launch taken apart. Launches stand where
they were recorded; within a launch the durations are recorded, and the places follow from their order.
"""

import itertools
import statistics
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

from perfgate.records.launch import Launch
from perfgate.records.runfile import RunFile, read
from perfgate.reports.run_report import title

WIDTH, LEFT, RIGHT = 1200, 110, 30
ROW, GAP = 34, 8
COLOURS = {
    "servers": ("#9aa5b1", "servers start: import torch, once a run"),
    "dry": ("#b39ddb", "dry run: the step on fake tensors"),
    "counters": ("#f2b766", "counters: every operator is watched"),
    "memory": ("#6fbf8b", "memory: the profiler is on"),
    "time": ("#4f83cc", "timed launch: nothing but the clock"),
    "setup": ("#c9d3de", "fork, and set-up of the program"),
    "warmup": ("#a9c4ea", "warm-up steps"),
    "step": ("#4f83cc", "timed steps of the case"),
    "yardstick": ("#d9534f", "steps of the yardstick"),
}
UPPER = ("servers", "dry", "counters", "memory", "time")
LOWER = ("setup", "warmup", "step", "yardstick")


def main(run_path: str, target: str) -> None:
    """Read the run, and write the picture."""
    run = read(run_path)
    launches = sorted(run.launches, key=began)
    end = max(began(launch) + launch.details.span.took_s for launch in launches)
    parts = [*head(run), *whole_run(launches, end, 110), *one_launch(next(filter(is_timed, launches)), 330)]
    parts += legend(UPPER, 236) + legend(LOWER, 470)
    style = "font-family: Helvetica, Arial, sans-serif; font-size: 13px"
    size = f'width="{WIDTH}" height="510" viewBox="0 0 {WIDTH} 510"'
    text = "\n".join([f'<rect {size} fill="white"/>', *parts])
    Path(target).write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{style}">\n{text}\n</svg>\n')


def began(launch: Launch) -> float:
    """Seconds since the run's first case came up."""
    return float(launch.details.span.began_s)


def is_timed(launch: Launch) -> bool:
    """Whether it went through with the clock on."""
    return launch.pass_name == "time" and not launch.invalid


def head(run: RunFile) -> list[str]:
    """The run's name and machine."""
    software = run.header["software"]
    where = f"{run.header['machine']['name']}, torch {software['torch']}, transformers {software['transformers']}"
    return [
        label(20, 28, "What a run does over time", 'font-size="18" font-weight="bold"'),
        label(20, 48, f"{title(run)} on {where}", 'fill="#555"'),
    ]


def whole_run(launches: list[Launch], end_s: float, top: int) -> Iterator[str]:
    """A row a server, a bar a launch, a bracket a case."""
    scale = (WIDTH - LEFT - RIGHT) / end_s
    servers = sorted({launch.server for launch in launches if launch.server})
    rows = {name: top + number * (ROW + GAP) for number, name in enumerate(servers)}
    for name, y in rows.items():
        yield label(20, y + 22, name)
        yield bar(LEFT, y, began(launches[0]) * scale, "servers")
    for launch in launches:
        x, width = LEFT + began(launch) * scale, launch.details.span.took_s * scale
        yield bar(x, rows[launch.server], width, launch.pass_name, f"{launch.case}, {launch.pass_name}")
    for case, group in itertools.groupby(launches, key=lambda launch: launch.case):
        members = list(group)
        left = LEFT + began(members[0]) * scale
        right = LEFT + (began(members[-1]) + members[-1].details.span.took_s) * scale
        yield f'<path d="M{left:.1f} {top - 6} v-6 H{right - 3:.1f} v6" fill="none" stroke="#555"/>'
        yield label(left, top - 18, case.partition("::test_")[2], 'font-size="11"')
    yield from axis(end_s, scale, top + len(servers) * (ROW + GAP))


def one_launch(launch: Launch, top: int) -> Iterator[str]:
    """The case's row and the yardstick's, from the fork to the last step."""
    took_s, steps, rods = launch.details.span.took_s, launch.metrics["step_time_s"], launch.yardstick_s
    scale = (WIDTH - LEFT - RIGHT) / took_s
    low = top + ROW + GAP
    name = f"One timed launch of {launch.case}, taken apart: {len(steps)} steps, the yardstick beside each"
    yield label(20, top - 14, name, 'font-weight="bold"')
    yield label(20, top + 22, "case")
    yield label(20, low + 22, "yardstick")
    setup_s, first_s, typical_s = launch.metrics["setup_s"], launch.metrics["first_step_s"], statistics.median(steps)
    beside = launch.details.yardstick.steps
    turns = list(zip(steps, rods, strict=True))
    start = took_s - sum(step + beside * rod for step, rod in turns)
    warm = (first_s, typical_s, typical_s)
    at = start - sum(warm)
    yield bar(LEFT, top, setup_s * scale, "setup")
    yield bar(LEFT + setup_s * scale, low, (at - setup_s) * scale, "setup")
    for warm_s in warm:
        yield bar(LEFT + at * scale, top, warm_s * scale, "warmup")
        at += warm_s
    at = start
    for step, rod in turns:
        spans = [("step", top, step), ("yardstick", low, beside * rod)]
        for kind, y, span_s in spans if launch.details.turns.first == "case" else reversed(spans):
            yield bar(LEFT + at * scale, y, span_s * scale, kind)
            at += span_s
    yield from axis(took_s, scale, low + ROW + GAP)


def axis(end_s: float, scale: float, y: float) -> Iterator[str]:
    """Ticks at round seconds."""
    tick_s = next(step for step in (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60) if end_s / step <= 14)
    yield f'<path d="M{LEFT} {y} H{WIDTH - RIGHT}" stroke="#999"/>'
    for number in range(int(end_s / tick_s) + 1):
        x = LEFT + number * tick_s * scale
        yield f'<path d="M{x:.1f} {y} v4" stroke="#999"/>'
        yield label(x, y + 17, f"{number * tick_s:g} s", 'text-anchor="middle" fill="#555"')


def legend(kinds: tuple[str, ...], y: int) -> list[str]:
    """What the colours mean, in a row."""
    step = (WIDTH - 40) / len(kinds)
    texts = [COLOURS[kind][1].split(": ") for kind in kinds]
    found = []
    for number, (kind, words) in enumerate(zip(kinds, texts, strict=True)):
        x = 20 + number * step
        found.append(f'<rect x="{x:.1f}" y="{y}" width="14" height="14" fill="{COLOURS[kind][0]}"/>')
        found += [label(x + 20, y + 12 + 16 * line, text) for line, text in enumerate(words)]
    return found


def bar(x: float, y: float, width: float, kind: str, told: str = "") -> str:
    """A span of time; ``told`` shows when the mouse is on it."""
    inside = f"<title>{escape(told)}</title>" if told else ""
    size = f'x="{x:.1f}" y="{y}" width="{max(width - 0.6, 0.6):.1f}" height="{ROW}"'
    return f'<rect {size} fill="{COLOURS[kind][0]}">{inside}</rect>'


def label(x: float, y: float, text: str, style: str = "") -> str:
    """A line of text."""
    return f'<text x="{x:.1f}" y="{y}" {style}>{escape(text)}</text>'


if __name__ == "__main__":
    main(*sys.argv[1:])
