"""What ``perfgate calibrate`` found: a table, and a picture of how often a slowdown is caught, by its size."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from perfgate.cases.calibration import Calibrated, Calibration, to_json
from perfgate.gate.confirmation import FAILING_DUETS
from perfgate.gate.power import upper_bound
from perfgate.gate.wording import can_see, percent
from perfgate.reports.report import Report, Section
from perfgate.shared.errors import UserError


def calibration_report(found: Calibration, run: Path, picture: Path, noise_file: Path | None) -> Report:
    """A table of the cases, what it means, and the files that were written.

    Args:
        found: what all cases told.
        run: the run file that holds the duets.
        picture: of detection over slowdown.
        noise_file: where the noise was stored; ``None`` where it was not.
    """
    files = [path for path in (run, picture, noise_file) if path]
    lines = [false_alarms(found.results), clock(found), learned(found), f"Files: {', '.join(map(str, files))}"]
    rows = [
        {"case": result.case, "spread": result.spread, **asdict(detection)}
        for result in found.results
        for detection in result.detections
    ]
    named = {"run": str(run), "picture": str(picture), "noise_file": str(noise_file) if noise_file else None}
    section = Section(tables={"Calibration": table(found.results)}, notes=[line for line in lines if line])
    return Report([section], pd.DataFrame(rows), {**to_json(found), **named})


def clock(found: Calibration) -> str:
    """Which clock the duets were judged on, and which cases had too few."""
    remark = f"Duets were judged {found.clock.remark}." if found.clock.clock == "processor" else ""
    missing = f"Too few duets could be used of {', '.join(found.left_out)}." if found.left_out else ""
    return " ".join(filter(None, [remark, missing]))


def table(results: Sequence[Calibrated]) -> pd.DataFrame:
    """One row a case: its spread, false alarms, the share of each slowdown that is caught, and what that takes."""
    rows = []
    for result in results:
        row: dict[str, str] = {"case": result.case, "spread of a duet": percent(result.spread, "")}
        for found in result.detections:
            name = f"{found.slowdown:.0%} slower caught" if found.slowdown else "false alarms"
            undecided = f" ({found.undecided:.0%} undecided)" if found.undecided >= 0.005 else ""
            row[name] = f"{found.regressed:.1%}{undecided}"
        suspects = [found.suspect_duets for found in result.detections if found.suspect_duets]
        row["s for a suspect"] = f"{result.duet_s * max(suspects, default=0.0):.0f}"
        seen = [found.smallest_detectable for found in result.detections if found.smallest_detectable is not None]
        row["can see"] = can_see(min(seen)) if seen else ""
        rows.append(row)
    return pd.DataFrame(rows)


def false_alarms(results: Sequence[Calibrated]) -> str:
    """How many duets without a slowdown stand behind the share of false alarms."""
    nulls = [found for result in results for found in result.detections if not found.slowdown]
    count = sum(found.recorded for found in nulls)
    alarmed = sum(found.regressed > 0 for found in nulls)
    bound = upper_bound(0, max(count // FAILING_DUETS, 1))
    told = "in no case" if not alarmed else f"in {alarmed} of {len(nulls)} cases"
    return (
        f"{count} duets in which nothing was put in raised a false alarm {told}. It takes {FAILING_DUETS} to fail a "
        f"case, so that many duets support no more than: under {bound:.0%} a case, with 95% confidence."
    )


def learned(found: Calibration) -> str:
    """What is stored of the machine's noise."""
    noise = found.noise
    if not noise.df:
        return f"The noise of {noise.machine} is not stored: it takes 3 cases that vary, there were {noise.cases}."
    on_clock = " on processor time" if found.clock.clock == "processor" else ""
    return (
        f"Duets on {noise.machine}{on_clock} vary by {percent(noise.spread, '')} (s0), known as from {noise.df:.0f} "
        f"degrees of freedom (d0), learned from {noise.cases} cases."
    )


def draw(results: Sequence[Calibrated], path: Path) -> Path:
    """Detection over slowdown, a line a case, as SVG; returns where it lies.

    Raises:
        UserError: the file cannot be written.
    """
    import pygal

    chart = pygal.XY(
        title="How often the gate fails a case, by the slowdown that was put in",
        x_title="slowdown in %",
        y_title="caught, in % of draws",
        range=(0, 100),
        show_legend=True,
        legend_at_bottom=True,
        legend_at_bottom_columns=1,
        dots_size=4,
        js=[],
        width=900,
        height=500 + 24 * len(results),
    )
    for result in results:
        points = [(100 * found.slowdown, 100 * found.regressed) for found in result.detections]
        chart.add(f"{result.case}, duets vary by {percent(result.spread, '')}", points)
    try:
        path.write_bytes(chart.render())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None
    return path
