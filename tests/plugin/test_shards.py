"""Shards of a real suite: dealt by stored durations, each case in one of them, and put together again."""

import json

import pytest

from tests.support.runs import perfgate

CASES = """
@pytest.mark.parametrize("name", "abcd")
def test_letters(perf, name):
    perf(work())
"""


@pytest.fixture
def dealt(suite):
    """A suite of four cases, the first of which takes as long as all others."""
    suite.write(CASES)
    nodes = [f"perf_tests/test_case.py::test_letters[{name}]" for name in "abcd"]
    (suite.path / ".test_durations").write_text(json.dumps({nodes[0]: 9.0, nodes[1]: 3.0, nodes[2]: 3.0}))
    return suite


@pytest.mark.untimed
def test_shards_are_dealt_by_stored_durations(dealt):
    def selected(shard, *more):
        result = dealt.run("--collect-only", "-q", "--perf-shard", shard, *more)
        return [line.partition("::")[2] for line in result.outlines if "::" in line]

    assert selected("1/2") == [f"test_letters[{name}]" for name in "bcd"]  # d takes the mean of the others
    assert selected("2/2") == ["test_letters[a]"]
    assert selected("4/4/1") == []  # one after the other, each half as long as the one before
    assert selected("1/2", "--perf-durations", "none") == ["test_letters[a]", "test_letters[c]"]
    (dealt.path / ".test_durations").write_text("{")
    dealt.run("--collect-only", "--perf-shard", "1/2").stderr.fnmatch_lines(["*stored durations cannot be read*"])


def test_shards_put_together_are_one_run(dealt):
    """A case of one shard never gets to its measurement, and one shard has no case at all."""
    (dealt.path / "perf_tests" / "test_case.py").write_text(
        (dealt.path / "perf_tests" / "test_case.py").read_text().replace('"abcd"', '"ab"') + BROKEN
    )
    nodes = {f"perf_tests/test_case.py::{name}": 1.0 for name in ("test_letters[a]", "test_letters[b]", "test_broken")}
    (dealt.path / ".test_durations").write_text(json.dumps(nodes))
    codes = [dealt.run("--perf-shard", f"{number}/4").ret for number in (1, 2, 3, 4)]
    assert sorted(codes) == [0, 0, 1, 5]

    done = perfgate("merge", "perf_output", "-o", "merged.jsonl", "--json", cwd=dealt.path)

    found = json.loads(done.stdout)
    assert done.returncode == 1, done.stdout + done.stderr
    assert found["shards"]["missing"] == []
    assert found["shards"]["overspent"] == 1
    assert found["shards"]["failed"].keys() == {"test_case.py::test_broken"}
    assert {verdict["case"] for verdict in found["verdicts"]} == {f"test_case.py::test_letters[{n}]" for n in "ab"}


@pytest.mark.untimed
def test_a_shard_that_was_interrupted_or_cannot_collect_is_no_whole_shard(suite):
    suite.write(CASES.replace("perf(work())", "perf(work(rounds=1))") + INTERRUPTED)
    assert suite.run("--perf-shard", "1/2", "--perf-launches", "0").ret == pytest.ExitCode.INTERRUPTED
    (suite.path / "perf_tests" / "test_case.py").write_text("import no_such_module")
    assert suite.run("--perf-shard", "2/2").ret == pytest.ExitCode.INTERRUPTED

    done = perfgate("merge", "perf_output", "-o", "merged.jsonl", "--json", cwd=suite.path)

    assert json.loads(done.stdout)["shards"]["missing"] == [1, 2]
    assert done.returncode != 0


INTERRUPTED = """

@pytest.fixture(autouse=True)
def stopped(request):
    if request.node.name != "test_letters[a]":
        raise KeyboardInterrupt
"""
BROKEN = """

def test_broken(perf, no_such_fixture):
    perf(work())
"""
