"""Tokenizing and reading through the front door: time, Python's calls and the host's peak, and no dry run."""

import pytest

from perfgate.records.runfile import read

CASES = """
def test_convert(perf, tokenizing):
    perf(tokenizing("convert", texts=2, words=4, tokenizer="slow", added_tokens=20), tolerance=5)

def test_stream(perf, reading):
    perf(reading("stream", rows=ROWS), tolerance=5)
"""


@pytest.mark.slice
@pytest.mark.launches(1)
@pytest.mark.untimed
def test_the_host_s_work_is_gated_by_its_calls_and_its_peak(suite):
    suite.write(CASES.replace("ROWS", "100"))
    suite.run("--perf-update", "new").assert_outcomes(passed=2)
    found = {(verdict.case.partition("::")[2], verdict.metric) for verdict in read(suite.run_files[-1]).verdicts}
    wanted = {"step_time_s", "python_calls", "peak_host_bytes"}
    assert {(case, name) for case in ("test_convert", "test_stream") for name in wanted} <= found
    assert not {name for _, name in found} & {"dry_run", "flops", "peak_memory_bytes"}
    suite.run()
    gated = {v.metric: v.verdict for v in read(suite.run_files[-1]).verdicts if v.metric != "step_time_s"}
    assert set(gated.values()) == {"pass"}
