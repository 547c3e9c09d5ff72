"""Exact metrics from the front door: stored for each pair of versions, gated without a device, and what grew is named."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from perfgate.options import find_interpreter
from perfgate.records.baselines import Baseline, StoredLaunch, dump
from perfgate.records.portable import pair_of
from perfgate.records.provenance import software
from perfgate.records.runfile import Run, read
from perfgate.workload import Workload
from tests.conftest import Suite
from tests.runs import perfgate

HERE = Path(__file__).parent
PAIR = pair_of(software())
EXACT = ("flops", "operator_calls", "moved_bytes", "predicted_peak_bytes", "predicted_cuda_peak_bytes")
MIB = 1 << 20

INI = """
[pytest]
addopts = -p no:hypothesispytest -p no:benchmark -p no:anyio
perf_preload = programs torch_programs perfgate.actor.ledger.dry_run
perf_launches = 1
"""
# A batch of 8 samples with 128 tokens of 256 float32 numbers is 1 MiB: on fake tensors it costs nothing.
CONFTEST = """
import pytest
from perfgate.model import Model

LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 256, "intermediate_size": 1024}
SHAPES = {
    "gpt2": ("causal-lm", "GPT2LMHeadModel", {"vocab_size": 64, "n_embd": 256, "n_layer": 2, "n_head": 4}),
    "bert": ("sequence-classification", "BertForSequenceClassification", {"vocab_size": 64, **LAYERS}),
    "llama": ("causal-lm", "LlamaForCausalLM", {"vocab_size": 64, "num_key_value_heads": 2, **LAYERS}),
    "vit": ("image-classification", "ViTForImageClassification", {"image_size": 64, "patch_size": 8, **LAYERS}),
}


@pytest.fixture
def tiny():
    def shape(name):
        task, cls, config = SHAPES[name]
        return Model.from_shape(name, {"classes": {task: cls}, "config": {"model_type": name, **config}})

    return shape
"""
MODELS = """
import pytest

@pytest.mark.parametrize("name", ["gpt2", "bert", "llama", "vit"])
def test_forward(perf, forward, tiny, name):
    perf(forward(tiny(name), batch_size=8))
"""
STACKS = """
import pytest
from perfgate.workload import Workload

@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_stack(perf, width):
    perf(Workload("torch_programs:Stack", {"width": width}))

@pytest.mark.perf(tier="quick")
def test_spin(perf):
    perf(Workload("programs:Spin", {}))
"""
# One module for each way to grow, each of another model.
ONE_MORE_OPERATOR = """
import torch
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP

original = GPT2MLP.forward
GPT2MLP.forward = lambda self, hidden: torch.relu(original(self, hidden))
"""
ONE_MORE_LAYER_CALL = """
from transformers.models.bert.modeling_bert import BertIntermediate

original = BertIntermediate.forward

def forward(self, hidden):
    self.dense(hidden)
    return original(self, hidden)

BertIntermediate.forward = forward
"""
ONE_MORE_COPY = """
from transformers.models.llama.modeling_llama import LlamaMLP

original = LlamaMLP.forward
LlamaMLP.forward = lambda self, hidden: original(self, hidden.clone())
"""
ONE_MORE_KEPT = """
from transformers.models.vit.modeling_vit import ViTMLP

original = ViTMLP.forward

def forward(self, hidden):
    result = original(self, hidden)
    self.kept = result.detach()
    return result

