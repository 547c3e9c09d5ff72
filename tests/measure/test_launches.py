"""Actors that go wrong: each is a result of its launch with a reason, the run goes on, and no process is left."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perfgate.actor.failures import message_of
from perfgate.records.runfile import read

pytestmark = pytest.mark.untimed


@pytest.mark.slice
def test_a_crash_fails_its_case_with_the_reason_and_the_output_and_the_run_goes_on(suite):
    suite.write(
        """
def test_crash(perf):
    perf(work("Crash", at=2))

def test_good(perf):
    perf(work())
"""
    )
    result = suite.run()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_case.py::test_crash could not be measured: crash: ValueError: the weights are upside down*",
            "*about to fall over*",
        ]
    )
    result.stdout.no_fnmatch_line("*perfgate/cases/runner.py*")
    launches = read(suite.run_files[0]).by_case()["test_case.py::test_crash"]
    assert [launch.invalid for launch in launches] == ["crash: ValueError: the weights are upside down"] * 2


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("CrashInSetup", "crash: FileNotFoundError: no such vocabulary"),
        ("Exit", "crash: the process ended with exit code 7"),
        ("Killed", "crash: the process was ended by SIGKILL*"),
        ("NotANumber", "not finite: NotFinite: the step's loss or logits are not finite"),
        ("Nowhere", "no program: programs:Nowhere: *Nowhere*"),
    ],
)
@pytest.mark.slice
def test_every_way_to_die_is_named(suite, program, reason):
    suite.write(f"def test_it(perf):\n    perf(work({program!r}))")
    result = suite.run()
    result.stdout.fnmatch_lines([f"*test_it could not be measured: {reason}"])
    assert result.ret == 1


def test_what_does_not_fit_is_a_result_and_its_neighbours_are_measured(suite):
    suite.write("def test_large(perf):\n    perf(work('OutOfMemory'))\ndef test_small(perf):\n    perf(work())")
    result = suite.run("-rs")
    result.assert_outcomes(skipped=1, passed=1)
    result.stdout.fnmatch_lines(
        ["*test_large could not be measured: out of memory: MemoryError: no room for 12 bytes*"]
    )


def test_what_used_to_fit_fails(suite):
    suite.write("def test_it(perf):\n    perf(work())\ndef test_other(perf):\n    perf(work())")
    suite.run("--perf-update", "new")
    suite.write("def test_it(perf):\n    perf(work('OutOfMemory'))\ndef test_other(perf):\n    perf(work())")
    result = suite.run()
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["*test_it *out of memory: *"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate "
            "4398046511104 bytes. Error code 12 (Cannot allocate memory)",
            r"it does not fit: 4096\.00 GiB asked, [\d.]+ [GM]iB free",
        ),
        (
            "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.23 "
            "GiB is free. Including non-PyTorch memory, this process has 77.87 GiB memory in use.",
            r"it does not fit: 20\.00 GiB asked, 1\.23 GiB free",
        ),
        ("no room", "RuntimeError: no room"),
    ],
)
def test_out_of_memory_says_how_much_was_asked_and_how_much_was_free(text, message):
    assert re.fullmatch(message, message_of(RuntimeError(text)))


def test_a_hang_ends_at_the_timeout_with_all_that_the_actor_started(suite):
    pids = suite.path / "pids.json"
    suite.write(
        f"""
@pytest.mark.perf(timeout_s=1)
def test_hang(perf):
    perf(work("HangInChild", pid_file={str(pids)!r}))

def test_good(perf):
    perf(work())
"""
    )
    result = suite.run()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*could not be measured: hang: no answer within 1 s*"])
    assert not [pid for pid in json.loads(pids.read_text()) if alive(pid)]


@pytest.mark.launches(1)
def test_output_of_a_program_does_not_disturb_the_protocol(suite):
    suite.write("def test_it(perf):\n    result = perf(work('Chatty'))\n    assert result.metrics['step_time_s'] < 1")
    suite.run().assert_outcomes(passed=1)


@pytest.mark.measures
@pytest.mark.launches(2)
def test_a_launch_that_failed_once_is_repeated_and_kept_in_the_run_file(suite):
    suite.write(f"def test_it(perf):\n    perf(work('FlakyOnce', marker={str(suite.path / 'marker')!r}))")
    suite.run().assert_outcomes(passed=1)
    launches = read(suite.run_files[0]).launches
    assert [launch.invalid for launch in launches if launch.invalid] == ["crash: RuntimeError: first time only"]
    assert sum(launch.invalid is None and launch.pass_name == "time" for launch in launches) == 2


def test_an_actor_holds_no_descriptor_but_its_own(suite):
    target = suite.path / "fds.json"
    suite.write(f"def test_it(perf):\n    perf(work('Descriptors', target={str(target)!r}))")
    suite.run().assert_outcomes(passed=1)
    found = {number: path for number, path in json.loads(target.read_text()) if not path.startswith("/proc/")}
    assert set(found) == {0, 1, 2, 3, 4}
    assert found[0] == os.devnull
    assert found[1] == found[2]
    assert found[3].startswith("pipe:")
    assert found[4].startswith("pipe:")
    assert found[3] != found[4]


@pytest.mark.launches(1)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.slice
def test_no_process_is_left_when_the_run_is_ended_from_outside(suite, how):
    pids = suite.path / "pids.json"
    suite.write(f"def test_it(perf):\n    perf(work('HangInChild', pid_file={str(pids)!r}))")
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "perf_tests"],
        cwd=suite.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A shell's background job ignores Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(lambda: pids.exists() and pids.read_text().endswith("]"))
    servers = servers_of(run.pid)
    run.send_signal(how)
    run.communicate(timeout=30)
    assert len(servers) == 2
    wait_for(lambda: not any(map(alive, [*servers, *json.loads(pids.read_text())])))


@pytest.mark.launches(2)
@pytest.mark.slice
def test_two_launches_come_from_different_servers_and_differ_in_layout(suite):
    suite.write("def test_it(perf):\n    perf(work())")
    suite.run().assert_outcomes(passed=1)
    timed = [launch for launch in read(suite.run_files[0]).launches if launch.pass_name == "time"]
    assert {launch.server for launch in timed} == {"server-0", "server-1"}
    # A launch that was disturbed is repeated.
    assert [launch.details.turns.first for launch in timed][:2] == ["case", "yardstick"]


def servers_of(parent: int) -> list[int]:
    """Process ids of the fork servers that a process started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(entry.parent.name))
    return found


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, timeout_s: float = 30.0) -> None:
    """Wait until something is so, or fail."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
