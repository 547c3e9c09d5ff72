"""The report of ``perfgate predict``: whether a step fits on the GPU, and the parts of its memory and time."""

from collections.abc import Iterator, Mapping

import pandas as pd

from perfgate.gate.wording import percent
from perfgate.predict.emulated_step import EmulatedStep
from perfgate.predict.memory_fit import Prediction, room_bytes
from perfgate.reports.report import Report, Section
from perfgate.reports.tables import share, shown, words

MEMORY, WORK, TIME = "peak_memory_bytes", "flops", "step_time_s"
CLOSE = 0.9  # a step that takes more than this share of the GPU's free memory only just fits


def prediction_report(prediction: Prediction) -> Report:
    """The report: sentences, then tables of the memory's parts, of the work, and of changes that were tried."""
    ledger = prediction.ledger
    tables = {
        "Memory at the peak": parts(MEMORY, "part", ledger.memory_by_part_bytes),
        "Work of a step": parts(WORK, "group", ledger.flops_by_group),
    }
    if ledger.components:
        tables["By component"] = components(ledger.components)
    if prediction.remedies:
        tables["Tried to make it fit"] = remedies(prediction)
    if prediction.emulated and not prediction.emulated.why:
        tables["By torch's allocator, on an emulated card"] = beside(prediction, prediction.emulated)
    section = Section(title(prediction), [*sentences(prediction), *emulated(prediction.emulated)], tables)
    return Report([section], rows(prediction), prediction.to_json())


def rows(prediction: Prediction) -> pd.DataFrame:
    """The plain numbers: a row for each part of the memory, each group of the work, and their totals."""
    ledger = prediction.ledger
    found = [
        *(("memory_bytes", part, size) for part, size in ledger.memory_by_part_bytes.items()),
        ("memory_bytes", "total", ledger.peak_memory_bytes),
        *(("flops", group, count) for group, count in ledger.flops_by_group.items()),
        ("flops", "total", ledger.flops),
        ("operator_calls", "total", ledger.operator_calls),
    ]
    return pd.DataFrame(found, columns=["quantity", "part", "value"]).assign(model=prediction.model)


def title(prediction: Prediction) -> str:
    """The report's title: the model, the task and the settings."""
    setting = {name: value for name, value in prediction.setting.items() if name != "task"}
    return f"{prediction.model}, {prediction.workload['params']['task']}: {words(setting)}"


def sentences(prediction: Prediction) -> Iterator[str]:
    """Sentences: whether the step fits, how large a batch may be, and the least time that a step takes."""
    ledger, gpu, largest = prediction.ledger, prediction.gpu, prediction.largest
    peak = shown(MEMORY, ledger.peak_memory_bytes)
    if gpu is None or largest is None:
        yield f"A step takes {peak} of GPU memory and launches about {ledger.operator_calls} operators."
        if ledger.in_blocks:
            yield in_blocks(ledger.in_blocks)
        return
    yield f"{'Fits' if prediction.fits else 'Does not fit'}: {peak} of {shown(MEMORY, room_bytes(gpu))} on {gpu.name}."
    if prediction.fits and ledger.in_blocks:
        yield in_blocks(ledger.in_blocks)
    if prediction.fits and ledger.in_blocks.get("reserved", 0) > room_bytes(gpu):
        yield "It fits only just: where the allocator gets no more memory, it first gives back what it has free."
    elif prediction.fits and not ledger.in_blocks and ledger.peak_memory_bytes > CLOSE * room_bytes(gpu):
        yield "It fits only just: memory lost to gaps between tensors is not counted and can take the rest."
    if not prediction.fits:
        helping = [remedy for remedy in prediction.remedies if remedy.fits]
        suggested = f"It fits with {options(helping[0].setting)}." if helping else ""
        yield suggested or "None of the changes that were tried makes it fit."
    if largest.batch_size == 0:
        yield "Not even a batch of one sample fits."
    elif largest.capped:
        yield f"A batch of {largest.batch_size} fits; no larger one was tried."
    else:
        yield f"The largest batch that fits is {largest.batch_size}."
    yield f"A step takes at least {shown(TIME, ledger.roofline_s)}, the time at the peak rates of the data sheet."


def in_blocks(found: Mapping[str, int]) -> str:
    """A sentence on the step's memory as torch's allocator counts it."""
    allocated, reserved = (shown(MEMORY, found[name]) for name in ("allocated", "reserved"))
    return f"Torch's allocator hands out {allocated} in blocks, and reserves {reserved} with the gaps between them."


def emulated(step: EmulatedStep | None) -> Iterator[str]:
    """A sentence if the emulated card was used and gave no answer."""
    if step is not None and step.why:
        yield f"On the emulated {step.card} the step did not run: {step.why}."


def beside(prediction: Prediction, step: EmulatedStep) -> pd.DataFrame:
    """A table of the allocator's peaks beside the dry run's."""
    cost = prediction.ledger
    predicted = {"allocated": cost.peak_memory_bytes, **cost.in_blocks}
    emulated = {"allocated": step.allocated_bytes, "reserved": step.reserved_bytes}
    off = {name: percent(predicted[name] / size - 1) if name in predicted else "" for name, size in emulated.items()}
    rows = [
        ("predicted by the dry run", cost.peak_memory_bytes, ""),
        (f"allocated on {step.card}", step.allocated_bytes, off["allocated"]),
        ("reserved", step.reserved_bytes, off["reserved"]),
        ("reserved and in no tensor", step.lost_bytes, share(step.lost_bytes / step.reserved_bytes, "")),
    ]
    found = [{"memory": name, "size": shown(MEMORY, size), "prediction, share": told} for name, size, told in rows]
    return pd.DataFrame(found)


def parts(metric: str, name: str, values: Mapping[str, int]) -> pd.DataFrame:
    """A table with a row for each part that is not 0, and a row for their sum."""
    total = sum(values.values())
    rows = [
        {name: part.replace("_", " "), "size": shown(metric, value), "share": share(value / total, "")}
        for part, value in values.items()
        if value
    ]
    return pd.DataFrame([*rows, {name: "total", "size": shown(metric, total), "share": ""}])


def components(found: Mapping[str, Mapping[str, float | None]]) -> pd.DataFrame:
    """A table with a row for each component of a pipeline: its peak, its work, and its time if a GPU is named."""
    rows = []
    for name, cost in found.items():
        peak, flops, time_s = (cost[key] or 0.0 for key in (MEMORY, WORK, "roofline_s"))
        row = {"component": name.replace("_", " "), "peak while it runs": shown(MEMORY, peak)}
        rows.append(row | {"work": shown(WORK, flops), "at least": shown(TIME, time_s) if time_s else None})
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def remedies(prediction: Prediction) -> pd.DataFrame:
    """A table with a row for each change that was tried, written as options of the command."""
    rows = [
        {"change": options(remedy.setting), "peak": shown(MEMORY, remedy.peak_memory_bytes), "fits": yes(remedy.fits)}
        for remedy in prediction.remedies
    ]
    return pd.DataFrame(rows)


def options(setting: Mapping[str, object]) -> str:
    """Settings written as options of the command."""
    flags = [f"--{name.replace('_', '-')}" for name in setting]
    return " ".join(f if value is True else f"{f} {value}" for f, value in zip(flags, setting.values(), strict=True))


def yes(value: bool) -> str:
    """``yes`` or ``no``."""
    return "yes" if value else "no"
