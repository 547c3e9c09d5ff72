"""The three names that users import from ``perfgate``, and what importing them costs."""

import subprocess
import sys

import pytest

from perfgate.measure.pool import copy_of_actor
from tests import ROOT
from tests.support.release import SMOKE


def run(code: str, cwd=ROOT) -> str:
    """Standard output of a Python process of its own."""
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True).stdout


def test_three_names_and_a_version_are_public_and_documented():
    code = (
        "import perfgate\n"
        "print(sorted(perfgate.__all__), set(perfgate.__all__) <= set(dir(perfgate)))\n"
        "from perfgate import Model, Program, Workload\n"
        "print(all(found.__doc__ for found in (perfgate, Model, Program, Workload)))"
    )
    assert run(code).splitlines() == ["['Model', 'Program', 'Workload', '__version__'] True", "True"]


@pytest.mark.parametrize("names", ["", "Workload", "Model", "Program"])
def test_importing_a_public_name_imports_neither_torch_nor_pandas(names):
    wanted = f"from perfgate import {names}" if names else "import perfgate"
    heavy = ["torch", "transformers", "pandas", "numpy", "scipy", "rich", "pytest"]
    assert run(f"{wanted}; import sys; print(set({heavy}) & set(sys.modules))") == "set()\n"


def test_importing_perfgate_imports_no_room_of_it():
    assert run("import perfgate, sys; print([m for m in sys.modules if m.startswith('perfgate.')])") == "[]\n"


def test_an_unknown_name_is_an_ordinary_attribute_error():
    code = "import perfgate\ntry: perfgate.Wrkload\nexcept AttributeError as error: print(error)"
    assert run(code) == "module 'perfgate' has no attribute 'Wrkload'\n"


def test_a_program_of_ones_own_finds_its_names_where_only_the_actors_side_is_laid(tmp_path):
    copy = copy_of_actor(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(copy)!r}); from perfgate import Program, Workload; print(Program)"
    assert run(f"{code}; print(sys.modules['perfgate'].__file__)", tmp_path).splitlines() == [
        "<class 'perfgate.actor.programs.base.Program'>",
        str(copy / "perfgate" / "__init__.py"),
    ]


@pytest.mark.untimed
@pytest.mark.slice
def test_a_model_made_of_a_configuration_is_taken_by_a_fixture(suite):
    suite.write(SMOKE)
    suite.run("--perf-device", "none").assert_outcomes(passed=1)


def test_pytest_lists_every_fixture_with_what_it_is_for(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--fixtures"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    told = {lines[n].split()[0]: lines[n + 1].strip() for n in range(len(lines)) if "perfgate/plugin/" in lines[n]}

    assert told.pop("perfgate_perf") == told["perf"]
    assert set(told) == {
        "perf",
        "effect",
        "training",
        "generation",
        "serving",
        "forward",
        "image_generation",
        "denoiser_training",
        "loading",
        "operator",
        "tokenizing",
        "reading",
    }
    builders = {name: text for name, text in told.items() if name not in ("perf", "effect")}
    assert all(text.startswith("Build a workload that ") for text in builders.values())
    assert told["perf"].startswith("Measure a workload, compare it with its baseline or reference")
    assert told["effect"].startswith("Compare a setting with vanilla")
