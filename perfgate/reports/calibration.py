"""The report of ``perfgate calibrate``: a table, and a picture of the share of slowdowns that is caught."""

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
    """The report: a table with a row for each case, sentences about it, and the files that were written.

    Args:
        found: the results of all cases.
        run: the run file that holds the duets.
        picture: the picture that ``draw`` made.
        noise_file: the file in which the machine's noise was stored, or ``None``.
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
    """A sentence about the clock if it is not wall time, and one about cases with too few usable duets."""
    remark = f"Duets were judged {found.clock.remark}." if found.clock.clock == "processor" else ""
    missing = f"Too few duets could be used of {', '.join(found.left_out)}." if found.left_out else ""
    return " ".join(filter(None, [remark, missing]))


def table(results: Sequence[Calibrated]) -> pd.DataFrame:
    """A row for each case: its spread, the share of each slowdown that is caught, and the seconds of a suspect."""
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
    """A sentence about false alarms: the number of duets without a slowdown, and the bound that they prove."""
    nulls = [found for result in results for found in result.detections if not found.slowdown]
    count = sum(found.recorded for found in nulls)
    alarmed = sum(found.regressed > 0 for found in nulls)
    bound = upper_bound(0, max(count // FAILING_DUETS, 1))
    told = "in no case" if not alarmed else f"in {alarmed} of {len(nulls)} cases"
    return (
        f"{count} duets without a slowdown raised a false alarm {told}. A case fails after {FAILING_DUETS} duets at "
        f"the earliest, so this many duets prove no more than a rate of false alarms below {bound:.0%} a case, with "
        "95% confidence."
    )


def learned(found: Calibration) -> str:
    """A sentence about the machine's noise as it is stored, or the reason why it is not stored."""
    noise = found.noise
    if not noise.df:
        return (
            f"The noise of {noise.machine} is not stored, because that takes 3 cases whose duets vary; "
            f"there were {noise.cases}."
        )
    on_clock = " on processor time" if found.clock.clock == "processor" else ""
    return (
        f"Duets on {noise.machine}{on_clock} vary by {percent(noise.spread, '')} (s0). That was learned from "
        f"{noise.cases} cases and is as certain as an estimate with {noise.df:.0f} degrees of freedom (d0)."
    )


def draw(results: Sequence[Calibrated], path: Path) -> Path:
    """Draw the share of each slowdown that is caught, one line for each case, as SVG; returns the file's path.

    Raises:
        UserError: the file cannot be written.
    """
    import pygal

    chart = pygal.XY(
        title="How often the gate fails a case, by the slowdown that was added",
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