ViTMLP.forward = forward
"""
PATCHES = {"operator": ONE_MORE_OPERATOR, "call": ONE_MORE_LAYER_CALL, "copy": ONE_MORE_COPY, "kept": ONE_MORE_KEPT}


@dataclass(frozen=True)
class Done:
    """A run that is over."""

    code: int
    text: str
    run: Run

    def of(self, case: str) -> dict[str, dict]:
        """The verdicts on a case, by metric, as a report sees them."""
        return {verdict.metric: verdict.to_json() for verdict in self.run.verdicts if verdict.case == case}

    def sentence(self, case: str, metric: str) -> str:
        """What is said of a metric among the failures."""
        (found,) = {line for line in self.text.splitlines() if line.startswith(f"{case}: {metric} got worse by ")}
        return found


def run_in(folder: Path, *arguments: str) -> Done:
    """Run the suite of a folder without a device."""
    command = [sys.executable, "-m", "pytest", "perf_tests", "--perf-device", "none", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout + done.stderr, read(newest_run(folder)))


def newest_run(folder: Path) -> Path:
    """The latest run file."""
    return max((folder / "perf_output").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)


def furnish(folder: Path) -> None:
    """Put models, programs and cases into a folder."""
    (folder / "perf_tests").mkdir(exist_ok=True)
    (folder / "pytest.ini").write_text(INI)
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "perf_tests" / "test_models.py").write_text(MODELS)
    (folder / "perf_tests" / "test_stacks.py").write_text(STACKS)
    for name in ("programs.py", "torch_programs.py"):
        shutil.copy(HERE / name, folder)
    for name, text in PATCHES.items():
        (folder / f"one_more_{name}.py").write_text(text)


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> tuple[Path, Done]:
    """A folder whose exact metrics were stored, and the run that did it."""
    folder = tmp_path_factory.mktemp("portable")
    furnish(folder)
    return folder, run_in(folder, "--perf-update", "new")


@pytest.fixture(scope="module")
def grown(first, tmp_path_factory) -> Done:
    """The same suite, with every model grown in its own way."""
    folder = tmp_path_factory.mktemp("grown") / "suite"
    shutil.copytree(first[0], folder)
    modules = " ".join(f"one_more_{name}" for name in PATCHES)
    return run_in(folder, "-o", f"perf_preload=programs torch_programs perfgate.actor.ledger.dry_run {modules}")


@pytest.fixture
def stored(first, pytester) -> Suite:
    """A suite with its exact metrics stored, to be changed."""
    shutil.copytree(first[0], pytester.path, dirs_exist_ok=True)
    return Adopted(pytester)


class Adopted(Suite):
    """A suite that is there already."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run it without a device."""
        return super().run("--perf-device", "none", *arguments)


def baseline(folder: Path, name: str, pair: str = PAIR) -> Path:
    """The file of one test file's exact metrics."""
    return folder / "baselines" / "portable" / pair / f"{name}.json"


def edit(path: Path, change) -> None:
    """Change the rows of a baseline file: ``change`` gets each and returns whether it stays."""
    document = json.loads(path.read_text())
    document["rows"] = [row for row in document["rows"] if row and change(row)]
    path.write_text(json.dumps(document))


def values(path: Path, case: str, metric: str = "operator_calls") -> list[float]:
    """What is stored of a case, one value a session."""
    rows = [row for row in json.loads(path.read_text())["rows"] if row.get("case") == case]
    return [row["metrics"][metric][0] for row in rows if metric in row.get("metrics", {})]


# -- what is stored, and where -------------------------------------------------------------------------------------------


def test_exact_metrics_are_stored_by_pair_of_versions_and_nothing_of_this_machine(first):
    folder, done = first
    files = sorted(path.relative_to(folder / "baselines").as_posix() for path in folder.glob("baselines/**/*.json"))
    assert files == [f"portable/{PAIR}/test_models.json", f"portable/{PAIR}/test_stacks.json"]
    assert re.fullmatch(r"torch-\d+\.\d+-transformers-\d+\.\d+", PAIR)
    document = json.loads(baseline(folder, "test_models").read_text())
    launches = [row for row in document["rows"] if "metrics" in row]
    assert len(launches) == 4
    for row in launches:
        assert set(row["metrics"]) == set(EXACT)
        assert row["device"] == "portable"
    assert document["machine"] == {"name": PAIR}
    assert {verdict.verdict for verdict in done.run.verdicts} == {"new", "invalid"}


def test_the_first_line_says_that_there_is_no_device_and_the_run_file_too(first):
    _, done = first
    assert re.search(rf"^perfgate \S+: no device, {PAIR}, tier quick, baselines baselines$", done.text, re.MULTILINE)
    assert done.run.header["machine"] == {"name": f"portable/{PAIR}", "device": "none"}
    assert {launch.pass_name for launch in done.run.launches} == {"dry"}


