"""What a user gets wrong: one sentence that names it and the remedy, and a non-zero exit."""

import os

import pytest

from tests.support.layers import MODELS

pytestmark = pytest.mark.untimed

CASE = "def test_it(perf):\n    perf(work())"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--perf-tier", "qick"],
            "--perf-tier is 'qick'; it may be smoke, quick, standard, full (did you mean quick?)",
        ),
        (["--perf-device", "tpu"], "--perf-device is 'tpu'; it may be auto, cpu*"),
        (["--perf-update", "everything"], "--perf-update is 'everything'; it may be new, improved, more, all"),
        (["--perf-update", "all"], "--perf-update all replaces stored numbers; say why with --perf-reason 'WHY'"),
        (["--perf-update", "new", "--perf-baselines", "git:HEAD"], "--perf-update cannot write to*"),
        (["--perf-launches", "none"], "--perf-launches is 'none'; it must be a whole number, 0 or more"),
        (["--perf-launches=-1"], "--perf-launches is '-1'; it must be a whole number, 0 or more"),
        (["--perf-timeout", "nan"], "--perf-timeout is 'nan'; it must be a number above 0"),
        (["--perf-shard", "3/2"], "--perf-shard is '3/2'; it must be I/N with I from 1 to N, like 2/4"),
    ],
)
def test_an_unknown_value_of_an_option_is_refused(suite, arguments, message):
    suite.write(CASE)
    result = suite.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_every_option_is_an_ini_value_too(suite):
    suite.pytester.makeini("[pytest]\nperf_tier = nothing\n")
    suite.write(CASE)
    result = suite.run()
    result.stderr.fnmatch_lines(["ERROR: --perf-tier is 'nothing'*"])


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("tear='quick'", "*::test_it: mark perf has no argument 'tear'*did you mean tier?*"),
        ("'quick'", "*::test_it: mark perf takes named arguments only*"),
        ("tier='slow'", "*::test_it: tier is 'slow'; it may be smoke*"),
        (
            "tolerance={'speed': 0.1}",
            "*::test_it: tolerance: unknown metric 'speed'; metrics that are gated: step_time_s*",
        ),
        ("tolerance=-1", "*::test_it: tolerance of step_time_s is -1; it is a share above 0, like 0.05 for 5%"),
        ("launches=0", "*::test_it: launches is 0; it must be a whole number above 0"),
        ("timeout_s='soon'", "*::test_it: timeout_s is 'soon'; it must be a number above 0"),
    ],
)
def test_an_unknown_marker_argument_is_refused_before_anything_starts(suite, marker, message):
    suite.write(f"@pytest.mark.perf({marker})\n{CASE}")
    result = suite.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("perf(work(), tolerance={'step_time': 0.1})", "*unknown metric 'step_time'*"),
        ("perf('gpt2')", "perf() takes a workload, not str;*"),
        ("perf(work())\n    perf(work())", "*calls perf() twice; a case has one workload"),
        ("perf(work(rounds=float('nan')))", "*must be plain JSON values*"),
        ("perf(Workload('programs', {}))", "*'programs' is not of the form 'package.module:Class'"),
    ],
)
def test_a_wrong_call_is_one_sentence(suite, body, message):
    suite.write(f"def test_it(perf):\n    {body}")
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])


@pytest.mark.slice
def test_a_test_measures_once(suite):
    """The run file would hold the last measurement alone, and nobody would miss the other."""
    (suite.path / "models.py").write_text(MODELS)
    layers, single = 'Workload("models:Layers", {})', 'Workload("models:Single", {})'
    smaller = f"effect({layers}, {single}, weights_bytes='< 0.9x')"
    suite.write(
        f"def test_both(perf, effect):\n    perf({layers})\n    {smaller}\n\n"
        f"def test_two(effect):\n    {smaller}\n    {smaller}"
    )
    result = suite.run("--perf-device", "none")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*test_both calls perf() and effect(); a case is measured once, so make each a test"])
    result.stdout.fnmatch_lines(["*test_two calls effect() twice; a case tries one effect"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "training('no/such/folder')",
            "model folder no/such/folder does not exist; the folder was looked for in */perf_tests, *",
        ),
        ("training('empty')", "model folder */empty lacks config.json; save the model there with save_pretrained()"),
        ("generation('pickled')", "model folder */pickled has no .safetensors weights; other formats are not loaded"),
        (
            "training('whole', batch_sise=2)",
            "unknown setting 'batch_sise'; it may be batch_size, *did you mean batch_size?)",
        ),
        ("training('whole', batch_size=0)", "setting 'batch_size' must be a positive whole number, not 0"),
    ],
)
def test_a_wrong_model_or_setting_is_one_sentence(suite, body, message):
    for name, files in {
        "empty": [],
        "pickled": ["config.json", "pytorch_model.bin"],
        "whole": ["config.json", "m.safetensors"],
    }.items():
        (suite.path / name).mkdir()
        for file in files:
            (suite.path / name / file).write_text("{}")
    suite.write(f"def test_it(perf, training, generation):\n    perf({body})")
    result = suite.run("-o", "perf_preload=programs")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.launches(1)
def test_a_damaged_baseline_fails_its_case_and_stays_as_it_is(suite):
    suite.write(CASE)
    suite.run("--perf-update", "new")
    (path,) = suite.baselines
    path.write_text(path.read_text()[:200])
    before = path.read_bytes()
    for arguments in ((), ("--perf-update", "all", "--perf-reason", "try")):
        result = suite.run(*arguments)
        assert result.ret == 1
        result.stdout.fnmatch_lines([f"{path}: not valid JSON*restore it with git checkout*"])
        assert path.read_bytes() == before


def test_baselines_that_cannot_be_written_are_found_before_anything_is_measured(suite):
    suite.write(CASE)
    (suite.path / "taken").write_text("")
    result = suite.run("--perf-update", "new", "--perf-baselines", "taken")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *taken*: baselines cannot be stored: *name another folder with --perf-baselines DIR"]
    )


@pytest.mark.launches(1)
@pytest.mark.slice
def test_baselines_of_a_git_revision_are_read(suite):
    suite.write(CASE)
    suite.run("--perf-update", "new")
    for command in ("git init -q", "git add baselines", "git -c user.name=x -c user.email=x@x commit -qm x"):
        assert os.system(f"cd {suite.path} && {command}") == 0
    (suite.baselines[0]).unlink()
    suite.run("--perf-baselines", "git:HEAD").stdout.fnmatch_lines(["*baseline too young*"])
    result = suite.run("--perf-baselines", "git:nowhere")
    result.stdout.fnmatch_lines(["--perf-baselines git:nowhere: git has no baselines/ there*"])
    assert result.ret == 1


def test_programs_that_cannot_be_imported_are_named_with_the_remedy(suite):
    suite.write(CASE)
    result = suite.run("-o", "perf_preload=no_such_module")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["perf_preload names no_such_module, which * cannot import: ModuleNotFoundError: No module named*"]
    )


def test_a_folder_for_run_files_that_cannot_be_written_is_refused_before_anything_runs(suite):
    suite.write("def test_it(perf):\n    perf(work())\n")
    (suite.path / "taken").write_text("a file")

    result = suite.run("--perf-device", "none", "--perf-output", "taken/below")

    result.stderr.fnmatch_lines(
        ["ERROR: *taken/below: run files cannot be written there; name another folder with --perf-output DIR"]
    )
    result.stdout.no_fnmatch_line("*test_it*")
