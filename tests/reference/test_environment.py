"""Environments that are built once and kept, and what becomes of a build whose time is over."""

import os
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from perfgate.reference.build_step import run
from perfgate.reference.environment import Recipe, built

# As pip does: a child does the work, and its parent waits for it.
SLOW = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)']); "
    "print(child.pid, flush=True); child.wait()"
)


def test_a_step_whose_time_is_over_ends_with_all_that_it_started(tmp_path):
    said: list[str] = []

    with pytest.raises(TimeoutError):
        run([sys.executable, "-c", SLOW], tmp_path, "--perf-ref", said.append, time.monotonic() + 5)

    assert ended(int(said[0]))


def test_a_build_that_is_not_finished_in_time_leaves_nothing_that_counts_as_built(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    with pytest.raises(TimeoutError):
        built(Recipe(tmp_path, [["--no-index", "anything"]]), "--perf-ref", left_s=0.01)

    assert [path.suffix for path in (tmp_path / "cache" / "perfgate" / "environments").iterdir()] == [".lock"]


def test_another_run_that_builds_is_waited_for_only_as_long_as_there_is_time(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    recipe = Recipe(tmp_path, [["--no-index", "anything"]])
    environments = tmp_path / "cache" / "perfgate" / "environments"
    environments.mkdir(parents=True)

    with FileLock(environments / f"{recipe.digest}.lock"), pytest.raises(TimeoutError):
        built(recipe, "--perf-ref", left_s=0.1)


def ended(process_id: int) -> bool:
    """Whether a process ends within some seconds; one that nobody has waited for yet counts as ended."""
    for _ in range(100):
        try:
            if sys.platform == "linux" and Path(f"/proc/{process_id}/stat").read_text().split()[2] == "Z":
                return True
            os.kill(process_id, 0)
        except OSError:
            return True
        time.sleep(0.1)
    return False
