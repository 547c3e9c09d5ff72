"""The slices of the proof, in their order. Each takes a few minutes and returns what it found, as JSON."""

import json
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.proof.bench import ROOT, Bench
from benchmarks.proof.place import PICTURE

# A screen, and the six of the first look that can fail a case.
DUETS, PUT_IN = 7, 0.03
STORED_LAUNCHES = 5
DRAWS = 200


@dataclass(frozen=True)
class Slice:
    """One part of the proof.

    Attributes:
        name: as ``--slice`` takes it; the run file that it leaves is named after it.
        what: for people.
        expected_s: what it may take; it is not begun where less is left.
        work: does it.
    """

    name: str
    what: str
    expected_s: float
    work: Callable[[Bench], Mapping[str, Any]]


def doctor(bench):
    """What the machine is, and whether cases can be measured on it."""
    code, printed = bench.run("perfgate", "doctor", "--json", "--baselines", bench.place.baselines)
    told = json.loads(printed) if printed.startswith("{") else {"fit": False}
    return {"code": code, **{key: told.get(key) for key in ("fit", "machine", "software", "gpus", "findings")}}


def engine_tests(bench):
    """The engine's own tests that need a GPU."""
    report = bench.place.work / "junit.xml"
    code, _ = bench.run("pytest", "tests/gpu", "-m", "gpu", "-q", "-rfEs", f"--junitxml={report}")
    return {"code": code, **counted(report)}


def counted(report):
    """How many tests ended how, out of a JUnit report; with the names of those that did not pass."""
    ends = {"passed": 0, "skipped": 0, "failed": 0}
    names = []
    for case in ElementTree.parse(report).getroot().iter("testcase") if report.exists() else ():
        kinds = {child.tag for child in case}
        end = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        ends[end] += 1
        if end == "failed":
            names.append(f"{case.get('classname')}::{case.get('name')}")
    return {**ends, "failures": names}


def peaks(bench):
    """FLOP/s and bytes/s that torch reaches on this machine."""
    code, printed = bench.run("benchmarks.proof.peaks", "cuda" if bench.tier.device == "cuda" else "cpu")
    lines = printed.splitlines()
    return {"code": code, **(json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {})}


def store(bench):
    """All cases, with five launches each, stored as baselines."""
    shutil.rmtree(bench.place.baselines)  # what is there already would not be replaced
    options = ["--perf-launches", STORED_LAUNCHES, "--perf-update", "new"]
    return {"code": bench.measure("store", *bench.tier.cases, *options)}


def again(bench):
    """All cases once more, as anyone would run them."""
    return {"code": bench.measure("again", *bench.tier.cases)}


def calibrate(bench):
    """Three cases beside themselves: with nothing put in, and with 3% of each step's time."""
    picture = bench.place.out / PICTURE
    options = ["--duets", DUETS, "--slowdowns", f"0,{PUT_IN}", "--draws", DRAWS, "--picture", picture, "--json"]
    cases = [*bench.tier.calibrated, "--perf-env", "installed"]
    cases += ["--perf-device", bench.tier.device, "--perf-tier", bench.tier.largest]
    code, printed = bench.run("perfgate", "calibrate", *options, "--baselines", bench.place.baselines, "--", *cases)
    told = json.loads(printed) if printed.startswith("{") else {}
    if told:
        shutil.move(ROOT / told["run"], bench.place.runs / "calibrate.jsonl")
    return {"code": code, "cases": told.get("cases", []), "noise": told.get("noise")}


def growth(bench):
    """One case that keeps more than it did when its baseline was stored."""
    options = ["--perf-launches", 1, "-o", "perf_preload=hungry_forward"]
    return {"code": bench.measure("growth", bench.tier.grown, *options, more=[ROOT / "docs" / "demos"])}


SLICES = (
    Slice("doctor", "what the machine is, and whether cases can be measured on it", 40, doctor),
    Slice("tests", "the engine's own tests marked gpu", 150, engine_tests),
    Slice("peaks", "FLOP/s and bytes/s of the machine", 30, peaks),
    Slice("store", "all cases, stored as baselines with 5 launches", 420, store),
    Slice("again", "all cases once more, held against what was stored", 180, again),
    Slice("calibrate", "three cases in duets with themselves, and with 3% put in", 300, calibrate),
    Slice("growth", "a case that keeps more memory than it did", 30, growth),
)
