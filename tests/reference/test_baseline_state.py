"""The state of a baseline: the commit that last changed the case's rows, whatever else happened to its file."""

import json
from pathlib import Path

import pytest

from perfgate.reference.baseline_state import BaselineStates, NoStateError
from perfgate.reference.interpreter import Interpreter
from tests.support.repositories import begin, commit, git

FILE = "baselines/box/test_a.json"
MINE, OTHER = 'test_a.py::test_it["x" (1|2)+.*\\]', "test_a.py::test_other[x]"
SOFTWARE = {"python": "3.11.7", "torch": "2.13.0"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty repository."""
    folder = tmp_path / "repository"
    (folder / FILE).parent.mkdir(parents=True)
    (folder / ".gitattributes").write_text("*.json merge=union\n")
    begin(folder)
    return folder


def store(folder: Path, software: dict[str, str] = SOFTWARE, **sessions: list[str]) -> str:
    """Commit a file of baselines with these sessions of each case."""
    rows = []
    for case, names in (("mine", MINE), ("other", OTHER)):
        rows += [{"case": names}, *({"case": names, "session": session} for session in sessions.get(case, []))]
    body = "".join(f"  {json.dumps(row)},\n" for row in rows)
    head = f' "schema": "perfgate.baseline/1",\n "software": {json.dumps(software)},\n'
    text = f'{{\n{head} "rows": [\n{body}  {{}}\n ]\n}}\n'
    (folder / FILE).write_text(text)
    return commit(folder)


def states(folder: Path, location: str = "baselines", software: dict[str, str] = SOFTWARE) -> BaselineStates:
    """The states of the baselines of a machine."""
    return BaselineStates(folder, location, "box", [], [], [], Interpreter(software=software))


def test_other_cases_and_other_files_do_not_move_a_state(place):
    store(place, mine=["s1"])
    mine = store(place, software={"python": "3.10.1", "torch": "2.12.0"}, mine=["s1", "s2"])
    store(place, mine=["s1", "s2"], other=["s3"])
    (place / "code.py").write_text("")
    commit(place)
    found = states(place).find(MINE)
    assert found.commit == mine
    assert found.software == {"python": "3.10.1", "torch": "2.12.0"}
    assert states(place).moved(found) == {"python": ("3.10", "3.11"), "torch": ("2.12.0", "2.13.0")}
    assert states(place).differing(found) == [str(place / "code.py")]


def test_a_patch_of_python_is_the_same_library(place):
    found = states(place)
    store(place, software=SOFTWARE | {"python": "3.11.2", "perfgate": "0.0"}, mine=["s1"])
    assert found.moved(found.find(MINE)) == {}


def test_a_case_that_came_by_a_merge_has_the_state_of_its_own_branch(place):
    store(place, mine=["s1"], other=["s1"])
    start = git(place, "branch", "--show-current")
    git(place, "switch", "-q", "-c", "side")
    side = store(place, mine=["s1", "s2"], other=["s1"])
    git(place, "switch", "-q", start)
    here = store(place, mine=["s1"], other=["s1", "s3"])
    git(place, "merge", "-q", "side", "-m", "both")
    found = states(place)
    assert found.find(MINE).commit == side
    assert found.find(OTHER).commit == here


def test_a_merge_that_mixed_the_rows_of_a_case_is_its_state(place):
    store(place, mine=["s1"])
    start = git(place, "branch", "--show-current")
    git(place, "switch", "-q", "-c", "side")
    store(place, mine=["s1", "s2"])
    git(place, "switch", "-q", start)
    store(place, mine=["s1", "s3"])
    git(place, "merge", "-q", "side", "-m", "both")
    store(place, mine=["s1", "s3", "s2"], other=["s4"])
    assert "s2" in (place / FILE).read_text()
    assert states(place).find(MINE).commit == git(place, "rev-parse", "HEAD~1")


def test_a_revision_of_baselines_has_the_state_of_that_revision(place):
    first = store(place, mine=["s1"])
    store(place, mine=["s2"])
    assert states(place, "git:HEAD~1").find(MINE).commit == first


def test_what_has_no_state_says_why(place, tmp_path):
    store(place, mine=["s1"])
    (place / FILE).write_text((place / FILE).read_text().replace("s1", "s2"))
    with pytest.raises(NoStateError, match=r"is not committed, .*: git add .*test_a\.json && git commit") as raised:
        states(place).find(MINE)
    assert raised.value.remedy
    (place / ".git" / "info" / "exclude").write_text("elsewhere\n")
    ignored = place / "elsewhere" / "box" / "test_a.json"
    ignored.parent.mkdir(parents=True)
    ignored.write_text((place / FILE).read_text())
    with pytest.raises(NoStateError, match="git ignores") as raised:
        states(place, "elsewhere").find(MINE)
    assert not raised.value.remedy
    away = tmp_path / "away"
    away.mkdir()
    with pytest.raises(NoStateError, match="is in no git repository") as raised:
        states(away).find(MINE)
    assert not raised.value.remedy
    outside = tmp_path / "stored"
    with pytest.raises(NoStateError, match="is outside of the repository") as raised:
        states(place, str(outside)).find(MINE)
    assert not raised.value.remedy


def test_a_state_that_is_beyond_a_shallow_clone_is_to_be_fetched(place, tmp_path):
    store(place, mine=["s1"])
    (place / "code.py").write_text("")
    commit(place)
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{place}", str(shallow))
    with pytest.raises(NoStateError, match="is not in this shallow clone; fetch it: git fetch --unshallow"):
        states(shallow).find(MINE)


def test_one_checkout_serves_states_with_the_same_code(place):
    first = store(place, mine=["s1"])
    second = store(place, mine=["s1"], other=["s2"])
    (place / "code.py").write_text("")
    commit(place)
    third = store(place, mine=["s3"], other=["s2"])
    found = states(place)
    mine, other = found.find(MINE), found.find(OTHER)
    assert (mine.commit, other.commit) == (third, second)
    try:
        reference = found.open(other, lambda _: None)
        assert Path(reference.path[0]).is_dir()
        assert reference.commit == second
        assert not found.is_open(mine)
        assert found.is_open(type(other)(first, SOFTWARE))
        assert found.open(mine, lambda _: None).commit == third
        assert not Path(reference.path[0]).exists()
    finally:
        found.close()
    assert len(git(place, "worktree", "list").splitlines()) == 1
