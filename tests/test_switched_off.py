"""A test of the tests: each effect fails when its technique is switched off behind its back."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests import ROOT


@pytest.mark.slice
@pytest.mark.measures
def test_every_effect_that_a_dry_run_tells_fails_without_its_technique(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    command = ["pytest", "perf_tests", "-m", "effect", "--perf-device", "none", "--perf-tier", "quick", "-n", "2", "-q"]
    more = ["-p", "tests.switched_off", f"--junitxml={report}", f"--perf-output={tmp_path}"]
    subprocess.run([sys.executable, "-m", *command, *more], cwd=ROOT, capture_output=True, check=False, timeout=900)

    cases = list(ElementTree.parse(report).iter("testcase"))
    held = [case.get("name") for case in cases if case.find("failure") is None and case.find("skipped") is None]
    failed = [failure.get("message") or "" for case in cases for failure in case.iter("failure")]
    assert held == []
    assert len(failed) >= 10
    assert all("expected" in message for message in failed)
