"""The yardstick on a CUDA device. Skipped where there is none."""

import json
import subprocess
import sys

import pytest

from perfgate.measure.devices.find import find_device
from perfgate.shared.errors import UserError
from tests import ROOT

pytestmark = pytest.mark.gpu
CODE = """
import json, sys
from perfgate.actor.devices import open_device
from perfgate.actor.yardsticks.cuda import VERSION, GpuYardstick
device = open_device({"kind": "cuda", "uuid": sys.argv[1]}, "yardstick", None, 1)
yardstick = GpuYardstick(device, VERSION)
rows = [yardstick.work() for _ in range(20)]
yardstick.check()
print(json.dumps([rows, "torch" in sys.modules]))
"""


def test_it_runs_without_torch_and_computes_rightly():
    try:
        device = find_device("cuda")
    except UserError as error:
        pytest.skip(f"needs a CUDA device: {error}")
    done = subprocess.run(
        [sys.executable, "-c", CODE, device.uuid], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows, with_torch = json.loads(done.stdout.splitlines()[-1])
    assert not with_torch
    assert all(set(row) == {"arithmetic_s", "copy_s", "launches_s"} and min(row.values()) > 0 for row in rows)
