"""The wall: torch and its kin live on the actor's side, and collecting costs next to nothing.

Which room may import which is checked by import-linter (``lint-imports``, contracts in ``pyproject.toml``).
"""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter

import grimp
import pytest

from tests import ROOT

HEAVY = {"torch", "transformers", "datasets", "accelerate"}


@pytest.mark.parametrize("path", [ROOT / "conftest.py", *(ROOT / "fixtures").glob("*.py")], ids=lambda path: path.name)
def test_what_collecting_imports_of_this_suite_imports_no_torch_anywhere(path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    assert not HEAVY & {name.split(".")[0] for name in names}


def test_no_module_imports_itself_in_a_circle_imports_for_types_included():
    graph = grimp.build_graph("perfgate", cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imported).prepare()  # raises CycleError, with the circle


def test_collecting_the_suite_imports_nothing_heavy():
    unwanted = ["torch", "transformers", "pandas", "scipy", "rich", "numpy", "huggingface_hub"]
    code = (
        "import pytest, sys\n"
        "code = pytest.main(['perf_tests', '--collect-only', '-q', '-p', 'no:cacheprovider'])\n"
        f"print('imported:', sorted(set({unwanted}) & set(sys.modules)))\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "imported: []"


@pytest.mark.untimed
def test_a_whole_run_never_imports_torch_in_the_parent(suite):
    suite.write("def test_it(perf):\n    perf(work())")
    (suite.path / "conftest.py").write_text(
        "import sys\ndef pytest_sessionfinish():\n    assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    suite.run().assert_outcomes(passed=1)


BUILDS = "perfgate.actor.techniques.models"  # which builds every model


@pytest.mark.parametrize("program", ["generation", "forward", "trainer", "accelerated"])
def test_what_is_slow_to_import_comes_with_the_program_and_not_in_each_actor(program):
    seen, waiting = set(), {f"perfgate.actor.programs.{program}"}
    while waiting:
        seen |= waiting
        waiting = {name for module in waiting for name in imported_at_once(module)} - seen
    assert BUILDS in seen


@pytest.mark.slice
def test_what_builds_models_imports_what_is_slow_to_import():
    code = f"import sys, {BUILDS}; print('transformers.modeling_utils' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def imported_at_once(module):
    """The modules of Perfgate that a module imports as soon as it is imported, and not in a function."""
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    body = ast.parse(path.read_text()).body if path.exists() else []
    return {node.module for node in body if isinstance(node, ast.ImportFrom) and node.module.startswith("perfgate.")}
