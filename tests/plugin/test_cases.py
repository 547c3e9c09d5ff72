"""The pytest side: baselines are stored and held against, and what got worse fails its own case."""

import json
import shutil
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from perfgate.records.runfile import read

pytestmark = pytest.mark.untimed

SLOWER = """
def test_it(perf):
    perf(work(rounds=20, factor_file="factor"))
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder for what the tests of this file share."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def stored(suite, kept):
    """A suite with a baseline of three sessions, which the first test that asks for it makes for all."""
    suite.write(SLOWER)
    if not list(kept.iterdir()):
        for update in ("new", "more", "more"):
            suite.run("--perf-update", update)
        shutil.copytree(suite.path / "baselines", kept / "baselines")
    shutil.copytree(kept / "baselines", suite.path / "baselines", dirs_exist_ok=True)
    return suite


@pytest.mark.launches(1)
def test_a_first_run_passes_lists_what_is_new_and_names_the_command_that_stores_it(suite):
    suite.write("def test_it(perf):\n    perf(work())")
    result = suite.run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "1 case measured, by metric: 2 new.",
            "*Store it with: pytest * perf_tests --perf-update new",
            "Decided: 0 of 2; not decided: 2 new.",
        ]
    )
    assert not suite.baselines


@pytest.mark.launches(1)
def test_the_named_command_stores_baselines_by_machine_and_test_file(suite):
    suite.write("def test_it(perf):\n    perf(work())", "training/test_deep.py")
    suite.run("--perf-update", "new").assert_outcomes(passed=1)
    (path,) = suite.baselines
    assert path.relative_to(suite.path / "baselines").parts[1:] == ("training", "test_deep.json")
    assert json.loads(path.read_text())["rows"][0]["case"] == "training/test_deep.py::test_it"


@pytest.mark.slice
@pytest.mark.launches(1)
def test_a_machine_under_a_new_name_is_told_its_old_one_and_no_pass_where_nothing_else_was_decided(suite):
    suite.write("def test_it(perf):\n    perf(work())")
    suite.run("--perf-update", "new")
    (here,) = {path.relative_to(suite.path / "baselines").parts[0] for path in suite.baselines}
    (suite.path / "baselines" / here).rename(suite.path / "baselines" / "cpu-of-old")
    told = (
        f"Nothing is stored for this machine, {here}, of 1 case of which cpu-of-old has baselines. If it is the same "
        f"machine under a new name: perfgate baselines move cpu-of-old {here}; if not: pytest * --perf-update new"
    )

    result = suite.run()
    shutil.rmtree(suite.path / "baselines" / "portable")
    alone = suite.run()
    suite.pytester.run(sys.executable, "-m", "perfgate", "baselines", "move", "cpu-of-old", here)
    moved = suite.run()

    assert [result.ret, alone.ret, moved.ret] == [pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.OK]
    result.stdout.fnmatch_lines(["Decided: 1 of 2; not decided: 1 new.", told])
    why = "ERROR: nothing was decided: what this machine lacks is stored for cpu-of-old; see above"
    alone.stdout.fnmatch_lines(["Decided: 0 of 2; not decided: 2 new.", told, why])
    moved.stdout.no_fnmatch_line("Nothing is stored for this machine*")


@pytest.mark.launches(1)
@pytest.mark.slice
def test_a_run_on_the_wrong_kind_of_device_is_told_the_right_one(suite):
    suite.write("def test_it(perf):\n    perf(work())")
    suite.run("--perf-update", "new")
    (file,) = suite.baselines
    there = suite.path / "baselines" / "nvidia-card"
    file.parent.rename(there)
    (there / file.name).write_text((there / file.name).read_text().replace('"device": "cpu"', '"device": "cuda"'))

    suite.run().stdout.fnmatch_lines([
        "Nothing is stored for this machine, *, of 1 case of which nvidia-card has baselines. If that device was "
        "meant: pytest * --perf-device cuda; if not: pytest * --perf-update new",
    ])  # fmt: skip


@pytest.mark.launches(2)
@pytest.mark.slice
def test_a_young_baseline_warns_and_strict_fails(suite):
    suite.write("def test_it(perf):\n    perf(work())")
    suite.run("--perf-update", "new")
    result = suite.run()
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*baseline too young: 2 launches from 1 session, 5 from 3 are needed*"])
    result.stdout.fnmatch_lines(["Add this machine's next session with: pytest * perf_tests --perf-update more"])
    suite.run("--perf-strict").assert_outcomes(failed=1)


@pytest.mark.measures
def test_a_slowdown_fails_its_case_with_one_sentence_and_accepting_it_passes(stored):
    (stored.path / "factor").write_text("20")
    result = stored.run("--junitxml=report.xml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "step_time_s got worse by * (* ms, baseline *; interval * to *; *",
            "Accept it with: pytest perf_tests/test_case.py::test_it --perf-update all --perf-reason WHY",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    (case,) = ElementTree.parse(stored.path / "report.xml").iter("testcase")
    assert "step_time_s got worse" in case.find("failure").get("message")
    accepted = stored.run("--perf-update", "all", "--perf-reason", "a deeper model")
    accepted.assert_outcomes(passed=1)
    assert json.loads(stored.baselines[0].read_text())["rows"][0]["reason"] == "a deeper model"


def undecided(suite):
    """Whether no verdict of the newest run was decided."""
    return {verdict.verdict for verdict in read(suite.run_files[-1]).verdicts} <= {"inconclusive", "invalid"}


@pytest.mark.measures
def test_an_unchanged_case_is_not_flagged_and_more_adds_a_session(stored):
    assert stored.run("--perf-update", "more").parseoutcomes()["passed"] == 1
    result = stored.run()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*got worse*")
    # Where the machine varies too much, nothing is decided, and the run says so by its exit code.
    assert result.ret == int(undecided(stored))
    rows = [row for row in json.loads(stored.baselines[0].read_text())["rows"] if "session" in row]
    assert len({row["session"] for row in rows}) == 4


@pytest.mark.measures
def test_an_improvement_passes_and_is_kept_when_asked(stored):
    (stored.path / "factor").write_text("0.05")
    result = stored.run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*step_time_s got better, *", "To keep what improved: pytest * perf_tests --perf-update improved"]
    )
    stored.run("--perf-update", "improved").assert_outcomes(passed=1)
    rows = json.loads(stored.baselines[0].read_text())["rows"]
    assert rows[0]["reason"] == "improved"
    assert len({row["session"] for row in rows if "session" in row}) == 1


@pytest.mark.launches(1)
@pytest.mark.slice
def test_a_changed_workload_is_stale_and_names_the_update(suite):
    suite.write("def test_it(perf):\n    perf(work(rounds=20))")
    suite.run("--perf-update", "new")
    suite.write("def test_it(perf):\n    perf(work(rounds=30))")
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the workload changed under its id*", "Accept it with: *--perf-update all*"])
    suite.run("--perf-update", "all", "--perf-reason", "more rounds").assert_outcomes(passed=1)


@pytest.mark.launches(1)
def test_strict_fails_what_is_new(suite):
    suite.write("def test_it(perf):\n    perf(work())")
    result = suite.run("--perf-strict")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*has no baseline for step_time_s, python_calls. Store it with: *--perf-update new"])


@pytest.mark.launches(1)
@pytest.mark.slice
def test_a_filtered_run_deletes_nothing(suite):
    suite.write("def test_a(perf):\n    perf(work())\n\ndef test_b(perf):\n    perf(work())")
    suite.run("--perf-update", "new")
    suite.run("--perf-update", "all", "--perf-reason", "again", "-k", "test_a")
    cases = {row["case"] for row in json.loads(suite.baselines[0].read_text())["rows"] if row}
    assert cases == {"test_case.py::test_a", "test_case.py::test_b"}


def test_a_run_whose_cases_measure_nothing_fails(suite):
    suite.write("def test_it(perf):\n    pass")
    result = suite.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR: 1 case ran and none of them called perf(), so nothing was measured"])


def test_collecting_and_skipping_are_no_failure(suite):
    suite.write("@pytest.mark.skip\ndef test_it(perf):\n    perf(work())")
    assert suite.run("--collect-only").ret == 0
    assert suite.run().ret == 0


@pytest.mark.launches(1)
def test_perf_returns_a_frozen_result(suite):
    suite.write(
        """
