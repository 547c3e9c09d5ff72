"""``perfgate fleet``: how many shards it plans, and what it refuses; scripts take the place of Slurm's programs."""

import json
from pathlib import Path

import pytest

from tests.support.commands import refuse
from tests.support.runs import perfgate

pytest.importorskip("submitit")

FLEET = ("fleet", "--engine", "slurm", "--parallel", "3", "--durations", "stored", "--folder", "shared")
SCRIPTS = {"srun": "", "sbatch": "echo 'no such partition' >&2; exit 1", "scontrol": "echo 'MaxArraySize    = {}'"}


@pytest.mark.parametrize(("largest", "shards"), [(1001, 18), (16, 16)])
def test_a_fleet_plans_more_shards_than_slurm_runs_at_once(tmp_path: Path, largest: int, shards: int) -> None:
    (tmp_path / "stored").write_text(json.dumps({"perf_tests/test_a.py::test_a": 90_000}))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in SCRIPTS.items():
        (programs / name).write_text(f"#!/bin/sh\n{text.format(largest)}\n")
        (programs / name).chmod(0o755)

    done = perfgate(*FLEET, cwd=tmp_path, env={"PATH": str(programs)})

    assert done.returncode == 2
    assert "perfgate: slurm takes no job" in done.stderr
    assert "Traceback" not in done.stderr
    plan = json.loads((tmp_path / "shared" / "fleet.json").read_text())
    assert (plan["shards"], plan["parallel"]) == (shards, 3)
    assert plan["settings"]["slurm_array_parallelism"] == 3
    assert plan["arguments"] == ["perf_tests", "--perf-durations", str(tmp_path / "stored")]


def test_a_machine_without_slurm_begins_no_fleet(tmp_path: Path) -> None:
    assert "slurm cannot be used here" in refuse(*FLEET, cwd=tmp_path, env={"PATH": ""})
    assert not (tmp_path / "shared" / "fleet.json").exists()


def test_a_fleet_must_know_how_many_machines_there_are(tmp_path: Path) -> None:
    said = refuse("fleet", "--engine", "slurm", "--folder", tmp_path / "shared")

    assert "--parallel N" in said
    assert not (tmp_path / "shared").exists()
