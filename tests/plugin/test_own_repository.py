"""A repository of one's own: where folders of models are looked for, custom architectures, other fixtures of the same
name, coverage, and what runs leave behind."""

import json
import os
import subprocess
import sys

import pytest

from perfgate.records.runfile import read
from tests import SUPPORT

pytestmark = pytest.mark.untimed
DRY = ("--perf-device", "none")
UNUSED = "def test_it(perf, training):\n    perf(training({model}, batch_size=1, sequence_length=8))"


def a_model(folder, **config):
    """A folder that looks like a model's from outside."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "tinylm", **config}))
    (folder / "model.safetensors").write_text("")
    return folder


@pytest.fixture
def own(suite):
    """A suite with an architecture of its own, in a package that registers it when it is imported."""
    package = suite.path / "tinylm"
    package.mkdir()
    for name in ("__init__", "configuration_tinylm", "modeling_tinylm"):
        (package / f"{name}.py").write_text((SUPPORT / "tinylm" / f"{name}.py").read_text())
    return suite


def saved(own):
    """Save two models of the own architecture: one as it is, one with its code."""
    script = (
        "from tinylm import TinyConfig, TinyForCausalLM\n"
        "TinyForCausalLM(TinyConfig()).save_pretrained('perf_tests/registered')\n"
        "TinyConfig.register_for_auto_class()\n"
        "TinyForCausalLM.register_for_auto_class('AutoModelForCausalLM')\n"
        "TinyForCausalLM(TinyConfig()).save_pretrained('perf_tests/with_code')\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=own.path, check=True, capture_output=True)


CUSTOM = """
from perfgate import Model

def test_registered(perf, training):
    perf(training("registered", batch_size=1, sequence_length=8))

def test_with_code(perf, training):
    perf(training(Model.from_folder("with_code", trust_remote_code=True), batch_size=1, sequence_length=8))

def test_not_allowed(perf, training):
    perf(training(Model.from_folder("with_code"), batch_size=1, sequence_length=8))
"""


@pytest.mark.slice
def test_a_custom_architecture_runs_where_its_code_is_named_and_the_message_says_how(own):
    saved(own)
    own.write(CUSTOM)

    unnamed = own.run(*DRY)

    unnamed.assert_outcomes(passed=1, failed=2)
    unnamed.stdout.fnmatch_lines(
        [
            "*does not know the architecture 'tinylm' of */perf_tests/registered; where importing a module of yours "
            "registers it, name that module: perf_preload = MODULE in the ini file*"
        ]
    )
    unnamed.stdout.fnmatch_lines(["*code lies beside its weights*Model.from_folder(FOLDER, trust_remote_code=True)*"])
    unnamed.stdout.no_fnmatch_line("*Traceback*")
    own.run("-o", "perf_preload=tinylm", *DRY, "-k", "registered").assert_outcomes(passed=1)
    models = {line["spec"]["params"]["model"]["folder"] for line in read(own.run_files[0]).workloads.values()}
    assert models == {"perf_tests/registered", "perf_tests/with_code"}, "the same on every machine"

    def predict(*more):
        words = ["predict", "--batch-size", "1", "--seq-len", "8", *more]
        return subprocess.run(
            [sys.executable, "-m", "perfgate", *words], cwd=own.path, capture_output=True, text=True, check=False
        )

    done = predict("--model", "perf_tests/registered")
    assert (done.returncode, "--preload MODULE" in done.stderr) == (2, True)
    assert predict("--model", "perf_tests/registered", "--preload", "tinylm").returncode == 0
    with (own.path / "tox.ini").open("a") as ini:
        ini.write("\nperf_preload = tinylm\n")
    assert predict("--model", "perf_tests/with_code").returncode == 0, "by the ini file"


@pytest.mark.parametrize("place", ["perf_tests", ".", "below"])
@pytest.mark.slice
def test_a_folder_is_looked_for_beside_the_test_then_in_the_root_then_where_pytest_was_started(suite, place):
    a_model(suite.path / place / "mine")
    (suite.path / "below").mkdir(exist_ok=True)
    suite.write(UNUSED.format(model="'mine'") + "\n    raise AssertionError\n")
    suite.pytester.makeconftest(
        "import pytest\n"
        "@pytest.fixture\n"
        "def perf():\n"
        "    def show(workload):\n"
        "        print('found', workload.params['model']['folder'], workload.place)\n"
        "    return show\n"
    )
    os.chdir(suite.path / "below")

    result = suite.pytester.runpytest_subprocess("../perf_tests")

    name = {"perf_tests": "perf_tests/mine", ".": "mine", "below": "below/mine"}[place]
    path = os.path.normpath(suite.path / place / "mine")
    result.stdout.fnmatch_lines([f"found {name} {path}"])


def test_a_missing_folder_says_where_it_was_looked_for(suite):
    suite.write(UNUSED.format(model="'models/mine'"))
    where = f"the folder was looked for in {suite.path}/perf_tests, then in {suite.path}"

    suite.run(*DRY).stdout.fnmatch_lines([f"model 'models/mine' is not a folder, *; {where}"])


OTHERS = """
import pytest

@pytest.fixture
def perf():
    return lambda: "another"
