"""Stored baselines: read back as written, refused where damaged, moved as asked, and never lost."""

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perfgate.records.baseline_files import case_file, dump, load_file
from perfgate.records.baselines import Baseline, StoredLaunch
from perfgate.records.launch import Launch
from perfgate.records.moved_baseline import moved_baseline
from perfgate.records.store import Store, open_root
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError
from tests.support.runs import (
    CASE,
    MACHINE,
    OTHER_CASE,
    ROOT,
    SOFTWARE,
    WORKLOAD,
    about,
    add_sessions,
    baseline,
    launches,
    timed_baseline,
    write_baselines,
)

NAME = str(MACHINE["name"])
TIME = "step_time_s"
MEMORY = "peak_memory_bytes"
FULL = baseline(
    {"s0": [{TIME: (0.02, 2.5), MEMORY: (1e6, None)}, {TIME: (0.021, 2.6)}], "s1": [{TIME: (0.0199, None)}]},
    reason='because "of" it',
)


def store(root: Path, *moved: Baseline) -> Store:
    """A store that has read what there is of these cases, and then put them."""
    found = Store(root, NAME)
    for case in moved:
        found.get(case.case)
    found.put({case.case: case for case in moved}, MACHINE, SOFTWARE)
    return found


def read_back(root: Path, case: str = CASE) -> Baseline | None:
    """What a fresh store holds."""
    return Store(root, NAME).get(case)


def sessions(found: Baseline | None) -> list[str]:
    """Ids of the sessions in a baseline, in their order."""
    assert found is not None
    return list(dict.fromkeys(launch.session for launch in found.launches))


# -- written and read -------------------------------------------------------------------------------------------------


def test_a_baseline_reads_back_as_it_was_stored(tmp_path: Path) -> None:
    other = timed_baseline([[0.5]], case=OTHER_CASE)
    elsewhere = timed_baseline([[0.25]], case="inference/test_encoders.py::test_embeddings[bert-quick-1]")

    store(tmp_path, FULL, other, elsewhere)

    assert [read_back(tmp_path, found.case) for found in (FULL, other, elsewhere)] == [FULL, other, elsewhere]
    assert (tmp_path / NAME / "training/test_batch_size.json").is_file()
    assert (tmp_path / NAME / "inference/test_encoders.json").is_file()


def test_a_case_that_is_not_stored_has_no_baseline(tmp_path: Path) -> None:
    assert read_back(tmp_path) is None
    store(tmp_path, FULL)
    assert read_back(tmp_path, OTHER_CASE) is None


def test_values_come_by_session_in_their_unit_and_in_yardsticks() -> None:
    assert FULL.metrics == [TIME, MEMORY]
    assert FULL.values(TIME) == {"s0": [0.02, 0.021], "s1": [0.0199]}
    assert FULL.yardsticks(TIME) == {"s0": [2.5, 2.6]}
    assert FULL.values("step_time_p50_s") == {}


def test_a_file_names_schema_machine_and_software_and_holds_one_row_a_line_in_sorted_order(tmp_path: Path) -> None:
    store(tmp_path, FULL, timed_baseline([[0.5]], case=OTHER_CASE))

    text = (tmp_path / NAME / case_file(CASE)).read_text()
    document = json.loads(text)
    lines = [json.loads(line.rstrip(",")) for line in text.splitlines() if line.startswith('  {"case"')]

    assert document["schema"] == "perfgate.baseline/1"
    assert (document["machine"], document["software"]) == (MACHINE, SOFTWARE)
    assert [row for row in document["rows"] if row] == lines
    assert [row["case"] for row in lines] == [OTHER_CASE] * 2 + [CASE] * 4


def test_storing_one_case_leaves_the_lines_of_all_others_as_they_are(tmp_path: Path) -> None:
    store(tmp_path, FULL)
    path = tmp_path / NAME / case_file(CASE)
    before = path.read_text().splitlines()

    store(tmp_path, timed_baseline([[0.5]], case=OTHER_CASE), timed_baseline([[0.5]], case=CASE + "z"))

    assert [line for line in path.read_text().splitlines() if line in before] == before


