"""Folders that several machines share: a lock is relied on only where it keeps others out."""

import fcntl
import os
import subprocess
import sys
import time

import pytest
from filelock import FileLock, SoftFileLock

from perfgate.records import store
from perfgate.records.store import locked
from perfgate.shared.errors import UserError
from perfgate.system.claims import abandoned, claimed
from perfgate.system.file_locks import flock_holds, folder_lock, without_shared_locks

HOLDER = """
import sys, time
from pathlib import Path
from perfgate.records.store import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
# One line each of a local disk, of NFS with shared locks and without, of Lustre, and of CIFS: proc(5).
MOUNTS = """\
36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
37 35 0:41 / /shared rw,relatime shared:2 - nfs4 server:/ rw,vers=4.2,local_lock=none,addr=10.0.0.1
38 35 0:42 / /old rw,relatime - nfs server:/old rw,vers=3,nolock,local_lock=all,addr=10.0.0.1
39 35 0:43 / /scratch rw - lustre mgs@tcp:/fs rw,localflock
40 35 0:44 / /windows rw - cifs //server/share rw,nobrl
41 35 broken
"""


@pytest.fixture
def no_flock(monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda file, operation: None)


@pytest.fixture
def no_exclusive(monkeypatch):
    opened = os.open
    monkeypatch.setattr(
        os, "open", lambda path, flags, *more, **named: opened(path, flags & ~os.O_EXCL, *more, **named)
    )


def test_a_lock_that_another_process_holds_is_waited_for_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "LOCK_TIMEOUT_S", 0.2)
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=r"\.lock: another run has held the lock for 0\.2 s"), locked(tmp_path):
            pass
        holder.kill()
    with locked(tmp_path):
        assert isinstance(folder_lock(tmp_path, 1), FileLock)


def test_where_flock_keeps_nobody_out_a_file_does(tmp_path, no_flock):
    with locked(tmp_path):
        assert isinstance(folder_lock(tmp_path, 1), SoftFileLock)
        with pytest.raises(TimeoutError), folder_lock(tmp_path, 0.1):
            pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_where_nothing_keeps_others_out_nothing_is_stored(tmp_path, no_flock, no_exclusive):
    with pytest.raises(UserError, match="two runs could write over each other"), locked(tmp_path):
        pytest.fail("the lock was taken")


def test_a_claim_is_abandoned_only_where_a_lock_can_tell(tmp_path, monkeypatch):
    claim = tmp_path / "run.claim"
    with claimed(claim):
        assert not abandoned(claim)
        monkeypatch.setattr(fcntl, "flock", lambda file, operation: None)
        assert not abandoned(claim)
        monkeypatch.undo()
    claim.touch()
    assert abandoned(claim)


def test_mounts_whose_locks_are_not_shared_are_named():
    assert without_shared_locks(MOUNTS) == {"0:42", "0:43", "0:44"}


def test_a_look_at_a_lock_leaves_it_to_its_holder(tmp_path):
    (tmp_path / ".lock").touch()
    assert flock_holds(tmp_path / ".lock")
    with FileLock(tmp_path / ".lock", timeout=1):
        began = time.monotonic()
        assert flock_holds(tmp_path / ".lock")
        assert time.monotonic() - began < 30  # it does not wait
