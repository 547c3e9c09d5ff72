"""Locks on devices between real processes: who asks first gets one first, and who has one never waits for its own."""

import fcntl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perfgate.system.locks import DeviceLock

TAKES = """
import sys
from pathlib import Path
from perfgate.system.locks import DeviceLock

folder, kind = Path(sys.argv[1]), sys.argv[2]
with getattr(DeviceLock("cpu", folder), kind)():
    with (folder / "order").open("a") as file:
        file.write(kind + " ")
"""


def taking(folder: Path, kind: str) -> subprocess.Popen[bytes]:
    """A process that asks for the lock."""
    return subprocess.Popen([sys.executable, "-c", TAKES, str(folder), kind])


def until_waiting(folder: Path) -> None:
    """Wait until somebody has the turn, and so waits for the lock."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with (folder / "cpu.turn").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        time.sleep(0.02)
    pytest.fail("nobody asked for the lock")


def test_who_asks_first_gets_it_first_though_the_later_one_could_share_it(tmp_path: Path) -> None:
    lock = DeviceLock("cpu", tmp_path)
    with lock.shared():
        timed = taking(tmp_path, "exclusive")
        until_waiting(tmp_path)
        dry = taking(tmp_path, "shared")
        with lock.shared():  # a process that has the lock does not wait behind the one that waits for it
            assert timed.poll() is None
        time.sleep(1)  # so that the second one asks, too
        assert not (tmp_path / "order").exists()
    assert (timed.wait(60), dry.wait(60)) == (0, 0)
    assert (tmp_path / "order").read_text() == "exclusive shared "


KEEPS = """
import subprocess
import sys
from pathlib import Path
from perfgate.system.locks import DeviceLock

lock = DeviceLock("cpu", Path(sys.argv[1]))
with lock.kept() as turn:
    with lock.exclusive(), lock.exclusive():
        child = subprocess.Popen([sys.executable, "-c", "input()"], pass_fds=[turn])
    print(child.pid, flush=True)
    child.wait()
"""


def test_who_keeps_a_device_and_is_killed_leaves_it_to_nobody_before_its_second_process_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KEEPS, str(tmp_path)]
    keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert keeper.stdout
    assert int(keeper.stdout.readline())
    keeper.kill()
    keeper.wait()
    waiting = taking(tmp_path, "exclusive")
    time.sleep(1)  # so that it asks
    assert waiting.poll() is None
    keeper.communicate()  # closes what the second process reads
    assert waiting.wait(60) == 0


def test_a_process_that_dies_while_it_waits_leaves_its_turn(tmp_path: Path) -> None:
    lock = DeviceLock("cpu", tmp_path)
    with lock.exclusive():
        waiting = taking(tmp_path, "shared")
        until_waiting(tmp_path)
        waiting.kill()
        waiting.wait()
    done = taking(tmp_path, "exclusive")
    assert done.wait(60) == 0
