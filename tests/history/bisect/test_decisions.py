"""Which step comes next, what is left, and how a verdict decides a step."""

import json
import random
from pathlib import Path

import pytest

from perfgate.history.bisect.courses import Commits, Versions, commits
from perfgate.history.bisect.decisions import Decision, decide, suspects, worst
from perfgate.history.bisect.state import opened
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError
from tests.support.repositories import begin, commit, git


def course(count: int) -> Versions:
    """Versions 0 to ``count``; 0 is good."""
    return Versions(Path(), "package", tuple(map(str, range(count + 1))), lambda _: None)


@pytest.mark.parametrize("skipped", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("count", [1, 2, 3, 64, 101])
def test_the_first_bad_step_is_found_and_what_does_not_run_only_widens_the_answer(count: int, skipped: float) -> None:
    generator = random.Random(count)
    for first in range(1, count + 1):
        broken = {number for number in range(1, count) if generator.random() < skipped}
        decided: list[Decision] = []
        while (left := suspects(course(count), decided)).open:
            number = int(left.open[0])
            name = "skipped" if number in broken else "bad" if number >= first else "good"
            decided.append(Decision(str(number), name))
        between = {*map(int, left.hidden), int(left.first_bad)}
        assert first in between
        assert between - {int(left.first_bad)} <= broken
        if not broken:
            assert left.found
            assert left.first_bad == str(first)
            assert len(decided) <= count.bit_length()


def test_commits_are_halved_along_first_parents_or_into_branches(tmp_path: Path) -> None:
    begin_with(tmp_path, "0")
    good = git(tmp_path, "rev-parse", "HEAD")
    main = git(tmp_path, "branch", "--show-current")
    git(tmp_path, "checkout", "-q", "-b", "side")
    inside = [step(tmp_path, f"s{number}", "side") for number in range(3)]
    git(tmp_path, "checkout", "-q", main)
    first = step(tmp_path, "1")
    git(tmp_path, "merge", "-q", "--no-ff", "-m", "merge", "side")
    merge = git(tmp_path, "rev-parse", "HEAD")
    last = step(tmp_path, "2")

    along = commits(tmp_path, good, "HEAD", [], first_parent=True)
    everywhere = commits(tmp_path, good, "HEAD", [], first_parent=False)

    assert set(along.halving([good], last)) == {first, merge, last}
    assert along.halving([good], last)[0] in (first, merge)
    assert set(everywhere.halving([good], last)) == {first, merge, last, *inside}
    assert everywhere.halving([good, inside[1]], merge)[-1] == merge
    assert inside[0] not in everywhere.halving([good, inside[1]], merge)
    assert Commits(tmp_path, good, last).same(good, good)
    assert not Commits(tmp_path, good, last).same(good, first)
    assert Commits(tmp_path, good, first, (tmp_path / "main",)).same(good, first), "what is left out does not count"
    for ends, said in (((last, good), "are they swapped"), ((inside[0], first), "is not among the ancestors")):
        with pytest.raises(UserError, match=said):
            commits(tmp_path, *ends, [], first_parent=True)


def begin_with(folder: Path, text: str) -> None:
    """A repository with one commit."""
    (folder / "main").mkdir()
    (folder / "main" / "number").write_text(text)
    begin(folder)


def step(folder: Path, text: str, place: str = "main") -> str:
    """One more commit; returns it."""
    (folder / place).mkdir(exist_ok=True)
    (folder / place / "number").write_text(text)
    return commit(folder, text)


@pytest.mark.parametrize(
    ("verdict", "most", "name"),
    [
        (Verdict("case", "flops", "regressed", 0.25), 0.25, "bad"),
        (Verdict("case", "flops", "pass", 0.0, 0.0, 0.0), 0.25, "good"),
        (Verdict("case", "flops", "improved", -0.1), 0.25, "good"),
        (Verdict("case", "step_time_s", "pass", 0.001, -0.01, 0.012), 0.03, "good"),
        # It passes by the case's tolerance, and may be as slow as the bad end.
        (Verdict("case", "step_time_s", "pass", 0.01, -0.01, 0.025), 0.02, "unsure"),
        (Verdict("case", "step_time_s", "pass", 0.005, -0.01, 0.025), 0.03, "unsure"),
        # One duet passed it, and nothing is known of how much duets vary.
        (Verdict("case", "step_time_s", "pass", 0.001), 0.03, "unsure"),
        (Verdict("case", "step_time_s", "inconclusive", 0.01, -0.1, 0.1), 0.03, "unsure"),
        (Verdict("case", "step_time_s", "invalid", why="disturbed"), 0.03, "skipped"),
        (Verdict("case", "dry_run", "invalid", why="crash: SyntaxError"), 0.03, "skipped"),
    ],
)
def test_a_verdict_of_the_gate_decides_a_step(verdict: Verdict, most: float, name: str) -> None:
    metric = "flops" if verdict.metric == "dry_run" else verdict.metric
    found = decide("step", [Verdict("case", "leaked_bytes", "pass"), verdict], metric, most)

    assert found.name == name
    assert found.why == verdict.why


def test_a_lost_dry_run_is_found_although_it_has_a_verdict_only_where_it_is_lost() -> None:
    assert decide("step", [Verdict("case", "flops", "pass")], "dry_run").name == "good"
    assert decide("step", [Verdict("case", "dry_run", "regressed")], "dry_run").name == "bad"
    assert decide("step", [], "dry_run").name == "skipped"


def test_what_is_exact_is_followed_before_times_and_the_largest_change_first() -> None:
    found = [
        Verdict("case", "step_time_s", "regressed", 0.5),
        Verdict("case", "flops", "regressed", 0.1),
        Verdict("case", "operator_calls", "regressed", 0.2),
        Verdict("case", "moved_bytes", "pass", 0.0),
    ]

    assert [one.metric for one in worst(found, dry=False)] == ["operator_calls", "flops", "step_time_s"]
    assert [one.metric for one in worst(found, dry=True)] == ["operator_calls", "flops"]


def test_what_was_decided_is_kept_by_question(tmp_path: Path) -> None:
    state = opened(tmp_path, {"case": "a", "good": "1"}, afresh=False)
    state.metric, state.end = "flops", Decision("9", "bad", 0.2, why="grown", run="run")
    state.decided.append(Decision("5", "good", 0.0))
    state.save()

    assert opened(tmp_path, {"case": "a", "good": "1"}, afresh=False) == state
    assert opened(tmp_path, {"case": "a", "good": "2"}, afresh=False).decided == []
    assert opened(tmp_path, {"case": "a", "good": "1"}, afresh=True).decided == []
    state.path.write_text(json.dumps({"metric": "flops"}))
    with pytest.raises(UserError, match="begin again with --afresh"):
        opened(tmp_path, {"case": "a", "good": "1"}, afresh=False)