def test_the_counts_are_those_of_the_model(first):
    _, done = first
    (launch,) = done.run.by_case()["test_stacks.py::test_stack[64]"]
    assert launch.metrics["operator_calls"] == 2
    assert launch.metrics["flops"] == 2 * 2 * 4 * 64 * 64
    read_bytes = 4 * (4 * 64 + 64 * 64 + 64)
    assert launch.metrics["moved_bytes"] == 2 * (read_bytes + 4 * 4 * 64)


def test_a_program_without_a_dry_counterpart_is_skipped_with_the_reason(first):
    _, done = first
    assert "test_stacks.py::test_spin: operator_calls invalid" in done.text
    assert done.text.count("no dry run: program Spin has no dry counterpart") == 1
    assert done.code == 0
    assert re.search(r"8 passed, 1 skipped", done.text)


def test_without_a_device_the_tier_is_quick_unless_named(stored):
    def selected(*arguments):
        lines = stored.pytester.runpytest_subprocess("perf_tests/test_stacks.py", "--collect-only", "-q", *arguments)
        return [line.rpartition("::")[2] for line in lines.outlines if "::" in line]

    stacks = [f"test_stack[{width}]" for width in (8, 16, 32, 64)]
    assert selected() == stacks
    assert selected("--perf-device", "none") == [*stacks, "test_spin"]
    assert selected("--perf-device", "none", "--perf-tier", "smoke") == stacks


# -- what grew -----------------------------------------------------------------------------------------------------------

ROWS, WIDTH, INNER = 8 * 128, 256, 1024
GROWN = {
    # case, metric: more than before in both layers together, and the clause that names it
    ("gpt2", "operator_calls"): (2, "grown: transformer.h.{0-1}.mlp (element-wise) +1 each"),
    ("gpt2", "flops"): (2 * ROWS * WIDTH, "grown: transformer.h.{0-1}.mlp (element-wise) +0.0002621 GFLOP each"),
    ("bert", "operator_calls"): (2, "grown: bert.encoder.layer.{0-1}.intermediate.dense (contractions) +1 each"),
    ("bert", "flops"): (
        2 * 2 * ROWS * WIDTH * INNER,
        "grown: bert.encoder.layer.{0-1}.intermediate.dense (contractions) +0.5369 GFLOP each",
    ),
    ("llama", "operator_calls"): (2, "grown: model.layers.{0-1}.mlp (other) +1 each"),
    ("llama", "moved_bytes"): (2 * 2 * MIB, "grown: model.layers.{0-1}.mlp (other) +2.00 MiB each"),
    # The second layer's lives at the peak anyway; there are 64 patches and the class token.
    ("vit", "predicted_peak_bytes"): (8 * 65 * WIDTH * 4, "grown: vit.layers.0.mlp.fc2 (activations) +0.51 MiB"),
}
AS_BEFORE = {
    "gpt2": {"predicted_peak_bytes", "predicted_cuda_peak_bytes"},
    "llama": {"flops"},
    "vit": {"flops", "operator_calls", "moved_bytes"},
}


@pytest.mark.parametrize(("name", "metric"), GROWN)
def test_what_grew_is_named_with_module_and_kind_and_amount(grown, name, metric):
    case, (more, clause) = f"test_models.py::test_forward[{name}]", GROWN[name, metric]
    verdict = grown.of(case)[metric]
    assert verdict["verdict"] == "regressed"
    assert verdict["candidate"] - verdict["reference"] == more
    assert f"; {clause})" in grown.sentence(case, metric)


@pytest.mark.parametrize("name", AS_BEFORE)
def test_what_did_not_grow_is_not_blamed(grown, name):
    verdicts = grown.of(f"test_models.py::test_forward[{name}]")
    assert {metric for metric, verdict in verdicts.items() if verdict["verdict"] == "pass"} >= AS_BEFORE[name]


def test_each_grown_case_fails_alone_and_says_how_to_accept_it(grown):
    assert grown.code == 1
    assert "4 failed, 4 passed, 1 skipped" in grown.text
    for width in (8, 16, 32, 64):
        assert {found["verdict"] for found in grown.of(f"test_stacks.py::test_stack[{width}]").values()} == {"pass"}
    assert "Accept it with: pytest 'perf_tests/test_models.py::test_forward[gpt2]'" in grown.text


