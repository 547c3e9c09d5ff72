"""Python's calls through the front door: counted exactly, stored by versions, and named by function where they grew."""

import json
import shutil

import pytest

from perfgate.records.runfile import read
from perfgate.shared.metrics import PYTHON_CALLS
from tests import ROOT, SUPPORT
from tests.actor.test_python_calls import EVERYTHING
from tests.support.environments import bare, newest_python, version_of

pytestmark = pytest.mark.untimed

CASES = """
def calling(name):
    return Workload(f"calling_programs:{name}", {})

@pytest.mark.parametrize("name", [NAMES])
def test_it(perf, name):
    perf(calling(name), tolerance=5)
"""
GPT2 = """
def test_gpt2(perf):
    perf(Workload("gpt2:Training", {}), tolerance=5)
"""


@pytest.fixture
def calling(suite):
    """A suite whose programs call functions."""
    shutil.copy(SUPPORT / "calling_programs.py", suite.path)
    ini = suite.path / "tox.ini"
    ini.write_text(ini.read_text().replace("perf_launches = 2", "perf_launches = 1"))
    return suite


def write(suite, *names):
    """Write one case for each of the programs."""
    suite.write(CASES.replace("NAMES", ", ".join(map(repr, names))))


def counts(suite):
    """The counts of the newest run, by case and side."""
    launches = [launch for launch in read(suite.run_files[-1]).launches if launch.pass_name == "counters"]
    return {(launch.case[-20:].partition("[")[2], launch.side): launch.metrics.get(PYTHON_CALLS) for launch in launches}


def verdicts(suite):
    """The verdicts on calls of the newest run, by case."""
    found = read(suite.run_files[-1]).verdicts
    return {verdict.case.partition("[")[2][:-1]: verdict for verdict in found if verdict.metric == PYTHON_CALLS}


@pytest.mark.slice
def test_what_grew_fails_its_case_and_is_named_by_function(calling):
    write(calling, "LooksUp", "Tokenizes", "Loads")
    calling.run("--perf-update", "new").assert_outcomes(passed=3)
    (calling.path / "grown").touch()
    result = calling.run()
    result.assert_outcomes(failed=3)
    case = "test_case.py::test_it"
    result.stdout.fnmatch_lines_random(
        [
            f"*{case}[[]LooksUp]: python_calls got worse by +100.0% (16, baseline 8; tolerance 0.0%; grown: "
            "calling_programs.py:Config.__getattr__ +4, calling_programs.py:Config.look_up +4)",
            f"*{case}[[]Tokenizes]: python_calls got worse by 178-fold (178, baseline 1; *grown: "
            "calling_programs.py:ends +176, calling_programs.py:by_character +1)",
            f"*{case}[[]Loads]: python_calls got worse by +66.7% (10, baseline 6; *grown: calling_programs.py:load +4)",
            f"*Accept it with: pytest 'perf_tests/{case}[[]Loads]' --perf-update all *",
        ]
    )


@pytest.mark.slice
def test_a_count_repeats_from_process_to_process_under_any_hash_seed_and_without_the_garbage_collector(
    calling, monkeypatch
):
    write(calling, "Everything", "Collects", "Settles")
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        calling.run()
        told = {case: count for (case, _), count in counts(calling).items()}
        own = sum(EVERYTHING.values())
        assert told["Settles]"] == 1
        assert told["Everything]"] == told["Collects]"] >= own  # and what ``threading`` calls


def test_a_count_that_does_not_repeat_is_undecided_and_says_so(calling):
    write(calling, "Wanders")
    result = calling.run("--perf-update", "new")
    result.stdout.fnmatch_lines(
        ["*python_calls is undecided (it differs from step to step: 5, 6, 7, 8, 9, 10, 11, 12)"]
    )
    assert not calling.portable


@pytest.mark.slice
def test_a_count_holds_for_one_python_alone(calling):
    write(calling, "Loads")
    calling.run("--perf-update", "new")
    (path,) = calling.portable
    here, other = f'"Python 3.{version_of()[1]} on cpu"', '"Python 3.99 on cpu"'
    text = path.read_text()
    assert text.count(here) == 1
    path.write_text(text.replace(here, other))
    result = calling.run("--perf-update", "new")
    result.stdout.fnmatch_lines(["*python_calls * new (stored for Python 3.99 on cpu alone)*"])
    devices = [row["device"] for row in json.loads(path.read_text())["rows"] if "session" in row]
    assert sorted(map(json.dumps, devices)) == sorted((here, other))
    calling.run()
    assert verdicts(calling)["Loads"].verdict == "pass"
    calling.run("--perf-update", "all", "--perf-reason", "again")
    assert text.count('"session"') + 1 == path.read_text().count('"session"')


def test_both_sides_of_a_reference_are_counted_and_compared_exactly(calling):
    write(calling, "Everything")
    calling.run("--perf-ref", bare(calling.path / "other"))
    assert len(counts(calling)) == 2
    assert len(set(counts(calling).values())) == 1
    assert verdicts(calling)["Everything"].verdict == "pass"


def test_a_reference_with_another_python_is_not_compared(calling):
    newest = newest_python()
    if version_of(newest) == version_of():
        pytest.skip("this Python is the newest at hand")
    write(calling, "Everything")
    result = calling.run("--perf-ref", bare(calling.path / "newest", newest))
    here, there = (f"Python 3.{version[1]} on cpu" for version in (version_of(), version_of(newest)))
    result.stdout.fnmatch_lines(
        [f"*python_calls is undecided *counted under {here}, and in the reference under {there}*"]
    )
    assert all(counts(calling).values())


@pytest.mark.slice
def test_a_real_gpt2_repeats_itself_and_an_added_look_up_in_its_layers_is_named(suite, monkeypatch):
    text = (ROOT / "benchmarks" / "plain_steps.py").read_text()
    (suite.path / "gpt2.py").write_text(text)
    suite.write(GPT2)
    with (suite.path / "tox.ini").open("a") as ini:
        ini.write("\nperf_preload = gpt2\n")  # else each launch imports torch and transformers again
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    suite.run("--perf-update", "new").assert_outcomes(passed=1)
    monkeypatch.setenv("PYTHONHASHSEED", "2")
    (suite.path / "gpt2.py").write_text(
        f"{text}\n\ndef looked_up(layer, hidden):\n    return layer.attn.config.hidden_size\n"
    )
    suite.run()
    assert verdicts(suite)[""].verdict == "pass"
    changed = "self.network = GPT2LMHeadModel(GPT2Config(**GPT2)).train()"
    hooked = f"{changed}\n        for layer in self.network.transformer.h:\n"
    hooked += "            layer.register_forward_pre_hook(lambda layer, _: None)\n        self.network"
    assert changed in text
    (suite.path / "gpt2.py").write_text(text.replace(changed, hooked))
    result = suite.run()
    result.stdout.fnmatch_lines(["*python_calls got worse by *grown: *gpt2.py:Training.__init__.<locals>.<lambda> +2*"])
    # Without a device nothing is counted, and what is stored is not asked for.
    alone = suite.run("--perf-device", "none")
    alone.stdout.no_fnmatch_line("*python_calls*")
