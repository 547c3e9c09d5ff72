"""Who else had the core: read from the kernel's account of each process."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from perfgate.actor.devices.cpu import Cpu
from perfgate.actor.instruments.clock import Clock, Queue
from perfgate.measure.neighbours import Neighbours, Process, named, processes
from perfgate.records.clocks import Times
from perfgate.records.launch import Launch
from tests.support.load import actors_core, busy

pytestmark = pytest.mark.skipif(Queue.of_this_thread() is None, reason="the kernel keeps no account of waiting")

STAT = "71 (a) (b c) R 1 71 70 0 -1 4 0 0 0 0 250 50 30 20 20 0 1 0 12345 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0"


def test_a_process_is_read_whatever_its_name_holds():
    per_s = os.sysconf("SC_CLK_TCK")
    assert Process.read(STAT) == Process(71, "a) (b c", 70, 12345, 300 / per_s, 50 / per_s, 1)


def test_this_process_is_among_those_that_are_seen():
    assert processes()[os.getpid()].session == os.getsid(0)


def test_the_busiest_are_named_and_the_others_counted():
    many = [Process(number, "python", 1, 0, 1.0, 0.0, 0) for number in range(5)]
    assert named(many) == "python 0, python 1 and 3 more"
    assert named(many[:1]) == "python 0"
    assert named([]) == ""


def launch():
    """A launch that waited for half of its time."""
    metrics = {"step_time_s": [0.2], "queue_time_s": [0.1], "idle_time_s": [0.0]}
    return Launch("case", "hash", 0, metrics, pass_name="time", other=Times({"step_time_s": [0.1]}))


def test_a_busy_process_on_the_core_is_named_with_the_launch_that_it_disturbed():
    neighbours = Neighbours(actors_core(), set())
    with busy(1) as pids:
        neighbours.look(begin=True)
        time.sleep(0.3)
        neighbours.look(begin=False)
    found = neighbours.judge(launch())
    assert f" {pids[0]}" in found.disturbed_by
    assert found.invalid is None
    assert found.other is not None


HELPED = "import os, time\nif os.fork() == 0:\n    while True: pass\ntime.sleep(60)"


@pytest.mark.measures  # a neighbour of the tests themselves would make the launch contended
@pytest.mark.parametrize("invalid", [None, "unsteady, ever slower"])
def test_a_launch_with_helpers_has_times_on_the_wall_alone_even_if_these_are_invalid(invalid):
    with subprocess.Popen([sys.executable, "-c", HELPED], start_new_session=True) as actor:
        try:
            neighbours = Neighbours(actors_core(), {actor.pid})
            time.sleep(0.2)
            neighbours.look(begin=True)
            time.sleep(0.3)
            neighbours.look(begin=False)
        finally:
            os.killpg(actor.pid, signal.SIGKILL)
    found = neighbours.judge(replace(launch(), invalid=invalid))
    assert found.other is None
    assert found.invalid == invalid


def test_a_launch_of_which_nothing_was_seen_stays_as_it_is():
    assert Neighbours(None, set()).judge(launch()) == launch()


def test_the_clock_tells_computing_from_sleeping():
    clock = Clock(Cpu(1))
    clock.begin_step()
    time.sleep(0.05)
    slept = clock.end_step()
    assert slept["idle_time_s"] >= 0.5 * 0.05
    assert slept["process_time_s"] + slept["idle_time_s"] <= slept["step_time_s"] + 1e-3
    clock.begin_step()
    sum(range(300_000))
    computed = clock.end_step()
    assert computed["idle_time_s"] < computed["process_time_s"]
    assert set(computed) == {"step_time_s", "process_time_s", "queue_time_s", "idle_time_s"}