def test_the_command_that_accepts_it_runs_without_a_device_as_well(grown):
    remedies = [line for line in grown.text.splitlines() if line.startswith("Accept it with: ")]
    assert remedies
    for line in remedies:
        assert "--perf-device none" in line


def test_workers_of_xdist_see_what_one_process_sees_and_nothing_changed(first, stored):
    stored.run("-n", "2").assert_outcomes(passed=8, skipped=1)
    again = read(newest_run(stored.path))

    def metrics(run):
        return {case: dict(launches[0].metrics) for case, launches in run.by_case().items()}

    assert metrics(again) == metrics(first[1].run)
    assert {verdict.verdict for verdict in again.verdicts} == {"pass", "invalid"}


# -- how it moves --------------------------------------------------------------------------------------------------------

WORSE, BETTER, SAME, ABSENT = (f"test_stacks.py::test_stack[{width}]" for width in (8, 16, 32, 64))


def change_stacks(path: Path) -> None:
    """Let one case have been better before, one worse, one as it is, and one not there at all."""

    def change(row):
        if "metrics" in row:
            row["metrics"]["operator_calls"][0] += {WORSE: -1, BETTER: 1}.get(row["case"], 0)
        return row["case"] != ABSENT

    edit(path, change)


@pytest.mark.parametrize(
    ("mode", "worse", "better"), [("new", [1], [3]), ("improved", [1], [2]), ("more", [1], [3]), ("all", [2], [2])]
)
def test_each_update_mode_moves_exact_metrics_as_it_says(stored, mode, worse, better):
    path = baseline(stored.path, "test_stacks")
    change_stacks(path)
    failed = 0 if mode == "all" else 1
    result = stored.run("-k", "stack and not spin", "--perf-update", mode, "--perf-reason", "two calls are right")
    result.assert_outcomes(failed=failed, passed=4 - failed, deselected=5)
    assert values(path, WORSE) == worse
    assert values(path, BETTER) == better
    # What is exact says the same again, so one session is enough.
    assert values(path, SAME) == [2]
    assert values(path, ABSENT) == [2]


def test_under_an_unknown_pair_everything_is_new_beside_the_nearest_that_is_stored(stored):
    torch, transformers = re.fullmatch(r"torch-(\d+\.\d+)-transformers-(\d+\.\d+)", PAIR).groups()
    major, minor = map(int, transformers.split("."))
    near = f"torch-{torch}-transformers-{major}.{minor + 1}"
    far = f"torch-{torch}-transformers-{major + 1}.{minor}"
    folder = baseline(stored.path, "").parent
    for pair, calls in ((near, 1), (far, 50)):
        shutil.copytree(folder, folder.parent / pair)

        def change(row, calls=calls):
            if "metrics" in row:
                row["metrics"]["operator_calls"][0] = calls
            return True

        edit(baseline(stored.path, "test_stacks", pair), change)
    shutil.rmtree(folder)
    result = stored.run("-k", "stack")
    result.assert_outcomes(passed=4, deselected=5)
    verdicts = read(newest_run(stored.path)).verdicts
    assert len(verdicts) == 4 * 5
    for verdict in verdicts:
        change = "+100.00%" if verdict.metric == "operator_calls" else "+0.00%"
        assert (verdict.verdict, verdict.why) == ("new", f"{change} against {near}, the nearest that is stored")
    result.stdout.fnmatch_lines([f"*test_stack?8?: *operator_calls 2 *+100*{near}*"])


# -- what does not run dry -----------------------------------------------------------------------------------------------

KNOWN, UNKNOWN = (f"test_stacks.py::test_stack[{width}]" for width in (16, 32))
REASON = "looks at values that depend on weights"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Done:
    """An ordinary run of two cases that came to look at values, one of which has exact metrics stored."""
    folder = tmp_path_factory.mktemp("looks")
    furnish(folder)
    (folder / "perf_tests" / "test_models.py").unlink()
    run_in(folder, "-k", "16", "--perf-update", "new")
    (folder / "looks").write_text("")
    return run_in(folder, "--perf-device", "cpu", "-k", "16 or 32")


