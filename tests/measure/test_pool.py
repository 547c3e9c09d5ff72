"""Pools of fork servers: one that cannot start, and one that ends before its time."""

import os
import signal
import sys

import pytest

from perfgate.measure.pool import Pool
from perfgate.shared.errors import UserError


def test_a_pool_that_cannot_start_says_the_same_again_in_one_sentence(tmp_path):
    pool = Pool(["perfgate.actor.no_such_module"], tmp_path, 2)
    with pytest.raises(UserError, match="cannot be imported") as first:
        pool.start()
    with pytest.raises(UserError, match="cannot be imported") as second:
        pool.start()
    assert "Traceback" in first.value.details
    assert str(second.value) == f"{first.value} (the first case has the whole reason)"
    assert not second.value.details
    pool.close()


def test_an_interpreter_that_is_none_is_a_sentence(tmp_path):
    from perfgate.reference.interpreter import Interpreter

    python = tmp_path / "python"
    python.write_text("no program")
    pool = Pool([], tmp_path, 1, Interpreter(python=str(python)))
    for _ in range(2):
        with pytest.raises(UserError, match="does not start"):
            pool.start()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process id of a child")
def test_a_server_that_ended_is_a_sentence_in_every_launch(tmp_path):
    pool = Pool([], tmp_path, 1)
    server = pool.next()
    os.kill(server._process.pid, signal.SIGKILL)
    server._process.wait()
    for _ in range(2):
        with pytest.raises(UserError, match="fork server server-0 ended"):
            server.launch()
    pool.close()
