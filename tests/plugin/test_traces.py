"""``--perf-trace``: both sides of what got worse, as files that trace viewers open, named wherever the case is."""

import gzip
import json

import pytest

from perfgate.records.runfile import read
from perfgate.records.traces import traces_of
from tests.support.repositories import begin
from tests.support.runs import perfgate

pytestmark = pytest.mark.untimed

CASES = """
def stack(fault=None):
    return Workload("torch_programs:Stack", {"fault": fault})

def test_call(perf):
    perf(stack("call"), tolerance=9.0)

def test_lost(effect):
    effect(stack(), stack("copy"), operator_calls="< 1x")

def test_kept(effect):
    effect(stack(), stack("copy"), operator_calls="< 9x")
"""
WITHOUT = """
def of(name, **params):
    return Workload(f"torch_programs:{name}", {"sizes": [8], "kept": 8, **params})

def test_full(effect):
    effect(of("Allocate"), of("Allocate", sizes=[8, 8]), peak_memory_bytes="< 0.5x")

def test_seen(effect):
    effect(of("Allocate"), of("Watched"), peak_memory_bytes="< 0.5x")

def test_plain(effect):
    effect(work(rounds=1), work(rounds=2), python_calls="< 0.5x")

@pytest.mark.perf(dry=True)
def test_dry(effect):
    effect(Workload("torch_programs:Stack"), Workload("torch_programs:Stack", {"width": 64}), flops="< 1x")
"""
WATCHED = """

class Watched(Allocate):
    def __init__(self, device, **params):
        super().__init__(device, **params)
        self.seen = torch.autograd._profiler_enabled()

    def step(self):
        if torch.autograd._profiler_enabled() != self.seen:
            raise RuntimeError("somebody is looking")
        return super().step()
"""
IN_THE_WAY = """
from pathlib import Path

def folder():
    return next(Path("perf_output").glob("*.claim")).with_suffix(".traces")

def pytest_runtest_setup(item):
    if item.name == "test_full":
        folder().touch()

def pytest_runtest_teardown(item):
    if item.name == "test_full":
        folder().unlink()
"""


@pytest.mark.slice
def test_both_sides_of_what_got_worse_are_traced_and_named_everywhere(exact):
    exact.write(CASES)
    begin(exact.path)
    program = exact.path / "torch_programs.py"
    program.write_text(program.read_text().replace('return Path("faulty").exists()', "return True"))

    result = exact.run("--perf-ref", "HEAD", "--perf-trace", "regressed", "--perf-html", "auto")

    result.assert_outcomes(failed=2, passed=1)
    (path,) = exact.run_files
    traces = traces_of(read(path))
    assert {case: [trace.side for trace in found] for case, found in traces.items()} == {
        f"test_case.py::test_{name}": ["candidate", "reference"] for name in ("call", "lost")
    }
    now, before = traces["test_case.py::test_call"]
    # Two steps: two linear layers each in the reference, and one call more of the second since.
    assert calls(path.parent / before.file) == {"first.linear": 2, "second.linear": 2, "aten::addmm": 4}
    assert calls(path.parent / now.file) == {"first.linear": 2, "second.linear": 4, "aten::addmm": 6}
    assert len(list((path.parent / now.file).parent.iterdir())) == 4

    named = [
        f"Trace of {now.case}: perf_output/{now.file}",
        f"Trace of {now.case} (reference): perf_output/{before.file}",
    ]
    assert [line for line in result.outlines if now.file in line or before.file in line] == named
    assert sum("https://ui.perfetto.dev" in line for line in result.outlines) == 1
    explained = perfgate("explain", f"perf_output/{path.name}", "call", cwd=exact.path).stdout
    assert not [line for line in named if line not in explained]
    page = path.with_suffix(".html").read_text()
    assert f'<a href="{now.file}" download>' in page
    assert f'<a href="{before.file}" download>' in page


def calls(path):
    """How often a trace holds some modules and operators."""
    with gzip.open(path) as file:
        names = [event["name"].removeprefix("perfgate.module:") for event in json.load(file)["traceEvents"]]
    return {name: names.count(name) for name in ("first.linear", "second.linear", "aten::addmm")}


@pytest.mark.slice
def test_where_there_is_no_trace_a_sentence_says_why_and_the_verdicts_stay(exact):
    program = exact.path / "torch_programs.py"
    program.write_text(program.read_text() + WATCHED)
    exact.write(WITHOUT)
    exact.write(IN_THE_WAY, "conftest.py")

    result = exact.run("--perf-trace", "regressed")

    result.assert_outcomes(failed=4)
    (path,) = exact.run_files
    case = "test_case.py::test"
    assert {verdict.verdict for verdict in read(path).verdicts} == {"regressed"}
    result.stdout.fnmatch_lines(
        [
            f"No trace of {case}_seen: crash: RuntimeError: somebody is looking.",
            f"Trace of {case}_seen (reference): perf_output/*.reference.json.gz",
        ],
        consecutive=True,
    )
    result.stdout.fnmatch_lines_random(
        [
            f"No trace of {case}_full: *.traces cannot be written: *.",
            f"No trace of {case}_plain: its program does no work in torch.",
            f"No trace of {case}_dry (reference): a dry run takes no steps; name a device with --perf-device.",
        ]
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"side": "other"}, "a trace needs text for case, side, file, why"),
        ({"file": 3}, "a trace needs text for case, side, file, why"),
        ({"file": "javascript:alert(1)//x/x.json.gz"}, "a trace lies in a folder beside its run file"),
        ({"file": "../x.json.gz"}, "a trace lies in a folder beside its run file"),
        ({"file": "/etc/x.json.gz"}, "a trace lies in a folder beside its run file"),
    ],
)
def test_a_run_file_whose_trace_leads_elsewhere_is_refused(change, told, tmp_path):
    path = tmp_path / "run.jsonl"
    header = {"schema": "perfgate.run/1", "run_id": "r", "created": "", "machine": {"name": "m"}}
    line = {"kind": "trace", "case": "c", "side": "candidate", "file": "r.traces/c.json.gz", "why": ""}
    head = json.dumps({**header, "software": {}, "options": {}})
    path.write_text(f"{head}\n{json.dumps(line)}\n")
    assert traces_of(read(path))["c"][0].file == "r.traces/c.json.gz"
    path.write_text(f"{head}\n{json.dumps(line | change)}\n")
    refused = perfgate("report", path)
    assert refused.returncode == 2
    assert told in refused.stderr
