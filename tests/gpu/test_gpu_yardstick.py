"""The yardstick on a CUDA device. Skipped where there is none."""

import json
import subprocess
import sys

import pytest

from perfgate.shared.device_kinds import DEVICE_KINDS
from tests import ROOT

pytestmark = pytest.mark.gpu
CODE = """
import json, sys
from perfgate.actor.devices import open_device
from perfgate.shared.device_kinds import DEVICE_KINDS, load
order = json.loads(sys.argv[1])
kind = DEVICE_KINDS[order["kind"]]
yardstick = load(kind.yardstick)(open_device(order, "yardstick", None, 1), kind.yardstick_version)
rows = [yardstick.work() for _ in range(20)]
yardstick.check()
print(json.dumps([rows, "torch" in sys.modules]))
"""


def test_it_runs_without_torch_and_computes_rightly(gpu):
    """On the emulated card, memory, events, copies and launches run; there are no times and nothing is computed."""
    command = [sys.executable, "-c", CODE, json.dumps(dict(gpu.order))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows, with_torch = json.loads(done.stdout.splitlines()[-1])
    assert not with_torch
    assert all(set(row) == {"arithmetic_s", "copy_s", "launches_s"} for row in rows)
    if DEVICE_KINDS[gpu.kind].timed:
        assert all(min(row.values()) > 0 for row in rows)
