"""Loading a model through the front door: what is gated of it, and a model whose loading does too much."""

from pathlib import Path

import pytest

from perfgate.records.runfile import read

CASES = """
from dataclasses import replace
from perfgate import Model

CONFIG = {"model_type": "gpt2", "vocab_size": 1024, "n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": 64}
TINY = Model.from_shape("tiny", {"classes": {"causal-lm": "GPT2LMHeadModel"}, "config": CONFIG})

@pytest.mark.perf(tolerance=5)
def test_load(perf, loading):
    ours = loading(TINY, files="sharded", stored="bf16", precision="bf16")
    perf(replace(ours, program="wasteful:Wasteful", id=""))
"""
# Loads as Perfgate's own program does until a file is there; then it reads weights twice, and holds them in 32 bits.
WASTEFUL = """
from pathlib import Path
from perfgate.actor.programs.loading import Loading

class Wasteful(Loading):
    def load(self):
        network = super().load()
        return super().load().float() if Path("wasteful").exists() else network

    def effective(self):
        asked, found = super().effective()
        return asked, found | {"precision": "bf16"}
"""
TIMES = {"step_time_s", "load_time_s", "first_call_time_s"}


@pytest.mark.slice
@pytest.mark.untimed
def test_weights_that_are_read_twice_and_held_in_more_bits_are_caught_exactly(suite):
    suite.write(CASES)
    (suite.path / "wasteful.py").write_text(WASTEFUL)
    suite.run("--perf-launches", "1", "--perf-update", "new").assert_outcomes(passed=1)
    run = read(suite.run_files[-1])
    found = {verdict.metric for verdict in run.verdicts}
    assert TIMES | {"peak_memory_bytes", "python_calls"} <= found
    assert not found & {"compile_time_s", "flops"}
    timed = next(launch for launch in run.launches if launch.pass_name == "time")
    parts = zip(timed.steps("load_time_s"), timed.steps("first_call_time_s"), timed.steps("step_time_s"), strict=True)
    assert all(min(load_s, call_s) > 0 and load_s + call_s <= step_s for load_s, call_s, step_s in parts)
    assert timed.other is None or timed.other.metrics.keys() >= TIMES

    (suite.path / "wasteful").touch()
    done = suite.run("--perf-launches", "1")
    done.assert_outcomes(failed=1)
    grown = {v.metric: v.change for v in read(suite.run_files[-1]).verdicts if v.verdict == "regressed"}
    assert set(grown) - TIMES == {"peak_memory_bytes", "python_calls"}
    assert min(grown["peak_memory_bytes"], grown["python_calls"]) > 0.5


ELSEWHERE = """
def test_step(perf):
    perf(work(rounds=2), tolerance=5)

def test_kept(effect):
    effect(work(rounds=20), work(rounds=10), compile_time_s="< 0.7x")

def test_lost(effect):
    effect(work(rounds=20), work(rounds=10), compile_time_s="< 0.3x")
"""
# Stands for the account of a compiler, which counters launches have.
ACCOUNT = """
import os
from pathlib import Path
from perfgate.actor.instruments import Instrument

class Account(Instrument):
    passes = frozenset({"counters"})

    def built(self, program):
        self.program = program
        cache = Path(os.environ.get("TORCHINDUCTOR_CACHE_DIR", "of this user"))
        with open("caches", "a") as told:
            told.write(f"{program.rounds} {cache.exists()} {cache}\\n")

    def finish(self):
        return {"compile_time_s": self.program.rounds / 1000}
"""


@pytest.mark.untimed
def test_the_compiler_s_own_account_is_reported_and_gated_by_effects_alone(suite):
    suite.write(ELSEWHERE)
    (suite.path / "account.py").write_text(ACCOUNT)
    (suite.path / "conftest.py").write_text(
        "def pytest_perfgate_instruments(config):\n    return ['account:Account']\n"
    )
    done = suite.run("--perf-launches", "1", "--perf-update", "new")
    done.assert_outcomes(passed=2, failed=1)
    run = read(suite.run_files[-1])
    told = {launch.pass_name for launch in run.launches if "compile_time_s" in launch.metrics}
    judged = {verdict.case.partition("::")[2] for verdict in run.verdicts if verdict.metric == "compile_time_s"}
    assert told == {"counters"}
    assert judged == {"test_kept", "test_lost"}
    assert not any("compile_time_s" in path.read_text() for path in suite.baselines)
    # Effects let each side compile everything, so that no side finds what was compiled before.
    lines = [line.split(" ", 2) for line in (suite.path / "caches").read_text().splitlines()]
    (shared,) = {cache for rounds, _, cache in lines if rounds == "2000"}
    caches = [cache for rounds, _, cache in lines if rounds != "2000"]
    assert {there for rounds, there, _ in lines if rounds != "2000"} == {"False"}
    own = {Path(cache) for cache in caches if cache != shared}
    assert len(own) == len(caches) >= 4
    assert not any(cache.parent.exists() for cache in own)
