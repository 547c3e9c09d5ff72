"""The plan of a run on a GPU: seconds by case, told without a device and without measuring."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.untimed

SUITE = """
from perfgate.workloads.models.shapes import read_shapes

GPT2 = read_shapes()["gpt2"]

def test_short(perf, training):
    perf(training(GPT2, precision="bf16", batch_size=1))

def test_long(perf, training):
    perf(training(GPT2, precision="bf16", batch_size=64, sequence_length=1024))

def test_of_ones_own(perf, work_of_mine):
    perf(work_of_mine)

@pytest.mark.perf(tier="full")
def test_full(perf, training):
    perf(training(GPT2))
"""


def test_seconds_by_case_and_their_sum_are_told_for_a_card_that_is_not_there(suite):
    suite.write(SUITE)
    result = suite.run("--collect-only", "-q", "--perf-device", "none", "--perf-plan=h100-sxm-80gb")
    told = {name: float(s) for line in result.outlines for s, name in re.findall(r"([\d.]+) s  \S+::(\w+)", line)}
    assert list(told) == ["test_short", "test_long", "test_of_ones_own"]
    assert told["test_short"] < told["test_long"]
    result.stdout.fnmatch_lines(
        ["*test_of_ones_own*not known*", "*for 3 cases on H100-SXM-80GB, planned and not measured"]
    )
    assert suite.run_files == []


def test_a_slower_card_takes_longer_and_an_unknown_one_is_refused(suite):
    suite.write(SUITE)

    def total_s(card):
        result = suite.run("--collect-only", "-q", "--perf-device", "none", f"--perf-plan={card}", "-k", "long")
        return next(float(line.split()[0]) for line in result.outlines if "planned and not measured" in line)

    assert total_s("l4") > total_s("h100-sxm-80gb")
    suite.run("--collect-only", "--perf-plan=h1000").stderr.fnmatch_lines(["*h1000*"])
    suite.run("--perf-plan=l4").stderr.fnmatch_lines(["*--perf-plan measures nothing; add --collect-only*"])


BILLION_S = 40
LONGER = {"llama-graphs"}  # compiles in each launch; docs/gpu-runner.md says so


def test_the_standard_tier_of_this_suite_fits_into_twenty_minutes_of_an_h100():
    """And each case of a model of a billion weights into 40 s, with six launches."""
    asked = ["--collect-only", "-q", "--perf-device=none", "--perf-plan=h100-sxm-80gb", "-p", "no:cacheprovider"]
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "perf_tests", *asked],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    ).stdout
    found = re.search(r"= ([\d.]+) min for (\d+) cases", told)
    assert found, told
    assert float(found[1]) <= 20
    assert 30 <= int(found[2]) <= 45
    large = {name: float(s) for s, name in re.findall(r"([\d.]+) s  \S+\[(llama-[\w-]+)\]", told)}
    assert len(large) > 8
    assert {name for name, seconds in large.items() if seconds > BILLION_S} == LONGER
    page = (Path(__file__).parents[2] / "docs" / "gpu-runner.md").read_text()
    assert all(f"`{name}`" in page for name in LONGER)
