"""The parts of the proof, called slices, in their order. Each takes some minutes and returns its result as JSON."""

import json
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.proof.bench import ROOT, Bench
from benchmarks.proof.place import PICTURE

# The duet of the screen, and the six duets after which a case can first fail.
DUETS, PUT_IN = 7, 0.03
STORED_LAUNCHES = 5
DRAWS = 200


@dataclass(frozen=True)
class Slice:
    """One part of the proof.

    Attributes:
        name: the name for ``--slice``, and of the slice's run file.
        what: a description for people.
        expected_s: seconds that it may take; it is not started if less time is left.
        work: the function that runs the slice and returns its result.
        modes: the modes of the proof in which it runs. An emulated card has no times; the CPU has no standard tier.
    """

    name: str
    what: str
    expected_s: float
    work: Callable[[Bench], Mapping[str, Any]]
    modes: Sequence[str] = ("cuda", "dry", "emulated")


def doctor(bench):
    """Describe the machine, and check whether cases can be measured on it."""
    code, printed = bench.run("perfgate", "doctor", "--json", "--baselines", bench.place.baselines)
    told = json.loads(printed) if printed.startswith("{") else {"fit": False}
    return {"code": code, **{key: told.get(key) for key in ("fit", "machine", "software", "gpus", "findings")}}


def engine_tests(bench):
    """Run the engine's own tests that need a GPU."""
    report = bench.place.work / "junit.xml"
    tests = ["pytest", "tests/gpu", "-m", "gpu", "-q", "-rfEs", f"--junitxml={report}"]
    onto = ["perfgate.emulator", sys.executable, "-m"] if bench.tier.device == "emulated" else []
    code, _ = bench.run(*onto, *tests)
    return {"code": code, **counted(report)}


def counted(report):
    """The numbers of passed, skipped and failed tests in a JUnit report, and the names of the failed ones."""
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
    """Measure the FLOP/s and bytes/s that torch reaches on this machine."""
    code, printed = bench.run("benchmarks.proof.peaks", "cuda" if bench.tier.device == "cuda" else "cpu")
    lines = printed.splitlines()
    return {"code": code, **(json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {})}


def store(bench):
    """Measure all cases with five launches each, and store them as baselines."""
    shutil.rmtree(bench.place.baselines)  # baselines that exist already would not be replaced
    options = ["--perf-launches", STORED_LAUNCHES, "--perf-update", "new"]
    return {"code": bench.measure("store", *bench.tier.cases, *options)}


def again(bench):
    """Measure all cases once more against the baselines, as any user would."""
    return {"code": bench.measure("again", *bench.tier.cases)}


def calibrate(bench):
    """Take duets of three cases with themselves, without a slowdown and with each step slowed down by 3%."""
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
    """Measure a case that keeps more memory than it did when its baseline was stored."""
    options = ["--perf-launches", 1, "-o", "perf_preload=hungry_forward"]
    return {"code": bench.measure("growth", bench.tier.grown, *options, more=[ROOT / "docs" / "demos"])}


def standard(bench):
    """Measure what a run on a GPU measures unless it names a tier, with one timed launch a case."""
    report = bench.place.work / "standard.xml"
    options = ["--perf-launches", 1, "--perf-update", "new", f"--junitxml={report}"]
    return {"code": bench.measure("standard", "perf_tests", *options), **counted(report)}


TIMED = ("cuda", "dry")
SLICES = (
    Slice("doctor", "describe the machine, and check whether cases can be measured on it", 40, doctor),
    Slice("tests", "the engine's own tests marked gpu", 150, engine_tests),
    Slice("peaks", "FLOP/s and bytes/s of the machine", 30, peaks, TIMED),
    Slice("store", "all cases, stored as baselines with 5 launches", 420, store),
    Slice("again", "all cases once more, compared with the stored baselines", 180, again),
    Slice("calibrate", "three cases in duets with themselves, unchanged and slowed down by 3%", 300, calibrate, TIMED),
    Slice("growth", "a case that keeps more memory than it did", 30, growth),
    Slice("standard", "the standard tier, one timed launch a case", 300, standard, ("cuda",)),
)
