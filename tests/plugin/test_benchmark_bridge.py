"""pytest-benchmark's own reports show Perfgate's cases, with and without workers."""

import importlib.metadata
import json
from importlib.util import find_spec

import pytest

from perfgate.records.runfile import read

pytestmark = pytest.mark.untimed

CASES = """
@pytest.mark.parametrize("rounds", [20, 90])
def test_case(perf, rounds):
    perf(work(rounds=rounds))

def test_plain(benchmark):
    benchmark.pedantic(sum, args=([1, 2],), rounds=3)

def test_other():
    pass
"""


@pytest.fixture
def bench(suite):
    """A suite in which pytest-benchmark is on, with cases, a benchmark of its own and an ordinary test."""
    quiet = " ".join(f"-p no:{name}" for name in ("hypothesispytest", "anyio", "randomly"))
    suite.pytester.makeini(f"[pytest]\naddopts = {quiet}\nperf_launches = 2\n")
    suite.write(CASES)
    return suite


def rows(path):
    """Each benchmark of a JSON file, by its name."""
    return {row["name"]: row for row in json.loads(path.read_text())["benchmarks"]}


def launches(suite):
    """What the run file holds of the timed launches: the step time of each, by case."""
    timed = [launch for launch in read(suite.run_files[-1]).launches if launch.pass_name == "time"]
    found = {}
    for launch in timed:
        found.setdefault(launch.case.partition("::")[2], []).append(launch.value("step_time_s"))
    return found


@pytest.mark.slice
def test_table_and_json_hold_one_value_a_launch_and_what_else_was_measured(bench):
    result = bench.run("--benchmark-json=out.json")
    result.assert_outcomes(passed=4)
    result.stdout.re_match_lines([r"-+ benchmark: 3 tests -+"])
    for name in ("test_case[20]", "test_case[90]", "test_plain"):
        assert sum(line.startswith(f"{name} ") for line in result.outlines) == 1
    found = rows(bench.path / "out.json")
    for name, steps_s in launches(bench).items():
        assert found[name]["stats"]["data"] == pytest.approx(steps_s)
        assert found[name]["stats"]["rounds"] == 2
        assert found[name]["fullname"] == f"perf_tests/test_case.py::{name}"
        assert found[name]["extra_info"]["setup_s"] > 0
        assert found[name]["extra_info"]["verdicts"] == {"step_time_s": "new", "python_calls": "new"}
    assert found["test_case[20]"]["params"] == {"rounds": 20}
    assert found["test_case[20]"]["stats"]["median"] < found["test_case[90]"]["stats"]["median"]
    assert found["test_plain"]["stats"]["rounds"] == 3


@pytest.mark.slice
def test_under_workers_the_controller_reports_what_they_measured_and_saves_it_once(bench):
    result = bench.run("-n", "2", "--benchmark-json=out.json", "--benchmark-save=first", "--benchmark-autosave")
    result.assert_outcomes(passed=4)
    result.stdout.re_match_lines([r"-+ benchmark: 2 tests -+"])
    found = rows(bench.path / "out.json")
    assert set(found) == {"test_case[20]", "test_case[90]"}  # pytest-benchmark measures nothing beside others
    for name, steps_s in launches(bench).items():
        assert found[name]["stats"]["data"] == pytest.approx(steps_s)
    (saved,) = (bench.path / ".benchmarks").rglob("*_first.json")
    assert set(rows(saved)) == set(found)


@pytest.mark.slice
def test_a_saved_run_is_compared_with_the_next_and_a_limit_fails_it(bench):
    bench.write("def test_it(perf):\n    perf(work(factor_file='factor'))")
    bench.run("--benchmark-autosave").assert_outcomes(passed=1)
    (bench.path / "factor").write_text("20")
    slower = bench.run("--benchmark-compare", "--benchmark-compare-fail=median:100%", "-n", "2")
    assert slower.ret != 0
    sources = [line.split()[1][:5] for line in slower.outlines if line.startswith("test_it (")]
    assert sources == ["(0001", "(NOW)"]  # sorted by time
    slower.stderr.fnmatch_lines(["*Performance has regressed*"])


@pytest.mark.parametrize(
    ("option", "passed", "skipped", "shown"),
    [
        ("--benchmark-only", 3, 1, {"test_case[20]", "test_case[90]", "test_plain"}),
        ("--benchmark-skip", 1, 3, set()),
        ("--benchmark-disable", 4, 0, set()),
    ],
)
@pytest.mark.slice
def test_a_case_is_a_benchmark_to_the_options_that_choose_among_them(bench, option, passed, skipped, shown):
    result = bench.run(option, "--benchmark-json=out.json")
    result.assert_outcomes(passed=passed, skipped=skipped)
    out = bench.path / "out.json"
    assert (set(rows(out)) if out.exists() else set()) == shown
    assert (" benchmark: " in result.stdout.str()) == bool(shown)
    assert bool(bench.run_files) == (option != "--benchmark-skip")


def test_a_failed_case_shows_what_was_measured_in_the_group_of_its_mark(bench):
    bench.write(
        """
def test_dies(perf):
    perf(work("Exit"))

@pytest.mark.benchmark(group="small")
def test_lives(perf):
    perf(work())
"""
    )
    result = bench.run("--perf-strict", "--benchmark-json=out.json")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*- benchmark 'small': 1 tests -*"])
    assert set(rows(bench.path / "out.json")) == {"test_lives"}


@pytest.mark.skipif(not find_spec("pygal"), reason="draws with pygal: pip install 'pytest-benchmark[histogram]'")
def test_a_histogram_is_drawn_where_pygal_is_installed(bench):
    bench.run("--benchmark-histogram=picture", "-k", "20").assert_outcomes(passed=1)
    assert "test_case[20]" in (bench.path / "picture.svg").read_text()


def test_without_pytest_benchmark_nothing_is_missed(bench):
    bench.write("def test_it(perf):\n    perf(work())")
    result = bench.run("-p", "no:benchmark")
    result.assert_outcomes(passed=1)
    result.stdout.no_re_match_line(r"-+ benchmark: ")


def test_the_insides_of_pytest_benchmark_that_are_relied_on_are_there(bench):
    """The contract: ``missing`` names what a new version moved."""
    (bench.path / "conftest.py").write_text(
        "from perfgate.plugin.benchmark_bridge import missing\n"
        "def pytest_sessionstart(session):\n    print('missing:', missing(session.config) or 'nothing')\n"
    )
    version = importlib.metadata.version("pytest-benchmark")
    out = bench.run("--collect-only", "-s").stdout.str()
    told = [line for line in out.splitlines() if line.startswith("missing:")]
    assert told == ["missing: nothing"], (
        f"pytest-benchmark {version} moved what perfgate/plugin/benchmark_bridge.py uses"
    )


def test_a_version_that_moved_them_is_named_and_the_cases_run_all_the_same(bench):
    bench.write("def test_it(perf):\n    perf(work())")
    (bench.path / "conftest.py").write_text(
        "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_sessionstart(session):\n    session.config._benchmarksession.benchmarks = ()\n"
    )
    result = bench.run("--perf-launches", "1")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*pytest-benchmark * shows no case of Perfgate: config._benchmarksession.benchmarks*"])
