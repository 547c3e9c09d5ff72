"""The parts of the proof, called slices, in their order. Each takes some minutes and returns its result as JSON."""

import json
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.proof.bench import ROOT, Bench
from benchmarks.proof.place import PICTURE

# One duet for the screen, and the six duets after which a case can first fail.
DUETS, PUT_IN = 7, 0.03
STORED_LAUNCHES = 5
DRAWS = 200
STANDARD_PARTS = 3


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
    options = ["--json", "--device", bench.tier.device, "--baselines", bench.place.baselines]
    code, printed = bench.run("perfgate", "doctor", *options)
    told = json.loads(printed) if printed.startswith("{") else {"fit": False}
    return {"code": code, **{key: told.get(key) for key in ("fit", "machine", "software", "gpus", "findings")}}


def engine_tests(bench):
    """Run the engine's own tests that need a GPU."""
    report = bench.place.work / "junit.xml"
    tests = ["pytest", "tests/gpu", "-m", "gpu", "-q", "-rfEs", f"--junitxml={report}"]
    onto = ["perfgate.measure.emulator", sys.executable, "-m"] if bench.tier.device == "emulated" else []
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


def calibrate(number, bench):
    """Take duets of a case with itself, without a slowdown and with each step slowed down by 3%.

    They are judged together with the duets of earlier cases, because the noise of a case is learned from the others.
    """
    name, picture = f"calibrate-{number}", bench.place.out / PICTURE
    cases = [bench.tier.calibrated[number - 1], "--perf-env", "installed"]
    cases += ["--perf-device", bench.tier.device, "--perf-tier", bench.tier.largest]
    judged = ["--draws", DRAWS, "--picture", picture, "--json", "--baselines", bench.place.baselines]
    taken = ["--duets", DUETS, "--slowdowns", f"0,{PUT_IN}"]
    code, printed = bench.run("perfgate", "calibrate", *taken, *judged, "--", *cases)
    told = json.loads(printed) if printed.startswith("{") else {}
    if told:
        shutil.move(ROOT / told["run"], bench.place.runs / f"{name}.jsonl")
        if together := joined(bench, name):
            code, printed = bench.run("perfgate", "calibrate", "--from", together, *judged)
            told = json.loads(printed) if printed.startswith("{") else {}
    return {"code": code, "cases": told.get("cases", []), "noise": told.get("noise")}


def joined(bench, name):
    """A file with the duets of a run and of earlier cases; ``None`` if there are no others."""
    others = [path for path in sorted(bench.place.runs.glob("calibrate-*.jsonl")) if path.stem != name]
    if not others:
        return None
    lines = (bench.place.runs / f"{name}.jsonl").read_text().splitlines()
    for path in others:
        lines += path.read_text().splitlines()[1:]  # without the header
    together = bench.place.work / "calibrate.jsonl"
    together.write_text("\n".join(lines) + "\n")
    return together


def growth(bench):
    """Measure a case that keeps more memory than it did when its baseline was stored."""
    options = ["--perf-launches", 1, "-o", "perf_preload=hungry_forward"]
    return {"code": bench.measure("growth", bench.tier.grown, *options, more=[ROOT / "docs" / "demos"])}


def standard(number, bench):
    """Measure a part of the standard tier, which a run on a GPU measures by default, with one timed launch a case."""
    report = bench.place.work / "standard.xml"
    options = ["--perf-launches", 1, "--perf-update", "new", f"--junitxml={report}"]
    options += ["--perf-shard", f"{number}/{STANDARD_PARTS}"]
    return {"code": bench.measure(f"standard-{number}", "perf_tests", *options), **counted(report)}


def calibrations():
    """A slice for each case that is compared with itself, because all duets together do not fit into one invocation."""
    for number, expected_s in enumerate((200, 210, 260), 1):
        what = f"a case in duets with itself, unchanged and slowed down by 3%, {number} of 3"
        yield Slice(f"calibrate-{number}", what, expected_s, partial(calibrate, number), TIMED)


def standard_parts():
    """The slices of the standard tier. Cases are dealt by their number; the first part has the two compiled ones."""
    for number, expected_s in enumerate((340, 230, 220), 1):
        what = f"the standard tier, one timed launch a case, {number} of {STANDARD_PARTS}"
        yield Slice(f"standard-{number}", what, expected_s, partial(standard, number), ("cuda",))


TIMED = ("cuda", "dry")
# A measuring slice may take the seconds of its run's plan (--perf-plan h100-sxm-80gb), and 20 s to start, rounded up.
SLICES = (
    Slice("doctor", "describe the machine, and check whether cases can be measured on it", 40, doctor),
    Slice("tests", "the engine's own tests marked gpu", 150, engine_tests),
    Slice("peaks", "FLOP/s and bytes/s of the machine", 30, peaks, TIMED),
    Slice("store", f"all cases, stored as baselines with {STORED_LAUNCHES} launches", 400, store),
    Slice("again", "all cases once more, compared with the stored baselines", 290, again),
    *calibrations(),
    Slice("growth", "a case that keeps more memory than it did", 40, growth),
    *standard_parts(),
)
