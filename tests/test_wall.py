"""The wall: torch and its kin live on the actor's side, and collecting costs next to nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

HEAVY = {"torch", "transformers", "datasets", "accelerate"}
PARENT = [path for path in (ROOT / "perfgate").rglob("*.py") if "actor" not in path.relative_to(ROOT).parts[:-1]]
PARENT += [ROOT / "perfgate" / "measure" / "actor.py", ROOT / "conftest.py", *(ROOT / "fixtures").glob("*.py")]


def imports(path: Path) -> set[str]:
    """Full names of all modules that a file imports, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", sorted(set(PARENT)), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_on_the_parents_side_imports_the_actor_or_torch(path):
    names = imports(path)
    assert not {name for name in names if name.split(".")[0] in HEAVY}
    assert not {name for name in names if name == "perfgate.actor" or name.startswith("perfgate.actor.")}


def test_the_actors_side_needs_no_more_of_perfgate_than_a_few_small_files():
    allowed = (
        "perfgate.actor",
        "perfgate.shared",
    )
    for path in (ROOT / "perfgate" / "actor").rglob("*.py"):
        for name in imports(path):
            assert not name.startswith("perfgate.") or name.startswith(allowed), f"{path}: {name}"


def test_rooms_import_in_one_direction():
    order = ["actor", "measure", "records", "gate", "reports"]
    may = {
        "measure": {"measure", "records"},
        "records": {"records"},
        "gate": {"gate", "records"},
        "reports": {"reports", "gate", "records"},
    }
    for room, allowed in may.items():
        for path in (ROOT / "perfgate" / room).glob("*.py"):
            for name in imports(path):
                parts = name.split(".")
                if parts[0] == "perfgate" and len(parts) > 1 and parts[1] in order:
                    assert parts[1] in allowed, f"{path.relative_to(ROOT)} imports {name}"


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


def test_a_whole_run_never_imports_torch_in_the_parent(suite):
    suite.write("def test_it(perf):\n    perf(work())")
    (suite.path / "conftest.py").write_text(
        "import sys\ndef pytest_sessionfinish():\n    assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    suite.run().assert_outcomes(passed=1)


@pytest.mark.parametrize("program", ["generation", "forward", "trainer", "accelerated"])
def test_what_is_slow_to_import_comes_with_the_program_and_not_in_each_actor(program):
    code = f"import sys, perfgate.actor.programs.{program}; print('transformers.modeling_utils' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
