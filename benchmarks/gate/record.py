"""Records duets and solo launches of one training step, with added slowdowns, for ``benchmarks.gate.table``.

    python -m benchmarks.gate.record FILE.jsonl [--duets 50] [--solo 60] [--slowdowns 0 0.03 0.05]

Both sides always come from separate servers. Slowdowns take turns, and so do duets and solo launches and the two sides
of solo launches, so that drift of the machine affects all of them alike.
"""

import argparse
import itertools
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fixtures.models import models
from perfgate.measure.duet import DuetSide, duet, valid_pair
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.stage import Stage
from perfgate.measure.steps import columns, on_core, warmed_up
from perfgate.records.details import Details, Span, Turns
from perfgate.records.launch import Launch
from perfgate.records.machine import this_machine
from perfgate.records.runfile import Writer, merge, new_header
from perfgate.workloads.tasks import training

PRELOAD = ("perfgate.actor.programs.trainer",)
SOLO_STEPS = 40
CASE = "training of gpt2-quick"


def main():
    """Record as much as the options ask for; if interrupted, keep what was recorded so far."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--duets", type=int, default=50, help="of each slowdown")
    parser.add_argument("--solo", type=int, default=60, help="launches of each side and slowdown")
    parser.add_argument("--slowdowns", type=float, nargs="+", default=[0.0, 0.03, 0.05])
    parser.add_argument("--batch-size", type=int, default=4)
    options = parser.parse_args()
    workload = training(models()["gpt2-quick"], batch_size=options.batch_size)
    part = options.file.with_suffix(".part")
    created = datetime.now(UTC).isoformat(timespec="seconds")
    asked = {"duets": options.duets, "solo": options.solo}
    header = new_header(options.file.stem, created, Path.cwd(), this_machine().to_json(), asked)
    writer = Writer(part)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(PRELOAD, Path(folder), MeasurementPlan())
        try:
            for launches in recorded(stage, workload, options):
                writer.write([slim(launch).to_json() for launch in launches if not launch.invalid])
        finally:
            stage.close()
            writer.close()
            merge(options.file, header, [part])


def recorded(stage, workload, options):
    """Yield the launches as they are recorded, both launches of a duet together."""
    begin = time.monotonic()
    rounds = max(options.duets, options.solo)
    for number, (place, slowdown) in itertools.product(range(rounds), enumerate(options.slowdowns)):
        case = f"{CASE}, batch {options.batch_size}"
        parts = [DuetSide("reference", stage.pool, workload), DuetSide("candidate", stage.pool, workload, slowdown)]
        if number < options.duets:
            pair = number + place * options.duets
            found = duet(stage, case, number, parts)
            if valid_pair(found):
                yield [replace(launch, pair=pair) for launch in found[-2:]]
        if number < options.solo:
            yield [
                solo(stage, case, part, number + place * options.solo, number + side) for side, part in enumerate(parts)
            ]
        if not place:
            print(f"round {number + 1} of {rounds}, {time.monotonic() - begin:.0f} s", file=sys.stderr)


def solo(stage, case, part, number, turn):
    """Take a solo launch of one side."""
    server = part.pool.at(turn)
    held, launched = stage.held(stage.lock.exclusive()), stage.actor(server, part.workload, "time", part.slowdown)
    with held, on_core(stage.core), launched as (actor, _):
        warmed_up(stage, actor)
        rows = [stage.step(actor) for _ in range(SOLO_STEPS)]
    details = Details(turns=Turns(injected=part.slowdown))
    metrics = columns(rows)
    return Launch(
        case, part.workload.sha256, number, metrics, part.side, server=server.name, pass_name="time", details=details
    )


def slim(launch):
    """Keep only the times of a launch, rounded to the microsecond."""
    steps = [round(step, 6) for step in launch.metrics["step_time_s"]]
    known = launch.details
    kept = Details(span=Span(took_s=known.span.took_s), turns=Turns(injected=known.turns.injected))
    return replace(launch, metrics={"step_time_s": steps}, details=kept)


if __name__ == "__main__":
    main()
