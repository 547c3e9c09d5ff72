"""The example repositories of docs/examples: each in a checkout of its own, with the commands of its README."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import ROOT
from tests.support.environments import bare
from tests.support.examples import EXAMPLES, checked_out, edit
from tests.support.plugins import QUIET
from tests.support.repositories import commit, git

NAMES = ("accelerate_loop", "fine_tuning_script", "layer_library")
Typed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a repository of an example, with one commit on ``main``."""

    monkeypatch.setenv("PYTEST_ADDOPTS", f"{QUIET} -p no:cov -o perf_html=off")
    return lambda name: checked_out(name, tmp_path)


def typed(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """What a shell in a folder does with a command, where ``python`` is this one."""
    ours = f'python() {{ {sys.executable} "$@"; }}; perfgate() {{ python -m perfgate "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", ours + command], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


def command_of(folder: Path, words: str) -> str:
    """The command in an example's README that has some words."""
    block = re.findall(r"```console\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)[0]
    (found,) = (line.partition("#")[0].strip() for line in block.splitlines() if words in line)
    return found


def assert_unchanged_passes(folder: Path, told: str) -> None:
    """The example as it is passes beside its own baselines."""
    unchanged = typed(folder, command_of(folder, "beside baselines/"))
    assert unchanged.returncode == 0, unchanged.stdout
    assert told in unchanged.stdout


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_small(name: str) -> None:
    assert sum(len(path.read_text().splitlines()) for path in (EXAMPLES / name).rglob("*.py")) < 150
    assert len((EXAMPLES / name / "README.md").read_text().splitlines()) <= 15


def test_the_workflow_of_the_example_is_the_template() -> None:
    """Whose schema, permissions and steps tests/ci checks."""
    copied = EXAMPLES / "accelerate_loop" / ".github" / "workflows" / "performance.yml"
    assert copied.read_text() == (ROOT / "ci" / "templates" / "github-actions.yml").read_text()


@pytest.mark.slice
@pytest.mark.untimed
def test_a_loop_over_accelerate_is_gated_and_a_trailer_accepts(checkout: Callable[[str], Path]) -> None:
    folder = checkout("accelerate_loop")
    assert_unchanged_passes(folder, "13 pass.")

    git(folder, "checkout", "-q", "-b", "logging")
    loop = folder / "src" / "rill" / "training.py"
    edit(
        loop,
        (
            "                self.accelerator.backward(loss)\n",
            "                self.accelerator.backward(loss)\n                self.seen = loss.item()\n",
        ),
    )
    line = loop.read_text().splitlines().index("                self.seen = loss.item()") + 1
    commit(folder, "The loop keeps its loss")
    against = command_of(folder, "--perf-ref main")
    worse = typed(folder, f"{against} -k training")
    assert worse.returncode == 1, worse.stdout
    assert "test_rill.py::test_training: predicted_host_syncs got worse by +100.0% (4, reference 2" in worse.stdout
    assert f"item at src/rill/training.py:{line}" in worse.stdout

    trailers = [
        line.strip().replace(": WHY", ": the log needs it")
        for line in worse.stdout.splitlines()
        if line.startswith("    Perf-accept: ")
    ]
    git(folder, "commit", "--amend", "-q", "-m", "\n\n".join(["The loop keeps its loss", "\n".join(trailers)]))
    accepted = typed(folder, f"{against} -k training")
    assert accepted.returncode == 0, accepted.stdout
    assert "the log needs it" in accepted.stdout

    newest = max((folder / "perf_output").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    page = typed(folder, command_of(folder, "--format html").replace("RUN", newest.stem))
    assert page.stdout.startswith("<!doctype html>"), page.stderr
    assert "test_rill.py::test_training" in page.stdout


@pytest.mark.slice
@pytest.mark.untimed
def test_the_commit_that_makes_masks_anew_is_found_between_a_release_and_now(checkout: Callable[[str], Path]) -> None:
    folder = checkout("layer_library")
    git(folder, "tag", "v0.1.0")
    layers = folder / "src" / "tern" / "__init__.py"
    edit(layers, ("class LocalAttention(", "# a remark\nclass LocalAttention("))
    harmless = commit(folder, "A remark")
    edit(layers, ("if length not in self.masks:", "if True:"))
    guilty = commit(folder, "Masks are made anew")

    done = typed(folder, command_of(folder, "perfgate bisect"))

    assert done.returncode == 0, done.stderr
    assert f"{harmless[:12]} is good" in done.stderr
    assert f"{guilty[:10]}" in done.stdout
    assert "operator_calls went from 38 to 42" in done.stdout


@pytest.mark.slice
@pytest.mark.untimed
def test_a_fine_tuning_script_is_gated_as_it_is_and_an_option_accepts(checkout: Callable[[str], Path]) -> None:
    folder = checkout("fine_tuning_script")
    assert_unchanged_passes(folder, "14 pass.")

    # Gradients then live on through the forward pass.
    edit(
        folder / "train.py",
        ("        loss.backward()\n", "        optimizer.zero_grad()\n        loss.backward()\n"),
        ("        optimizer.step()\n        optimizer.zero_grad()\n", "        optimizer.step()\n"),
    )
    hungry = typed(folder, f"{command_of(folder, 'beside baselines/')} -k 0")
    assert hungry.returncode == 1, hungry.stdout
    assert "test_fine_tuning.py::test_fine_tuning[0]: predicted_peak_bytes got worse by +" in hungry.stdout
    assert "(gradients) +" in hungry.stdout

    peaks = {"predicted_peak_bytes": "+30%", "predicted_cuda_peak_bytes": "+9%"}
    accept = " ".join(f"--perf-accept 'test_fine_tuning.py::*:{name}:{limit}'" for name, limit in peaks.items())
    accepted = typed(folder, f"{command_of(folder, '--perf-ref main')} -k 0 {accept}")
    assert accepted.returncode == 0, accepted.stdout


@pytest.mark.slice
@pytest.mark.untimed
def test_a_library_is_gated_beside_a_release_and_in_a_project_that_uses_it(
    checkout: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkout("layer_library")
    assert_unchanged_passes(folder, "14 pass.")
    git(folder, "tag", "v0.1.0")
    shelf = tmp_path / "shelf"
    wheel = f"python -m pip wheel -q --no-build-isolation --no-deps -w {shelf} ."
    assert typed(folder, wheel).returncode == 0
    edit(folder / "src" / "tern" / "__init__.py", ("if length not in self.masks:", "if True:"))
    edit(folder / "pyproject.toml", ('version = "0.1.0"', 'version = "0.2.0"'))
    commit(folder, "Masks are made anew")
    assert typed(folder, wheel).returncode == 0

    worse = typed(folder, command_of(folder, "--perf-ref v0.1.0"))
    assert worse.returncode == 1, worse.stdout
    assert "test_layers.py::test_layer[LocalAttention-64]: operator_calls got worse by +10.5%" in worse.stdout
    assert "grown: LocalAttention (other) +3" in worse.stdout
    assert "test_layers.py::test_layer[RootNorm-64]: 7 exact metrics pass" in worse.stdout

    project = tmp_path / "project"
    shutil.copytree(folder / "perf_tests", project / "perf_tests")
    (project / "pytest.ini").write_text("[pytest]\npythonpath = perf_tests\nperf_preload = tern\n")
    python = Path(bare(tmp_path / "env"))
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    (packages / "beneath.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert typed(project, f"python -m pip install -q --no-deps --target {packages} tern==0.1.0").returncode == 0
    command = command_of(folder, "perfgate upgrade").replace("perfgate", f"{python} -m perfgate", 1)

    upgrade = typed(project, f"{command} --json")

    assert upgrade.returncode == 1, upgrade.stderr
    found = json.loads(upgrade.stdout)
    assert found["moved"] == {"tern": ["0.1.0", "0.2.0"]}
    (cause,) = found["worse"]
    assert [verdict["metric"] for verdict in cause["verdicts"]] == ["operator_calls"]
