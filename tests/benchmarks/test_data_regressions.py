"""Three real changes of datasets and transformers, held against each other by the cases of this suite."""

import subprocess
import sys

import pytest

from benchmarks.environments import kept
from benchmarks.public_regressions import ENVIRONMENTS
from perfgate.records.runfile import read
from tests import ROOT

COLUMN = "data/test_reading.py::test_reading[column]"
STREAM = "data/test_reading.py::test_reading[stream]"
CONVERT = "data/test_tokenizing.py::test_convert_tokens_to_ids_with_added_tokens"


def python_of(name):
    """An interpreter with older libraries, built once and kept in the cache."""
    return kept(name, ENVIRONMENTS[name].packages, ENVIRONMENTS[name].alone)


def verdicts(folder, case, before, now=""):
    """The verdicts on one case by metric, from one environment to another or to this one."""
    sides = ["--perf-ref", python_of(before), *(["--perf-candidate", python_of(now)] if now else [])]
    command = [
        sys.executable,
        "-m",
        "pytest",
        f"perf_tests/{case}",
        "--perf-env",
        "installed",
        "--perf-tier",
        "full",
        *sides,
    ]
    done = subprocess.run(
        [*command, "--perf-output", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    files = list(folder.glob("*.jsonl"))
    assert files, done.stdout + done.stderr
    return {verdict.metric: verdict for verdict in read(files[0]).verdicts}


@pytest.mark.slice
@pytest.mark.measures
@pytest.mark.parametrize(
    ("case", "before", "now", "file"),
    [
        (COLUMN, "datasets-3.6.0", "datasets-4.0.0", "datasets/"),
        (CONVERT, "transformers-4.57.6", "transformers-5.0.0", "PythonBackend.added_tokens_encoder"),
    ],
)
def test_hundredfold_regressions_are_caught_by_time_and_by_calls(tmp_path, case, before, now, file):
    found = verdicts(tmp_path, case, before, now)
    for name in ("step_time_s", "python_calls"):
        assert found[name].verdict == "regressed"
        assert found[name].change > 50
    assert found["peak_host_bytes"].verdict == "regressed"
    assert file in found["python_calls"].why


@pytest.mark.slice
@pytest.mark.measures
def test_rows_of_a_stream_that_are_read_faster_are_called_an_improvement(tmp_path):
    found = verdicts(tmp_path, STREAM, "datasets-4.8.5")
    assert found["python_calls"].verdict == "improved"
    assert found["step_time_s"].verdict == "improved"