def line_of(done: Done, case: str) -> str:
    """The line on which a case's result is told as the run goes on."""
    (line,) = re.findall(rf"^\[\d/\d\] .*{re.escape(case)}: .*$", done.text, re.MULTILINE)
    return line


@pytest.mark.parametrize("case", [KNOWN, UNKNOWN])
def test_a_model_that_looks_at_values_keeps_its_measured_metrics(run, case):
    assert run.code == 0
    valid = {launch.pass_name for launch in run.run.by_case()[case] if not launch.invalid}
    assert valid >= {"counters", "memory"}
    assert run.of(case)["peak_memory_bytes"]["verdict"] == "new"
    (dry,) = [launch for launch in run.run.by_case()[case] if launch.pass_name == "dry"]
    assert REASON in dry.invalid


@pytest.mark.parametrize("case", [KNOWN, UNKNOWN])
def test_its_line_says_once_that_there_was_no_dry_run_and_why(run, case):
    line = line_of(run, case)
    assert line.count("no dry run: ") == line.count(REASON) == 1


def test_the_reason_names_the_module_that_looks(run):
    assert f"no dry run: first {REASON}" in line_of(run, UNKNOWN)


def test_a_stored_exact_metric_is_undecided_for_that_reason(run):
    verdicts = run.of(KNOWN)
    assert set(EXACT) <= set(verdicts)
    for name in EXACT:
        assert verdicts[name]["verdict"] == "inconclusive"
        assert verdicts[name]["reference"] is not None
        assert verdicts[name]["why"].startswith("no dry run: ")
        assert REASON in verdicts[name]["why"]
    assert not set(EXACT) & set(run.of(UNKNOWN))


def test_nobody_is_told_that_a_program_without_a_dry_counterpart_did_not_run_dry(suite):
    suite.write("def test_it(perf):\n    perf(work())")
    result = suite.run("--perf-launches", "1")
    result.assert_outcomes(passed=1)
    assert "dry" not in result.stdout.str()
    assert {launch.pass_name for launch in read(newest_run(suite.path)).launches} == {"counters", "memory", "time"}


