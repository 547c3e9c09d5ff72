"""The files that lie in the repository are read by the code beside them: no renaming may reach into a schema."""

from pathlib import Path

import pytest

from perfgate.cases.noise_file import NAME, read_noise
from perfgate.records.baseline_files import load_file
from perfgate.records.runfile import read
from tests import ROOT

BASELINES = ROOT / "baselines"
NOISE = sorted(BASELINES.rglob(NAME))


@pytest.mark.parametrize("path", NOISE, ids=lambda path: path.parent.name)
def test_the_stored_noise_of_a_machine_is_read(path: Path) -> None:
    assert read_noise(path.parent).cases > 0


def test_every_stored_baseline_is_read() -> None:
    paths = [path for path in BASELINES.rglob("*.json") if path.name != NAME]

    assert len(paths) > 10
    assert all(load_file(path, BASELINES) for path in paths)


def test_the_recorded_launches_are_read() -> None:
    runs = [read(path) for path in (ROOT / "benchmarks" / "gate" / "recorded").glob("*.jsonl")]

    assert runs
    assert all(len(run.launches) > 100 for run in runs)