def test_it(perf):
    result = perf(work())
    assert result.case == "test_case.py::test_it"
    assert result.verdicts[0].verdict == "new"
    assert result.metrics["samples_per_s"] == pytest.approx(4 / result.metrics["step_time_s"], rel=0.5)
    with pytest.raises(AttributeError):
        result.case = "other"
"""
    )
    suite.run().assert_outcomes(passed=1)


@pytest.mark.launches(1)
def test_samples_a_second_times_time_is_the_work_of_a_step(suite):
    suite.write("def test_it(perf):\n    perf(work())")
    suite.run()
    launches = read(suite.run_files[0]).launches
    timed = [one for one in launches if one.pass_name == "time" and "samples_per_s" in one.metrics]
    assert timed  # a launch that others disturbed may have no rate
    for launch in timed:
        assert launch.metrics["samples_per_s"] * launch.value("step_time_s") == pytest.approx(launch.samples)
        assert launch.metrics["tokens_per_s"] * launch.value("step_time_s") == pytest.approx(launch.tokens)


def test_tiers_shards_and_filters_select_as_ever(suite):
    suite.write(
        """
@pytest.mark.perf(tier="quick")
def test_quick(perf):
    perf(work())

@pytest.mark.parametrize("number", range(5))
def test_smoke(perf, number):
    perf(work())

