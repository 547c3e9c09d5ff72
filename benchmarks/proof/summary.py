"""Writes the proof as one page of markdown: the requirements first, then the cases."""

from datetime import date

from benchmarks.proof.bar import rows, short
from benchmarks.proof.measured import measured
from benchmarks.proof.slices import SLICES
from perfgate.records.runfile import read
from perfgate.reports.memory import size
from perfgate.shared.metrics import metric

WORDS = {True: "held", False: "**not held**", None: "not told"}
DRY = (
    "**Nothing on this page was run on a GPU.** The cases have small shapes and ran on a CPU. That shows that every "
    "part of the proof runs, except for the calls of CUDA. The bar was set for one H100; a line that is not held here "
    "says nothing about a GPU."
)
EMULATED = (
    "**Nothing on this page was run on a GPU.** torch's own CUDA path ran on an emulated card: its allocator, its "
    "launches and its syncs are real, and nothing was computed or timed. The lines about time are left out."
)
TITLES = {"cuda": "", "dry": ", run dry", "emulated": ", on an emulated card"}
WARNINGS = {"cuda": [], "dry": [DRY], "emulated": [EMULATED]}
LEGEND = (
    "Step: median of the launches. Apart: how much slower the slowest launch is than the fastest. Busy: share of a "
    "step in which the device works. FLOP/s and bytes/s: share of the rates that the machine reaches (float32 product, "
    "copy). Bytes that stay in a cache count too, so bytes/s may exceed 100%."
)


def summary(place, tier):
    """Write the page from the results in a folder so far; return it and the requirements."""
    slices = place.state()["slices"]
    whole = [path for path in sorted(place.runs.glob("*.jsonl")) if not slices.get(path.stem, {}).get("cut")]
    runs = {path.stem: read(path) for path in whole}
    cases = measured(runs["store"]) if "store" in runs else []
    tier_cases = [case for name, run in runs.items() if name.startswith("standard") for case in measured(run)]
    own = [one for one in SLICES if place.mode in one.modes]
    lines = rows(slices, runs, cases, len(tier.cases), tier.demoted, timed=place.mode != "emulated")
    parts = [
        f"# The proof on a GPU{TITLES[place.mode]}",
        *WARNINGS[place.mode],
        about(slices),
        table(("", "bar", "found", ""), [(row.what, row.bar, row.found, WORDS[row.held]) for row in lines]),
        "## Cases",
        LEGEND,
        table(CASE_HEAD, [case_row(case, slices.get("peaks", {})) for case in (*cases, *tier_cases)]),
        "## Slices",
        table(("slice", "took", "ended with"), [slice_row(one, slices.get(one.name)) for one in own]),
    ]
    return "\n\n".join(parts) + "\n", lines


def about(slices):
    """A line about the machine, the versions of libraries, and the measured peak rates."""
    found = slices.get("doctor", {})
    machine, software = found.get("machine") or {}, found.get("software") or {}
    names = ", ".join(
        f"{name} {software[name]}" for name in ("python", "torch", "transformers", "accelerate") if name in software
    )
    cards = ", ".join(gpu.get("name", "") for gpu in found.get("gpus") or ()) or "no GPU"
    host = f"{machine.get('cpus')} cores, {machine.get('memory_gib')} GiB" if machine else "unknown host"
    peaks = slices.get("peaks", {})
    reached = [f"{name} {rate / 1e12:.3g} TFLOP/s" for name, rate in peaks.get("flops_per_s", {}).items()]
    reached += [f"copy {peaks['bytes_per_s'] / 1e9:,.0f} GB/s"] if "bytes_per_s" in peaks else []
    told = [f"{cards}; host with {host}; {names}", *([f"torch reaches {', '.join(reached)}"] if reached else [])]
    return "; ".join([*told, f"{date.today():%Y-%m-%d}"]) + "."


CASE_HEAD = ("case", "step", "apart", "busy", "FLOP/s", "bytes/s", "peak", "predicted", "in force")


def case_row(case, peaks):
    """The table's row for one case, with its shares of the machine's peak rates."""
    rate = peaks.get("flops_per_s", {}).get("float32")
    step = case.step_s
    difference = case.predicted_bytes / case.peak_bytes - 1 if case.predicted_bytes and case.peaks else None
    return (
        f"`{short(case.case)}`",
        metric("step_time_s").show(step) if step else "",
        percent(case.apart),
        percent(case.busy, 0),
        percent(case.flops / step / rate if case.flops and step and rate else None, 0),
        percent(
            case.moved_bytes / step / peaks["bytes_per_s"]
            if case.moved_bytes and step and "bytes_per_s" in peaks
            else None,
            0,
        ),
        size(case.peak_bytes) or "",
        "" if difference is None else f"{difference:+.1%}",
        ", ".join(
            str(case.in_force[name]) for name in ("precision", "attention", "optimizer") if name in case.in_force
        ),
    )


def percent(value, digits=1):
    """A share as text in percent; empty if there is none."""
    return "" if value is None else f"{value:.{digits}%}"


def slice_row(one, found):
    """The table's row for one slice: its description, its time, and its exit code."""
    if found is None:
        return f"`{one.name}`: {one.what}", "", "not run yet"
    end = "cut, to be done again" if found.get("cut") else f"exit code {found['code']}"
    return f"`{one.name}`: {one.what}", f"{found['took_s']:.0f} s", end


def table(head, body):
    """Write a table in markdown."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