def test_a_file_with_links_inside_the_folder_is_read(tmp_path: Path) -> None:
    path = write_baselines(tmp_path, FULL)
    path.rename(path.with_name("real.json"))
    path.symlink_to("real.json")

    assert read_back(tmp_path) == FULL


# -- damaged files ----------------------------------------------------------------------------------------------------


def edited(change: Callable[[dict[str, Any]], object]) -> str:
    """The text of a baseline file in which something was changed."""
    document = json.loads(dump({FULL.case: FULL}, MACHINE, SOFTWARE))
    change(document)
    return json.dumps(document)


def row_without(number: int, key: str) -> str:
    """The text of a baseline file with a key missing from one row."""
    return edited(lambda document: document["rows"][number].pop(key))


def with_value(value: str) -> str:
    """The text of a baseline file with a literal in place of a stored value."""
    return dump({FULL.case: FULL}, MACHINE, SOFTWARE).replace("0.0199", value)


WHOLE = dump({FULL.case: FULL}, MACHINE, SOFTWARE)
DAMAGED = {
    "truncated": WHOLE[: len(WHOLE) // 2],
    "empty": "",
    "not JSON": "<<<<<<< HEAD\n" + WHOLE,
    "not text": b"\xff\xfe\x00\x80",
    "a list": "[]",
    "no schema": edited(lambda document: document.pop("schema")),
    "another schema": edited(lambda document: document.update(schema="perfgate.baseline/99")),
    "rows missing": edited(lambda document: document.pop("rows")),
    "rows not a list": edited(lambda document: document.update(rows={})),
    "a row that is a number": edited(lambda document: document["rows"].append(7)),
    "a row that is a list": edited(lambda document: document["rows"].append([])),
    "a case that is a number": edited(lambda document: document["rows"][0].update(case=7)),
    "launches without their case": edited(lambda document: document["rows"].pop(0)),
    "a case twice": edited(lambda document: document["rows"].append(document["rows"][0])),
    "metrics that are a list": edited(lambda document: document["rows"][1].update(metrics=[])),
    "a metric without its yardsticks": edited(lambda document: document["rows"][1].update(metrics={TIME: [1.0]})),
    "a metric that is one number": edited(lambda document: document["rows"][1].update(metrics={TIME: 1.0})),
    "nested too deeply": "[" * 100_000 + "]" * 100_000,
    "NaN": with_value("NaN"),
    "infinity": with_value("Infinity"),
    "minus infinity": with_value("-Infinity"),
    "overflow": with_value("1e999"),
    "an integer beyond floats": with_value("1" + "0" * 400),
    "an integer of many digits": with_value("1" * 5000),
    "zero": with_value("0"),
    "zero point zero": with_value("0.0"),
    "negative": with_value("-0.5"),
    "true": with_value("true"),
    "null": with_value("null"),
    "text": with_value('"0.02"'),
    **{f"case row without {key}": row_without(0, key) for key in ("case", "workload", "commit", "date", "reason")},
    **{f"launch row without {key}": row_without(1, key) for key in ("case", "server", "device", "date", "metrics")},
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_refused_with_its_name_and_a_remedy(damage: str, tmp_path: Path) -> None:
    path = write_baselines(tmp_path, FULL)
    content = DAMAGED[damage]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(UserError) as error:
        read_back(tmp_path)

    assert str(path) in str(error.value)
    assert any(remedy in str(error.value) for remedy in ("git checkout", "remove"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["truncated", "zero", "a case twice"])
def test_a_damaged_file_is_not_overwritten(damage: str, tmp_path: Path) -> None:
    path = write_baselines(tmp_path, FULL)
    path.write_text(str(DAMAGED[damage]))

    with pytest.raises(UserError, match=str(path)):
        Store(tmp_path, NAME).put({OTHER_CASE: timed_baseline([[0.5]], case=OTHER_CASE)}, MACHINE, SOFTWARE)

    assert path.read_text() == DAMAGED[damage]


def test_the_row_that_is_damaged_is_named_with_its_metric(tmp_path: Path) -> None:
    path = write_baselines(tmp_path, FULL)
    path.write_text(with_value("-0.5"))

    with pytest.raises(UserError, match=r"row 4: metric 'step_time_s' must be a finite number above 0, not -0\.5"):
        read_back(tmp_path)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / NAME / case_file(CASE)
    path.mkdir(parents=True)

    with pytest.raises(UserError, match="is a folder, not a baseline file; remove it") as error:
        read_back(tmp_path)

    assert str(path) in str(error.value)


@pytest.mark.parametrize("what", ["file", "folder", "machine"])
def test_a_link_out_of_the_folder_is_refused(what: str, tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "baselines"
    target = write_baselines(outside, FULL)
    path = root / NAME / case_file(CASE)
    link, to = {
        "file": (path, target),
        "folder": (path.parent, target.parent),
        "machine": (root / NAME, outside / NAME),
    }[what]
    link.parent.mkdir(parents=True)
    link.symlink_to(to)
    before = target.read_bytes()

    with pytest.raises(UserError, match="leads out of") as error:
        read_back(root)
    with pytest.raises(UserError, match="leads out of"):
        Store(root, NAME).put({CASE: timed_baseline([[0.5]])}, MACHINE, SOFTWARE)

    assert str(path) in str(error.value)
    assert target.read_bytes() == before


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / NAME / case_file(CASE)
    path.parent.mkdir(parents=True)
    path.symlink_to(path.name)

    with pytest.raises(UserError) as error:
        read_back(tmp_path)

    assert str(path) in str(error.value)


# -- what each update mode moves --------------------------------------------------------------------------------------


def moved(
    mode: str, verdicts: list[str], before: Baseline | None = FULL, now: list[Launch] | None = None
) -> Baseline | None:
    """What a mode makes of a case."""
    measured = launches([0.03, 0.031]) if now is None else now
    judged = [Verdict(CASE, name, verdict) for name, verdict in zip((TIME, MEMORY), verdicts, strict=False)]
    return moved_baseline(mode, CASE, measured, judged, before, about("now", "WHY" if mode == "all" else ""))


PASSED = [Verdict(CASE, TIME, "pass")]
MODES = ("new", "improved", "more", "all")
MOVES = {
    ("no baseline",): {"new": ["now"], "improved": ["now"], "more": ["now"], "all": ["now"]},
    ("pass",): {"more": ["s0", "s1", "now"], "all": ["now"]},
    ("improved", "pass"): {"improved": ["s0", "now"], "all": ["now"]},
    ("regressed", "pass"): {"all": ["now"]},
    ("regressed", "improved"): {"all": ["now"]},
    ("stale", "stale"): {"all": ["now"]},
    ("invalid", "pass"): {},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("verdicts", MOVES)
def test_each_mode_moves_what_it_says_and_nothing_else(verdicts: tuple[str, ...], mode: str) -> None:
    fresh = verdicts == ("no baseline",)

    found = moved(mode, ["new"], None) if fresh else moved(mode, list(verdicts))

    expected = MOVES[verdicts].get(mode)
    assert (None if found is None else sessions(found)) == expected


def test_why_a_baseline_moved_is_stored_with_it() -> None:
    first, improved, replaced = moved("new", ["new"], None), moved("improved", ["improved"]), moved("all", ["pass"])
    added = moved("more", ["pass"])

    assert first is not None
    assert improved is not None
    assert replaced is not None
    assert added is not None
    assert [first.reason, improved.reason, replaced.reason] == ["first measured", "improved", "WHY"]
    assert (added.reason, added.commit, added.date) == (FULL.reason, FULL.commit, FULL.date)
    assert (replaced.commit, replaced.date) == ("4567cdef", "2026-02-03T04:05:06+00:00")


def test_numbers_in_units_of_another_yardstick_are_left_out() -> None:
    before = timed_baseline([[0.02], [0.021]])
    first, second = before.launches
    measured = {name: (value, 4.0) for name, (value, _) in second.metrics.items()}
    found = replace(before, launches=(replace(first, yardstick=0), replace(second, metrics=measured)))

    assert found.yardsticks(TIME) == {second.session: [4.0]}
    assert found.values(TIME) == before.values(TIME)


def test_an_improvement_of_one_metric_keeps_the_history_of_the_others() -> None:
    before = moved("new", ["new", "new"], None, [Launch(CASE, WORKLOAD, 0, {TIME: 0.03, MEMORY: 5e6})])
    now = [Launch(CASE, WORKLOAD, 0, {TIME: 0.031, MEMORY: 4e6})]
    assert before is not None
    before = replace(before, launches=tuple(replace(launch, session="s0") for launch in before.launches))

    found = moved("improved", ["pass", "improved"], before, now)

    assert found is not None
    assert found.values(TIME) == {"s0": [0.03]}
    assert found.values(MEMORY) == {"now": [4e6]}


def test_a_baseline_that_is_still_too_young_grows_with_more() -> None:
    assert sessions(moved("more", ["inconclusive", "pass"])) == ["s0", "s1", "now"]


@pytest.mark.parametrize("mode", ["new", "improved", "more"])
def test_a_metric_that_is_new_to_its_case_is_stored_beside_the_others(mode: str) -> None:
    before = timed_baseline([[0.02], [0.021]])
    now = [Launch(CASE, WORKLOAD, 0, {TIME: 0.03, MEMORY: 5e6})]

    found = moved(mode, ["pass", "new"], before, now)

    assert found is not None
    assert found.values(MEMORY) == {"now": [5e6]}
    assert found.values(TIME) == before.values(TIME) | ({"now": [0.03]} if mode == "more" else {})


def test_only_gated_metrics_of_valid_launches_are_stored_with_their_yardsticks() -> None:
    now = [
        Launch(CASE, WORKLOAD, 0, {TIME: [0.02, 0.04], "samples_per_s": 50.0}, yardstick_s=[0.01, 0.02], server="a"),
        Launch(CASE, WORKLOAD, 1, {TIME: [9.0]}, invalid="throttled"),
        Launch(CASE, WORKLOAD, 2, {"samples_per_s": 50.0}),
    ]

    found = moved("new", ["new"], None, now)

    assert found is not None
    assert [launch.metrics for launch in found.launches] == [{TIME: (0.03, pytest.approx(2.0))}]
    assert found.launches[0].server == "a"


@pytest.mark.parametrize("mode", MODES)
def test_a_case_of_which_no_launch_was_valid_is_left_as_it_is(mode: str) -> None:
    assert moved(mode, ["pass"], FULL, launches([0.02], invalid="throttled")) is None
    assert moved(mode, [], None, []) is None


def test_the_last_twenty_sessions_are_kept() -> None:
    found: Baseline | None = None
    for number in range(25):
        found = moved_baseline("more", CASE, launches([0.02] * 2), PASSED, found, about(f"s{number}"))

    assert sessions(found) == [f"s{number}" for number in range(5, 25)]
    assert found is not None
    assert len(found.launches) == 40


# -- many at once -----------------------------------------------------------------------------------------------------


def test_two_processes_that_update_at_once_lose_no_number(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    count = 9
    workers = [context.Process(target=add_sessions, args=(barrier, str(tmp_path), name, count)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert [worker.exitcode for worker in workers] == [0, 0]
    shared = read_back(tmp_path)
    assert shared is not None
    expected = {f"{name}{number}": [1 + number, 2 + number] for name in "ab" for number in range(count)}
    assert shared.values(TIME) == expected
    for session, values in expected.items():
        own = read_back(tmp_path, f"{CASE[:-1]}-{session}]")
        assert own is not None
        assert own.values(TIME) == {session: values}


def test_a_session_that_was_stored_while_this_run_went_on_is_kept(tmp_path: Path) -> None:
    store(tmp_path, FULL)
    mine, theirs = Store(tmp_path, NAME), Store(tmp_path, NAME)
    before = mine.get(CASE)
    later = moved_baseline("more", CASE, launches([0.02]), PASSED, theirs.get(CASE), about("theirs"))
    assert later is not None
    theirs.put({CASE: later}, MACHINE, SOFTWARE)

    own = moved_baseline("more", CASE, launches([0.03]), PASSED, before, about("mine"))
    assert own is not None
    mine.put({CASE: own}, MACHINE, SOFTWARE)

    assert sorted(sessions(read_back(tmp_path))) == ["mine", "s0", "s1", "theirs"]


def test_a_baseline_that_was_replaced_while_this_run_went_on_stays_replaced(tmp_path: Path) -> None:
    store(tmp_path, FULL)
    mine, theirs = Store(tmp_path, NAME), Store(tmp_path, NAME)
    before = mine.get(CASE)
    replaced = moved_baseline(
        "all", CASE, launches([0.5]), [Verdict(CASE, TIME, "regressed")], theirs.get(CASE), about("theirs", "WHY")
    )
    assert replaced is not None
    theirs.put({CASE: replaced}, MACHINE, SOFTWARE)

    own = moved_baseline("more", CASE, launches([0.02]), PASSED, before, about("mine"))
    assert own is not None
    mine.put({CASE: own}, MACHINE, SOFTWARE)

    found = read_back(tmp_path)
    assert not {"s0", "s1"} & set(sessions(found))
    assert found is not None
    assert found.reason == "WHY"


# -- where nothing can be written -------------------------------------------------------------------------------------


def test_a_path_below_a_file_is_refused_with_a_remedy(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    broken = Store(file / "baselines", NAME)

    for write in (broken.check_writable, lambda: broken.put({CASE: FULL}, MACHINE, SOFTWARE)):
        with pytest.raises(UserError, match="baselines cannot be stored") as error:
            write()
        assert str(file) in str(error.value)
        assert "--perf-baselines" in str(error.value)

    assert file.read_text() == "kept"


def test_checking_that_a_folder_can_be_written_leaves_no_file_there(tmp_path: Path) -> None:
    Store(tmp_path, NAME).check_writable()

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


FULL_DISK = """
import resource, sys
from pathlib import Path
from perfgate.shared.errors import UserError
from perfgate.records.store import Store
from tests.support.runs import MACHINE, OTHER_CASE, SOFTWARE, timed_baseline

resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
store = Store(Path(sys.argv[1]), MACHINE["name"])
store.get(OTHER_CASE)
try:
    if sys.argv[2] == "check":
        store.check_writable()
    else:
        store.put({OTHER_CASE: timed_baseline([[0.5]], case=OTHER_CASE)}, MACHINE, SOFTWARE)
except UserError as error:
    print(error)
    sys.exit(9)
"""


@pytest.mark.parametrize("step", ["check", "put"])
def test_a_disk_that_is_full_leaves_the_old_file_as_it_was(step: str, tmp_path: Path) -> None:
    store(tmp_path, FULL)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), step]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (9, "")
    assert "baselines cannot be stored" in done.stdout
    assert "what was stored before is untouched" in done.stdout
    assert read_back(tmp_path) == FULL
    left = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"}
    assert left == {path: content for path, content in files.items() if path.name != ".lock"}


# -- git --------------------------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    """Run git without anybody's settings."""
    settings = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *settings, *arguments]
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(folder: Path) -> None:
    """Commit all baselines."""
    git(folder, "add", "baselines")
    git(folder, "commit", "-m", "baselines")


def named(letter: str, value: float = 0.5) -> Baseline:
    """A baseline of a case of its own in the shared file."""
    return timed_baseline([[value, value], [value]], case=f"training/test_batch_size.py::test_batch_size[{letter}]")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with one commit."""
    git(tmp_path, "init", "-b", "main")
    git(tmp_path, "commit", "--allow-empty", "-m", "empty")
    return tmp_path


CASES: Mapping[str, tuple[str, str, str]] = {
    "at both ends": ("mn", "a", "z"),
    "at the same place": ("az", "m", "n"),
    "interleaved": ("bf", "ace", "dg"),
    "into a file that neither had": ("", "a", "b"),
    "into a file that neither had, interleaved": ("", "ac", "bd"),
}


@pytest.mark.parametrize("where", CASES)
def test_branches_that_add_different_cases_merge_without_conflict(where: str, repository: Path) -> None:
    common, ours, theirs = CASES[where]
    root = repository / "baselines"
    if common:
        store(root, *map(named, common))
        commit(repository)
    for branch, letters in (("ours", ours), ("theirs", theirs)):
        git(repository, "switch", "-c", branch, "main")
        store(root, *map(named, letters))
        commit(repository)

    git(repository, "switch", "ours")
    git(repository, "merge", "theirs", "-m", "merged")

    for letter in common + ours + theirs:
        assert read_back(root, named(letter).case) == named(letter)


def test_branches_that_add_sessions_to_different_cases_merge_without_conflict(repository: Path) -> None:
    root = repository / "baselines"
    store(root, named("a"), named("b"))
    commit(repository)
    for branch in ("a", "b"):
        git(repository, "switch", "-c", branch, "main")
        case = named(branch).case
        before = Store(root, NAME).get(case)
        found = moved_baseline("more", case, launches([0.25], case=case), PASSED, before, about(branch))
        assert found is not None
        store(root, found)
        commit(repository)

    git(repository, "merge", "a", "-m", "merged")

    for letter in "ab":
        assert sessions(read_back(root, named(letter).case)) == ["s0", "s1", letter]


def test_the_lock_of_an_update_is_not_offered_to_git(repository: Path) -> None:
    store(repository / "baselines", FULL)

    shown = git(repository, "status", "--porcelain", "--untracked-files=all").split()

    assert f"baselines/{NAME}/{case_file(CASE)}" in shown
    assert [path for path in shown if path.endswith("lock")] == []


def test_baselines_can_be_read_as_they_were_at_a_revision(repository: Path) -> None:
    root = repository / "baselines"
    for value in (0.5, 0.25):
        store(root, named("a", value))
        commit(repository)

    with open_root("git:HEAD~1", repository) as folder:
        first = read_back(folder, named("a").case)
    with open_root("baselines", repository) as folder:
        last = read_back(folder, named("a").case)

    assert (first, last) == (named("a", 0.5), named("a", 0.25))


def test_a_revision_or_its_baselines_that_do_not_exist_are_named(repository: Path) -> None:
    for location in ("git:no-such-branch", "git:main", "git:", "git:--help"):
        with pytest.raises(UserError, match=f"--perf-baselines {location}"), open_root(location, repository):
            pass


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--perf-baselines git:HEAD"), open_root("git:HEAD", tmp_path):
        pass


def test_a_link_out_of_the_folder_is_refused_at_a_revision_too(repository: Path) -> None:
    path = repository / "baselines" / NAME / case_file(CASE)
    path.parent.mkdir(parents=True)
    path.symlink_to("/etc/hostname")
    commit(repository)

    with pytest.raises(UserError, match="link"), open_root("git:HEAD", repository) as folder:
        read_back(folder)


def test_a_file_of_its_own_is_read_without_a_store(tmp_path: Path) -> None:
    path = write_baselines(tmp_path, FULL)

    found = load_file(path, tmp_path)

    assert found == {CASE: FULL}
    assert all(isinstance(launch, StoredLaunch) for launch in found[CASE].launches)


def test_a_case_that_got_worse_since_another_pair_of_versions_is_stored_only_when_it_is_accepted() -> None:
    worse = [Verdict(CASE, "flops", "regressed", since="transformers 5.22"), Verdict(CASE, MEMORY, "pass")]

    kept = {mode: moved_baseline(mode, CASE, launches([1e6], MEMORY), worse, None, about("s")) for mode in MODES}

    assert [mode for mode, found in kept.items() if found] == ["all"]


def test_a_stored_launch_knows_its_libraries(tmp_path: Path) -> None:
    run = {**about("s"), "software": {"torch": "2.13.0+cpu", "transformers": "5.23.0"}}
    moved = moved_baseline("new", CASE, launches([1e6], MEMORY), [], None, run)
    assert moved is not None
    store(tmp_path, moved)

    found = read_back(tmp_path)

    assert found is not None
    assert found.software == run["software"]
    assert FULL.software == {}, "of what was stored before this was known"