@pytest.mark.parametrize("known", [False, True])
def test_a_run_in_which_nothing_ran_dry_is_no_success(suite, known):
    suite.write("def test_it(perf):\n    perf(work())")
    if known:
        launch = StoredLaunch("s", "server-0", "portable", "", "", {"operator_calls": (2.0, None)})
        found = Baseline("test_case.py::test_it", Workload("programs:Spin", {}).sha256, "", "", "", (launch,))
        path = baseline(suite.path, "test_case")
        path.parent.mkdir(parents=True)
        path.write_text(dump({found.case: found}, {"name": PAIR}, software()))
    result = suite.run("--perf-device", "none")
    result.assert_outcomes(skipped=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR: no case could be measured; see the reasons above"])


# -- another interpreter -------------------------------------------------------------------------------------------------

# Another environment, as far as a test can have one: an older version by name, in which GPT-2 had no activation.
OLDER = """
import sys
from transformers.models.gpt2 import modeling_gpt2

modeling_gpt2.GPT2MLP.forward = lambda self, hidden: self.c_proj(self.c_fc(hidden))
sys.modules["transformers"].__version__ = "0.1.0"
"""
# And one in which GPT-2 cannot run at all.
BROKEN = f"{OLDER}\ndel modeling_gpt2.GPT2MLP.forward\n"


def interpreter(folder: Path, text: str) -> str:
    """A Python that runs ``text`` before anything else; returns its path."""
    environment = folder / "environment"
    environment.mkdir()
    (environment / "sitecustomize.py").write_text(text)
    python = folder / "python"
    path = f"{environment}{os.pathsep}$PYTHONPATH"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{path}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return str(python)


def test_against_another_interpreter_what_grew_is_named_and_nothing_is_stored(stored):
    python = interpreter(stored.path, OLDER)
    before = {path: path.read_bytes() for path in stored.baselines}
    result = stored.run("--perf-ref", python, "-k", "gpt2 or vit")
    result.assert_outcomes(failed=1, passed=1, deselected=7)
    result.stdout.fnmatch_lines(
        [
            f"perfgate *: no device, {PAIR}, tier quick, against {python}",
            "*test_forward?gpt2?: operator_calls got worse by +*; grown: transformer.h.{0-1}.mlp.act * +* each*",
        ]
    )
    run = read(newest_run(stored.path))
    assert {launch.side for launch in run.launches} == {"candidate", "reference"}
    vit = [verdict for verdict in run.verdicts if "vit" in verdict.case]
    assert {(verdict.metric, verdict.verdict, verdict.change) for verdict in vit} == {(x, "pass", 0) for x in EXACT}
    assert {path: path.read_bytes() for path in stored.baselines} == before
    # The file holds both sides, so the command line decides the same.
    decided = perfgate("compare", newest_run(stored.path), "--json")
    assert decided.returncode == 1
    assert json.loads(decided.stdout)["verdicts"] == [verdict.to_json() for verdict in run.verdicts]


def test_a_reference_that_cannot_run_dry_is_no_success(stored):
    result = stored.run("--perf-ref", interpreter(stored.path, BROKEN), "-k", "gpt2")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*no dry run: *"])


def test_the_same_interpreter_has_nothing_to_be_held_against(suite):
    suite.write("def test_it(perf):\n    perf(work())")
    for where in (sys.executable, sys.prefix):
        result = suite.run("--perf-device", "none", "--perf-ref", where)
        assert result.ret == 1
        result.stdout.fnmatch_lines(["nothing differs between the two interpreters, both have numpy *"])
        assert " passed" not in result.stdout.str()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--perf-ref", sys.executable], "--perf-ref compares what a dry run tells; add --perf-device none"),
        (
            ["--perf-device", "none", "--perf-ref", "no/such/python"],
            "--perf-ref is 'no/such/python'; it must be a Python interpreter, or the folder of its environment",
        ),
        (
            ["--perf-device", "none", "--perf-ref", sys.executable, "--perf-update", "new"],
            "--perf-ref compares two interpreters and stores nothing; leave out --perf-update",
        ),
    ],
)
def test_what_a_reference_cannot_be_is_one_sentence(suite, arguments, message):
    suite.write("def test_it(perf):\n    perf(work())")
    result = suite.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [f"ERROR: {message}"]


def test_an_interpreter_is_found_by_a_path_from_here(tmp_path, monkeypatch):
    (tmp_path / "python").write_text("#!/bin/sh\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert Path(find_interpreter("./python")).samefile(tmp_path / "python")


# -- run files -----------------------------------------------------------------------------------------------------------


def of_another_pair(folder: Path, target: Path) -> Path:
    """The stored run, as if under another pair of versions, where one case took one operator call less."""
    head, *lines = newest_run(folder).read_text().splitlines()
    header = json.loads(head)
    header["machine"]["name"] = "portable/torch-1.0-transformers-4.0"
    changed = [json.loads(line) for line in lines]
    for line in changed:
        if line["kind"] == "launch" and line["case"] == KNOWN:
            line["metrics"]["operator_calls"] -= 1
    target.write_text("".join(f"{json.dumps(line)}\n" for line in (header, *changed)))
    return target


def test_dry_runs_of_two_pairs_of_versions_compare(first, tmp_path):
    other = of_another_pair(first[0], tmp_path / "other.jsonl")
    decided = perfgate("compare", other, newest_run(first[0]))
    assert decided.returncode == 1
    assert f"{KNOWN}: operator_calls got worse by +100.0% (2, baseline 1; tolerance 0.0%)" in decided.stdout
    assert decided.stdout.splitlines()[-1].startswith("1 regressed, 1 invalid, ")
    assert perfgate("compare", newest_run(first[0]), other).returncode == 0


def test_a_dry_run_does_not_compare_with_one_on_a_machine(first, tmp_path):
    other = of_another_pair(first[0], tmp_path / "other.jsonl")
    other.write_text(other.read_text().replace('"device": "none"', '"device": "cpu"', 1))
    decided = perfgate("compare", other, newest_run(first[0]))
    assert decided.returncode == 2
    assert "timings of different machines do not compare" in decided.stderr
