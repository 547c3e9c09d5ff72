"""Compares the peak memory that dry runs predict with the measured one, in total and by part."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from perfgate.gate.wording import percent
from perfgate.records.details import Findings
from perfgate.records.launch import Launch, medians
from perfgate.records.runfile import RunFile
from perfgate.shared.device_kinds import DEVICE_KINDS, DRY_TARGETS, DeviceKind
from perfgate.shared.metric import PassName
from perfgate.shared.metrics import LASTING, PARTS, metric


def memory_rows(run: RunFile) -> list[dict[str, Any]]:
    """A mapping for each case that ran dry: the predicted and measured peak, and each part's size, in bytes."""
    here = DEVICE_KINDS.get(run.header["machine"].get("device"), DEVICE_KINDS["cpu"])
    here = DEVICE_KINDS[here.real]
    # A peak measured on a kind without dry-run rules has no prediction to compare with. The fake device of the tests
    # has no dry run of its own.
    unpredicted = bool(here.no_rules)
    here = here if here.rules else DEVICE_KINDS["cpu"]
    rows = []
    for case, launches in run.by_case().items():
        ledger = found(launches, "dry").ledger
        if not ledger:
            continue
        values = medians(launches)
        measured = found(launches, "memory").measured_by_part_bytes
        # The metrics are predicted for one assumed GPU, so that machines can be compared; this is for the measured GPU.
        own = ledger.get("here", {})
        row = {
            "case": case,
            "predicted_peak_bytes": predicted_bytes(own, values, here),
            "peak_memory_bytes": None if unpredicted else values.get("peak_memory_bytes"),
            **{kind.predicted_peak: values[kind.predicted_peak] for kind in on_gpus() if kind.predicted_peak in values},
        }
        for part, size in own.get("memory_by_part_bytes", ledger[f"{here.prefix}memory_by_part_bytes"]).items():
            row[f"predicted_{part}_bytes"] = size
        # Only parts that last from step to step can be measured separately.
        for part in LASTING:
            if part in measured:
                row[f"measured_{part}_bytes"] = measured[part]
        rows.append(row)
    return rows


def predicted_bytes(own: Mapping[str, Any], values: Mapping[str, float], here: DeviceKind) -> float:
    """The predicted value of the measured peak: on a GPU that of the allocator's blocks.

    Args:
        own: the prediction for the measured GPU, if there is one.
        values: the dry run's values.
        here: the kind of the device.
    """
    peak = values.get(here.predicted_in_blocks("allocated"), values[here.predicted_peak])
    return float(own.get("allocated_bytes", own.get("peak_memory_bytes", peak)))


def on_gpus() -> list[DeviceKind]:
    """The kinds of GPU whose peak memory a dry run predicts."""
    return [DEVICE_KINDS[target] for target in DRY_TARGETS if DEVICE_KINDS[target].gpu]


def found(launches: Sequence[Launch], pass_name: PassName) -> Findings:
    """The findings of the first valid launch of a pass; empty if there is none."""
    valid = (launch for launch in launches if launch.pass_name == pass_name and not launch.invalid)
    return next((launch.details.findings for launch in valid), Findings())


def memory_table(run: RunFile) -> pd.DataFrame:
    """The rows of ``memory_rows`` as a table for people; empty if no case ran dry."""
    table = []
    for row in memory_rows(run):
        predicted, measured = row["predicted_peak_bytes"], row["peak_memory_bytes"]
        cells = {
            "case": row["case"],
            "measured": size(measured),
            "predicted": size(predicted),
            "difference": None if not measured else percent(predicted / measured - 1),
        }
        for part in PARTS:
            cells[part.replace("_", " ")] = beside(row, part)
        cells |= {f"on {kind.title}": size(row.get(kind.predicted_peak)) for kind in on_gpus()}
        table.append(cells)
    return pd.DataFrame(table).dropna(axis="columns", how="all")


def beside(row: Mapping[str, Any], part: str) -> str | None:
    """The predicted size of a part, followed by the measured size if that differs."""
    predicted, measured = row.get(f"predicted_{part}_bytes"), row.get(f"measured_{part}_bytes")
    shown = size(predicted)
    # Small differences do not count, because allocations are rounded up to whole blocks.
    same = measured is None or predicted is None or abs(measured - predicted) <= max(0.005 * predicted, 4096)
    return shown if same else f"{shown} (measured {size(measured)})"


def size(value: float | None) -> str | None:
    """A number of bytes as text with a unit."""
    return None if value is None else metric("peak_memory_bytes").show(value)