"""


def test_another_fixture_named_perf_is_told_apart_and_perfgates_has_an_alias(suite):
    suite.pytester.makeconftest(OTHERS)
    suite.write(
        "def test_theirs(perf):\n    assert perf() == 'another'\n\n"
        "def test_ours(perfgate_perf):\n    perfgate_perf('no workload')\n"
    )

    result = suite.run(*DRY)

    result.assert_outcomes(passed=1, failed=1, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "*test_theirs gets the fixture perf of conftest (*conftest.py:*), so Perfgate measures nothing there; "
            "where Perfgate's is meant, ask for it as perfgate_perf"
        ]
    )
    result.stdout.fnmatch_lines(["perf() takes a workload, not str;*"])


def test_a_plugin_whose_fixture_is_hidden_is_named(suite):
    (suite.path / "theirs.py").write_text(OTHERS)
    suite.write("def test_it(perf):\n    pass\n")

    result = suite.run("-p", "theirs", "--collect-only")

    result.stdout.fnmatch_lines(["*Perfgate's fixture perf hides the one of theirs (*; *-p no:perfgate"])


def test_a_fixture_that_builds_on_perfgates_stays_a_case(suite):
    suite.pytester.makeconftest(OTHERS.replace("perf():", "perf(perf):").replace('lambda: "another"', "perf"))
    suite.write("def test_it(perf):\n    perf('no workload')\n")

    result = suite.run(*DRY)

    result.assert_outcomes(failed=1, warnings=0)
    result.stdout.fnmatch_lines(["perf() takes a workload, not str;*"])


def test_a_case_that_never_calls_perf_is_named_and_fails_under_strict(suite):
    suite.write("def test_it(perf):\n    pass\n\ndef test_other(perf):\n    perf(work('CrashInSetup'))\n")
    # With pytest-benchmark, which takes the results over.
    suite.pytester.makeini("[pytest]\n")

    result = suite.run(*DRY)

    result.stdout.fnmatch_lines(["*test_it asks for perf and never called perf(), so nothing was measured there"])
    result.stdout.fnmatch_lines(["Not measured, as no workload was given to perf() or effect(): *::test_it"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    suite.run(*DRY, "--perf-strict").assert_outcomes(failed=2)


def test_run_files_are_ignored_by_git_and_a_folder_of_the_users_stays_as_it_is(suite):
    subprocess.run(["git", "init", "-q"], cwd=suite.path, check=True)
    (suite.path / "reports").mkdir()
    suite.write("def test_it(perf):\n    perf(work())\n")

    suite.run(*DRY)
    suite.run(*DRY, "--perf-output", "reports")

    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"], cwd=suite.path, capture_output=True, text=True
    )
    assert "perf_output" not in status.stdout
    assert len(suite.run_files) == 1
    assert not (suite.path / "reports" / ".gitignore").exists()


def test_a_module_that_cannot_be_preloaded_is_named_with_the_folders(suite):
    suite.write("def test_it(perf):\n    perf(work())\n")

    result = suite.run(*DRY, "-o", "perf_preload=no_such_module")

    result.stdout.fnmatch_lines(
        [f"perf_preload names no_such_module, which * cannot import: *; it finds modules in {suite.path}*, and among *"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_what_a_failed_launch_printed_is_apart_from_the_sentence(suite):
    suite.write(
        "from perfgate.gate.outcome import Outcome\nfrom perfgate.plugin import hooks\n"
        "from types import SimpleNamespace\n\n"
        "def test_it(request):\n"
        "    outcome = Outcome('failed', 'one sentence', 'what it printed')\n"
        "    hooks.conclude(request.node, SimpleNamespace(case='test_case.py::test_it', outcome=outcome))"
    )

    result = suite.run()

    result.stdout.fnmatch_lines(["one sentence", "*- Captured perfgate call -*", "what it printed"])
    result.stdout.fnmatch_lines(["FAILED *test_it - Failed: one sentence"])


@pytest.mark.slice
@pytest.mark.skipif(os.environ.get("COVERAGE_PROCESS_CONFIG") is not None, reason="is being covered itself")
@pytest.mark.parametrize("follows", [True, False])
def test_coverage_follows_into_the_actors_or_a_line_says_that_it_does_not(suite, follows):
    pytest.importorskip("pytest_cov")
    (suite.path / ".coveragerc").write_text("[run]\npatch = subprocess\n" if follows else "[run]\n")
    (suite.path / "mine.py").write_text(
        "import torch\nfrom perfgate import Program\n\n\nclass Mine(Program):\n    def __init__(self, device):\n"
        "        self.samples = 1\n\n    def step(self):\n        return torch.ones(3) + 1\n"
    )
    suite.write("def test_it(perf):\n    perf(Workload('mine:Mine', {}))\n")

    result = suite.run(*DRY, "--cov=mine", "--cov-report=term")

    result.assert_outcomes(passed=1)
    if follows:
        result.stdout.fnmatch_lines(["mine.py * 100%"])
        result.stdout.no_fnmatch_line("*Coverage has not seen*")
    else:
        result.stdout.fnmatch_lines(["Coverage has not seen what ran in Perfgate's own processes*patch = subprocess*"])


def test_a_workload_that_nobody_measures_is_named_and_a_run_of_nothing_else_fails(suite):
    suite.write(
        "def test_forgotten(operator):\n    operator('gelu')\n\n"
        "def test_unread(reading):\n    pass\n\n"
        "import pytest\n\n"
        "class TestOther:\n"
        "    @pytest.fixture\n    def forward(self):\n        return 7\n\n"
        "    def test_own(self, forward):\n        assert forward == 7\n"
    )

    result = suite.run(*DRY)

    result.stdout.fnmatch_lines(
        [
            "*test_forgotten asks for operator and not for perf, so nothing was measured there: perf(operator(...))",
            "*test_unread asks for reading and not for perf, so nothing was measured there: perf(reading(...))",
        ]
    )
    result.stdout.no_fnmatch_line("*test_own asks for*")
    assert result.ret == 1
    suite.run(*DRY, "--perf-strict").assert_outcomes(failed=2, passed=1)
