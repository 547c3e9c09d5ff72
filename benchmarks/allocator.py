"""Draws the memory of torch's allocator during a training step on an emulated card, from torch's own snapshot.

    .venv-cuda/bin/python -m benchmarks.allocator [--shape Llama-3.2-1B] [--card h100-sxm-80gb] allocator.svg

From left to right are the events of the third step: a block is taken, or given back. The areas are the memory that was
taken before the step and in each of its parts. It needs a torch that is built for CUDA (docs/emulated-gpu.md).
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.emulated import STEPS, built
from perfgate.measure.emulator.build import started_on
from perfgate.measure.emulator.profiles import PROFILES, STANDARD
from perfgate.workloads.models.shapes import SHAPES

PARTS = {
    "before": ("#9aa5b1", "taken before the step: parameters, AdamW's state, inputs, workspaces"),
    "forward": ("#6fbf8b", "taken in the forward pass: activations, and what is given back at once"),
    "backward": ("#4f83cc", "taken in the backward pass: gradients, and what is given back at once"),
    "optimizer": ("#f2b766", "taken by AdamW: lists as large as its groups of parameters"),
}
WIDTH, HEIGHT, LEFT, RIGHT, TOP = 1200, 560, 90, 30, 80
PLOT, COLUMNS = 340, 540
BLOCK = 512
GIB = 1 << 30


@dataclass(frozen=True)
class Moment:
    """The memory after an event of the allocator, in bytes.

    Attributes:
        held: the memory in use by the part of the step that took it, in the order of ``PARTS``.
        reserved: the memory that the allocator took from the device.
    """

    held: tuple[int, ...]
    reserved: int


@dataclass(frozen=True)
class Step:
    """A step as the allocator recorded it.

    Attributes:
        title: model, batch and card.
        events: the snapshot's events, each with ``action``, ``addr`` and ``size``; a snapshot separates two parts.
        before: allocated and reserved bytes before the step.
        peak: allocated bytes at most, as torch counts them.
    """

    title: str
    events: Sequence[dict]
    before: tuple[int, int]
    peak: int


def main() -> None:
    """Take the step on the card, in a process of its own, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shapes = [work.shape for work in STEPS if work.task == "causal-lm"]
    parser.add_argument("target", type=Path)
    parser.add_argument("--shape", choices=shapes, default="Llama-3.2-1B")
    parser.add_argument("--card", choices=PROFILES, default=STANDARD)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        options.target.write_text(json.dumps(vars(taken(options.shape))))
        return
    record = options.target.with_suffix(".json")
    command = [sys.executable, "-m", __spec__.name, "--here", "--shape", options.shape, str(record)]
    environment = os.environ | dict(started_on(PROFILES[options.card]))
    subprocess.run(command, env=environment, check=True)
    step = Step(**json.loads(record.read_text()))
    record.unlink()
    options.target.write_text(picture(step))
    print(f"{options.target}: {step.title}; {len(step.events):,} events, peak {step.peak:,} bytes")


def taken(shape: str) -> Step:
    """A model's third training step with AdamW, with all events of the allocator."""
    import torch

    work = next(work for work in STEPS if work.shape == shape)
    entry = json.loads(SHAPES.read_text())[shape]
    model = built(dict(entry["config"]), entry["classes"][work.task], work.dtype).train()
    text = torch.ones(work.batch, work.length, dtype=torch.long, device="cuda")
    optimizer = torch.optim.AdamW(model.parameters())
    mark = torch.cuda.memory._snapshot  # the allocator records it as an event

    def take(between) -> None:
        loss = model(input_ids=text, labels=text).loss
        between()
        loss.backward()
        between()
        optimizer.step()
        optimizer.zero_grad()

    take(lambda: None)
    take(lambda: None)
    before = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.memory._record_memory_history(context=None, max_entries=1 << 20)
    take(mark)
    events = mark()["device_traces"][0]
    card, batch = torch.cuda.get_device_name(), f"{work.batch} x {work.length} tokens"
    title = f"{shape}, {work.dtype}, {batch}, AdamW, on an emulated {card}, torch {torch.__version__}"
    plain = [{name: event.get(name, 0) for name in ("action", "addr", "size")} for event in events]
    return Step(title, plain, before, torch.cuda.max_memory_allocated())