def test_without_perf():
    pass
"""
    )

    def selected(*arguments):
        result = suite.run("--collect-only", "-q", *arguments)
        return [line.partition("::")[2] for line in result.outlines if "::" in line]

    smoke = [f"test_smoke[{number}]" for number in range(5)]
    assert selected() == [*smoke, "test_without_perf"]
    assert selected("--perf-tier", "quick") == ["test_quick", *smoke, "test_without_perf"]
    assert selected("--perf-shard", "2/2", "-k", "perf or smoke") == [smoke[1], smoke[3], "test_without_perf"]
    assert selected("-k", "smoke and 3") == [smoke[3]]


def test_the_standard_tier_is_the_chosen_cases_where_a_suite_chooses_any(suite):
    suite.write(
        """
@pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.perf(tier="standard"))])
@pytest.mark.perf(tier="quick")
def test_mixed(perf, number):
    perf(work())

def test_smoke(perf):
    perf(work())

@pytest.mark.perf(tier="full")
def test_full(perf):
    perf(work())
"""
    )

    def selected(tier, *arguments):
        result = suite.run("--collect-only", "-q", "--perf-tier", tier, *arguments)
        return [line.partition("::")[2] for line in result.outlines if "::" in line]

    assert selected("standard") == ["test_mixed[2]"]
    assert selected("full") == ["test_mixed[1]", "test_mixed[2]", "test_smoke", "test_full"]
    suite.write("def test_smoke(perf):\n    perf(work())")
    assert selected("standard") == ["test_smoke"]


def test_last_failed_and_exit_first_work(suite):
    suite.write("def test_a(perf):\n    perf(work('Exit'))\n\ndef test_b(perf):\n    perf(work())")
    suite.run("-x").assert_outcomes(failed=1)
    suite.run("--lf").assert_outcomes(failed=1)


@pytest.mark.launches(1)
@pytest.mark.slice
def test_workers_of_xdist_write_one_run_file_and_their_baselines(suite):
    suite.write("@pytest.mark.parametrize('number', range(4))\ndef test_it(perf, number):\n    perf(work())")
    suite.run("-n", "2", "--perf-update", "new").assert_outcomes(passed=4)
    (path,) = suite.run_files
    run = read(path)
    assert list(run.by_case()) == [f"test_case.py::test_it[{number}]" for number in range(4)]
    assert not list(path.parent.glob("*.part"))
    rows = json.loads(suite.baselines[0].read_text())["rows"]
    assert len({row["case"] for row in rows if row}) == 4


@pytest.mark.slice
@pytest.mark.launches(1)
def test_plain_lines_show_each_case_where_there_is_no_terminal(suite):
    suite.write("@pytest.mark.parametrize('number', range(2))\ndef test_it(perf, number):\n    perf(work())")
    for workers in ((), ("-n", "2")):
        result = suite.run(*workers)
        result.stdout.re_match_lines([r"\[1/2\] ok .*: step_time_s .* new, \d+ s left", r"\[2/2\] ok .*"])
        assert "\x1b[" not in result.stdout.str()


@pytest.mark.launches(1)
@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["here", "in a worker"])
@pytest.mark.slice
def test_numbers_and_verdicts_reach_junit_as_properties(suite, workers):
    suite.write("def test_it(perf):\n    perf(work())")
    suite.run("--junitxml=report.xml", *workers).assert_outcomes(passed=1)
    report = ElementTree.parse(suite.path / "report.xml")
    found = {one.get("name"): one.get("value") for one in report.iter("property")}
    assert {"step_time_s", "samples_per_s", "setup_s"} <= set(found)
    assert found["verdict.step_time_s"].startswith("new: step_time_s (")


def test_other_tests_are_left_alone(suite):
    (suite.path / "test_plain.py").write_text("def test_plain():\n    pass\n")
    result = suite.pytester.runpytest_subprocess("test_plain.py")
    result.assert_outcomes(passed=1)
    assert "measured" not in result.stdout.str()
    assert not (suite.path / "perf_output").exists()


@pytest.mark.launches(2)
@pytest.mark.slice
def test_a_terminal_shows_the_launch_and_the_time_left_on_a_line_that_is_rewritten(suite):
    suite.write("@pytest.mark.parametrize('number', range(2))\ndef test_it(perf, number):\n    perf(work())")
    child = suite.pytester.spawn_pytest("perf_tests")
    child.expect_exact("\r\x1b[2K[1/2] memory launch 1 of 2  test_case.py::test_it[0]")
    child.expect_exact("\r\x1b[2K[1/2] launch 2 of 2  test_case.py::test_it[0]")
    child.expect(r"\[2/2\] launch 1 of 2, \d+ s left  test_case.py::test_it\[1\]")
    child.expect("2 passed")


def test_one_more_noisy_metric_of_generation_takes_its_part_of_the_chance_of_a_false_alarm(suite, monkeypatch):
    suite.write(
        "def test_it(perf, generation):\n    perf(generation(None))\n\n\ndef test_own(perf):\n    perf(work())\n"
    )
    suite.pytester.makeconftest(
        "import os\n"
        "from perfgate.shared.metric import Metric\n"
        "from perfgate.shared.metrics import METRICS\n"
        "if 'MORE' in os.environ:\n"
        "    METRICS['between_s'] = Metric('between_s', 's', 'noisy', 'time', fixtures=('generation',))\n"
        "from perfgate.plugin.selection import gated_pairs\n\n\n"
        "def pytest_collection_finish(session):\n"
        "    print('pairs', gated_pairs(session.items))\n"
    )
    # A program of one's own may bring any metric, also those of loading a model.
    suite.run("--collect-only").stdout.fnmatch_lines(["*pairs 9"])
    monkeypatch.setenv("MORE", "1")
    suite.run("--collect-only").stdout.fnmatch_lines(["*pairs 11"])
