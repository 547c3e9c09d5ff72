"""The wheel and the sdist as users get them: built, checked, and used in an environment outside of the checkout."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import perfgate
from perfgate.records.runfile import read
from tests import ROOT
from tests.support.environments import interpreters, version_of
from tests.support.examples import checked_out, edit
from tests.support.release import SMOKE, build, environment, outside
from tests.support.repositories import commit, git

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OTHERS = [python for python in interpreters() if version_of(python) != sys.version_info[:2]]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist of this checkout."""
    wheel, sdist = sorted(build(tmp_path_factory.mktemp("dist")), key=lambda path: path.suffix, reverse=True)
    return wheel, sdist


def test_the_version_is_the_same_wherever_it_is_written():
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]

    assert {PROJECT["version"], perfgate.__version__, newest, cited} == {perfgate.__version__}


@pytest.mark.slice
def test_the_packages_pass_the_check_of_the_index_and_hold_what_they_need(packages):
    wheel, sdist = packages
    check = [sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

    tracked = subprocess.run(["git", "ls-files", "perfgate"], cwd=ROOT, check=True, capture_output=True, text=True)
    files = set(tracked.stdout.split())
    assert files - set(zipfile.ZipFile(wheel).namelist()) == set()
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {*files, "LICENSE", "README.md", "pyproject.toml", "tests/conftest.py"} - inside == set()


@pytest.mark.slice
def test_an_installed_wheel_measures_stores_and_compares_outside_of_the_checkout(packages, tmp_path):
    commands = environment(tmp_path / "env", packages[0], libraries=True)
    suite = tmp_path / "suite"
    (suite / "perf_tests").mkdir(parents=True)
    (suite / "perf_tests" / "test_tiny.py").write_text(SMOKE)
    (suite / "pytest.ini").write_text("[pytest]\n")
    pytest_here = [str(commands / "python"), "-m", "pytest", "perf_tests", "--perf-tier", "smoke", "--perf-device"]

    place = outside([str(commands / "python"), "-c", "import perfgate; print(perfgate.__file__)"], suite)
    assert Path(place.stdout.strip()).is_relative_to(tmp_path / "env")

    first = outside([*pytest_here, "none", "--perf-update", "new"], suite)
    assert first.returncode == 0, first.stdout
    second = outside([*pytest_here, "none"], suite)
    assert second.returncode == 0, second.stdout

    told = outside([str(commands / "perfgate"), "report", str(newest_run(suite))], suite)
    assert told.returncode == 0, told.stderr
    verdicts = {verdict.metric: verdict.verdict for verdict in read(newest_run(suite)).verdicts}
    assert verdicts["flops"] == "pass"
    assert set(verdicts.values()) == {"pass"}
    assert read(newest_run(suite)).header["software"]["perfgate"] == perfgate.__version__


@pytest.mark.slice
def test_an_example_is_gated_by_an_installed_wheel_as_its_user_would(packages, tmp_path):
    python = str(environment(tmp_path / "env", packages[0], libraries=True) / "python")
    folder = checked_out("layer_library", tmp_path)
    git(folder, "tag", "v0.1.0")
    offline = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    installed = outside([python, "-m", "pip", "install", *offline, "-e", "."], folder)
    assert installed.returncode == 0, installed.stderr
    gated = [python, "-m", "pytest", "perf_tests", "--perf-device", "none"]

    unchanged = outside(gated, folder)
    assert unchanged.returncode == 0, unchanged.stdout
    assert "14 pass." in unchanged.stdout

    edit(folder / "src" / "tern" / "__init__.py", ("if length not in self.masks:", "if True:"))
    commit(folder, "Masks are made anew")
    worse = outside([*gated, "--perf-ref", "v0.1.0"], folder)
    assert worse.returncode == 1, worse.stdout
    assert "test_layers.py::test_layer[LocalAttention-64]: operator_calls got worse by +10.5%" in worse.stdout


def newest_run(suite: Path) -> Path:
    """The last run file of a suite."""
    return max((suite / "perf_output").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)


@pytest.mark.slice
@pytest.mark.parametrize("python", OTHERS, ids=lambda python: ".".join(map(str, version_of(python))))
def test_the_wheel_installs_under_other_pythons_and_tells_its_commands(packages, tmp_path, python):
    commands = environment(tmp_path / "env", packages[0], python)
    done = outside([str(commands / "perfgate"), "--help"], tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert "compare" in done.stdout
