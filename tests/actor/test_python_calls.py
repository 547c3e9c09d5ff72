"""Python's calls: what counts, by one definition for every Python."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import SUPPORT
from tests.support.environments import newest_python

ROOT = Path(__file__).parent.parent.parent
EVERYTHING = {
    "Everything.cycle": 1,
    "Everything.step": 1,
    "Everything.step.<locals>.<genexpr>": 1,
    "Everything.step.<locals>.<lambda>": 4,
    "Cyclic.__init__": 1,
    "asynchronous": 1,
    "delegating": 1,
    "in_thread": 2,
    "load": 2,
    "numbers": 3,
}
COUNT = """
import gc
from perfgate.actor.python_calls import Calls
import calling_programs as programs
calls, program = Calls(), programs.{name}(None)
gc.collect()
gc.disable()
seen = []
for _ in range(3):
    calls.begin()
    program.step()
    seen.append(calls.end())
assert seen[0] == seen[1] == seen[2], seen
print(dict(seen[0]))
"""


def counted(python: str, name: str, seed: str = "0", more: str = "", **variables: str) -> dict[str, dict[str, int]]:
    """The calls of a step in a fresh interpreter, which looks for modules in more places and has more variables."""
    done = subprocess.run(
        [python, "-c", COUNT.format(name=name)],
        env={"PYTHONPATH": f"{ROOT}:{SUPPORT}{more}", "PYTHONHASHSEED": seed, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, int]] = eval(done.stdout)
    return found


@pytest.mark.parametrize("python", sorted({sys.executable, newest_python()}))
def test_entries_of_functions_count_on_all_threads_and_by_one_definition_for_every_python(python: str) -> None:
    # What Python's own library does around threads is another matter in each version.
    assert counted(python, "Everything")["calling_programs.py"] == EVERYTHING


@pytest.mark.parametrize("python", sorted({sys.executable, newest_python()}))
def test_a_pool_that_is_let_go_counts_the_same_whoever_sees_it_first(python: str) -> None:
    found = counted(python, "Pools")
    assert found["calling_programs.py"] == {"Pools.step": 1}
    assert not any("weakref_cb" in name for functions in found.values() for name in functions)


def test_a_hash_seed_changes_no_count() -> None:
    for name in ("Everything", "Searches"):
        assert counted(sys.executable, name, "1") == counted(sys.executable, name, "2")


@pytest.mark.parametrize("python", sorted({sys.executable, newest_python()}))
def test_the_places_where_modules_are_looked_for_change_no_count(python: str, tmp_path: Path) -> None:
    found = counted(python, "Imports")
    assert found == counted(python, "Imports", more=f":{tmp_path}/a:{tmp_path}/b")
    assert found["calling_programs.py"] == {"Imports.step": 1, "load": 1}
    assert found == counted(python, "ImportsBesideFinder")


@pytest.mark.parametrize("python", sorted({sys.executable, newest_python()}))
def test_the_number_of_variables_in_the_environment_changes_no_count(python: str) -> None:
    found = counted(python, "Copies")
    assert found == counted(python, "Copies", ONE="1", MORE="1")
    assert found["calling_programs.py"] == {"Copies.step": 1, "load": 1}


@pytest.mark.parametrize("python", sorted({sys.executable, newest_python()}))
def test_how_deep_a_folder_lies_and_by_how_many_links_changes_no_count(python: str, tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (tmp_path / "link").symlink_to(deep)
    places = ("/tmp", str(deep), f"{tmp_path}/link")
    found, *others = (counted(python, "Follows", FOLDER=place) for place in places)
    assert found["calling_programs.py"] == {"Follows.step": 1, "load": 1}
    assert others == [found, found]


@pytest.mark.parametrize("python", sorted({sys.executable, newest_python()}))
def test_a_profiler_of_the_programs_own_is_not_disturbed(python: str) -> None:
    code = """
import sys
from perfgate.actor.python_calls import Calls, Taken
seen = []
calls = Calls()
sys.setprofile(lambda frame, event, _: seen.append(event))
try:
    calls.begin()
    calls.end()
except Taken as reason:
    print(reason)
profiler = sys.getprofile()
sys.setprofile(None)
assert profiler is not None
"""
    done = subprocess.run(
        [python, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("another profiler is at work", "")


def test_calls_are_told_by_file_below_the_folder_of_its_import_and_by_function() -> None:
    from perfgate.actor.python_calls import Calls

    calls = Calls()
    calls.begin()
    Path("a") / "b"
    table = calls.end()
    assert table["pathlib.py"]["PurePath.__truediv__"] == 1
    assert not any(name.startswith("/") for name in table)