def moments(step: Step) -> list[Moment]:
    """The memory after each event.

    A block counts with its requested size, rounded up to 512 bytes; the unused rest of a large block is not recorded.
    """
    held = [step.before[0], 0, 0, 0]
    reserved, part = step.before[1], 1
    blocks: dict[int, tuple[int, int]] = {}
    found = [Moment(tuple(held), reserved)]
    for event in step.events:
        action, size = event["action"], event["size"]
        if action == "snapshot":
            part = min(part + 1, 3)
        elif action == "alloc":
            blocks[event["addr"]] = part, -(-size // BLOCK) * BLOCK
            held[part] += blocks[event["addr"]][1]
        elif action == "free_requested":
            owner, bytes_ = blocks.pop(event["addr"], (0, -(-size // BLOCK) * BLOCK))
            held[owner] -= bytes_
        elif action in ("segment_alloc", "segment_free"):
            reserved += size if action == "segment_alloc" else -size
        found.append(Moment(tuple(held), reserved))
    return found


def columns(found: Sequence[Moment]) -> list[Moment]:
    """One moment for each column of the picture: the one with the most memory in it."""
    edges = [round(number * len(found) / COLUMNS) for number in range(COLUMNS + 1)]
    groups = [found[begin:end] for begin, end in itertools.pairwise(edges) if end > begin]
    return [max(group, key=lambda moment: sum(moment.held)) for group in groups]


def picture(step: Step) -> str:
    """The whole picture as SVG."""
    found = moments(step)
    shown = columns(found)
    top = max(moment.reserved for moment in shown) * 1.06
    wide = (WIDTH - LEFT - RIGHT) / len(shown)

    def x(column: float) -> float:
        return LEFT + column * wide

    def y(size: float) -> float:
        return TOP + PLOT * (1 - size / top)

    lines = [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        label(20, 28, "What torch's allocator holds during a training step", 'font-size="18" font-weight="bold"'),
        label(20, 48, step.title, 'fill="#555"'),
        *axis(top, y),
    ]
    for number, (colour, _) in enumerate(PARTS.values()):
        ceiling = [y(sum(moment.held[: number + 1])) for moment in shown]
        floor = [y(sum(moment.held[:number])) for moment in shown]
        lines.append(f'<path d="{stairs(ceiling, floor, x)}" fill="{colour}"/>')
    reserved = stairs([y(moment.reserved) for moment in shown], (), x)
    lines.append(f'<path d="{reserved}" fill="none" stroke="#b03a2e" stroke-width="1.5" stroke-dasharray="5 3"/>')
    peak = max(range(len(shown)), key=lambda number: sum(shown[number].held))
    lines += [*parts(step, len(found)), *highest(step, x(peak + 0.5), y(sum(shown[peak].held))), *legend()]
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    style = "font-family: Helvetica, Arial, sans-serif; font-size: 13px"
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{style}">\n' + "\n".join(lines) + "\n</svg>\n"


def stairs(ceiling: Sequence[float], floor: Sequence[float], x) -> str:
    """A path over the columns' ceilings, and back over their floors if there are any."""
    there = outline([(x(number), height) for number, height in enumerate(ceiling)])
    over = f"M{x(0):.0f} {ceiling[0]:.0f}{there}H{x(len(ceiling)):.0f}"
    back = outline([(x(number + 1), height) for number, height in reversed([*enumerate(floor)])])
    return f"{over}{back}H{x(0):.0f}Z" if floor else over


def outline(points: Sequence[tuple[float, float]]) -> str:
    """Straight lines to each point at which the height changes, in whole pixels."""
    found, last = [], ""
    for x, y in points:
        if (height := f"{y:.0f}") != last:
            found.append(f"H{x:.0f}V{height}")
        last = height
    return "".join(found)


def parts(step: Step, count: int) -> list[str]:
    """A line where a part of the step ends, and the parts' names above."""
    ends = [number + 1 for number, event in enumerate(step.events) if event["action"] == "snapshot"][:2]
    scale = (WIDTH - LEFT - RIGHT) / count
    edges = [LEFT, *(LEFT + end * scale for end in ends), WIDTH - RIGHT]
    line = f"{TOP - 12} V{TOP + PLOT}"
    lines = [f'<path d="M{at:.0f} {line}" stroke="#333" stroke-dasharray="2 3"/>' for at in edges[1:-1]]
    names = ("forward pass", "backward pass", "AdamW")
    middles = [(left + right) / 2 for left, right in itertools.pairwise(edges)]
    named = [label(at, TOP - 4, name, 'text-anchor="middle"') for at, name in zip(middles, names, strict=True)]
    return lines + named


def highest(step: Step, x: float, y: float) -> list[str]:
    """The peak, with torch's own value of it."""
    anchor = "end" if x > WIDTH / 2 else "start"
    told = label(x + (-10 if anchor == "end" else 10), y + 4, f"peak: {step.peak:,} bytes", f'text-anchor="{anchor}"')
    return [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="#222"/>', told]


def axis(top: float, y) -> list[str]:
    """Lines at round sizes."""
    unit = next(unit for unit in (0.25, 0.5, 1, 2, 4, 8) if top / GIB / unit <= 9)
    lines = []
    for number in range(int(top / GIB / unit) + 1):
        at = y(number * unit * GIB)
        lines.append(f'<path d="M{LEFT} {at:.0f} H{WIDTH - RIGHT}" stroke="#ddd"/>')
        lines.append(label(LEFT - 8, at + 4, f"{number * unit:g} GiB", 'text-anchor="end" fill="#555"'))
    return lines


def legend() -> list[str]:
    """The meaning of the colours, one line each."""
    lines = []
    for number, (colour, words) in enumerate(PARTS.values()):
        at = TOP + PLOT + 38 + 20 * number
        lines.append(f'<rect x="{LEFT}" y="{at - 12}" width="14" height="14" fill="{colour}"/>')
        lines.append(label(LEFT + 22, at, words))
    at = TOP + PLOT + 38
    half = WIDTH / 2 + 30
    lines.append(f'<path d="M{half} {at - 5} h28" stroke="#b03a2e" stroke-width="1.5" stroke-dasharray="5 3"/>')
    lines.append(label(half + 36, at, "reserved: what the allocator has of the card"))
    lines.append(label(LEFT, TOP + PLOT + 18, "events of the allocator, in order", 'fill="#555"'))
    return lines


def label(x: float, y: float, text: str, style: str = "") -> str:
    """A line of text."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{escaped}</text>'


if __name__ == "__main__":
    main()
