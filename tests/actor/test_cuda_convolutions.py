"""The rule for what convolutions take beside their results, held against what torch took on emulated cards."""

import json
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from perfgate.actor.dry_run.cuda_convolutions import workspace_bytes
from perfgate.actor.dry_run.cuda_rules import CudaRules
from perfgate.measure.emulator.profiles import PROFILES
from tests.support.scratch import Scratch

TABLES = [json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "convolutions").glob("*.json"))]
# Of Ada and Turing it is known less well: cuDNN often finds a kernel there that copies nothing.
CARDS = ("a100-80gb", "h100-sxm-80gb", "h200-141gb", "b200-180gb")


def predicted(row, capability):
    """What the rule says of a row of the table."""
    dtype, layout, value, channels, kernel, stride, padding = row
    weight = [channels, value[1], *[kernel] * len(value[2:])]
    result = [value[0], channels, *[(size + 2 * padding - kernel) // stride + 1 for size in value[2:]]]
    return workspace_bytes(dtype, layout == "last", value, weight, result, capability)


@pytest.mark.parametrize("which", ["forward", "backward"])
@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table["torch"])
def test_of_all_bytes_that_convolutions_took_the_rule_is_off_by_a_seventh_at_most(table, card, which):
    count, capability = len(table["columns"]), divmod(PROFILES[card].capability, 10)
    off, taken = [], []
    for row in table["rows"]:
        if row[1] == "first":
            found = row[count + table["cards"].index(card)][which == "backward"]
            taken.append(found)
            off.append(abs(predicted(row[:count], capability) - found))
    assert len(taken) > 80
    assert sum(off) < 0.15 * sum(taken)


def found_bytes(make, capability=(9, 0)):
    """What the rules of CUDA say of the convolution that ``make`` calls with fake tensors."""
    with FakeTensorMode(), Scratch(CudaRules(capability), "convolution") as seen:
        make()
    return seen.taken


def test_pictures_whose_channels_lie_last_are_not_copied_unless_the_channels_are_filled_up():
    def convolve(channels, form=torch.contiguous_format, **options):
        value = torch.empty(2, channels, 8, 8, dtype=torch.bfloat16).contiguous(memory_format=form)
        weight = torch.empty(16, channels // options.get("groups", 1), 1, 1, dtype=torch.bfloat16)
        return functional.conv2d(value, weight, **options)

    copied = 2 * (2 * 16 * 64 + 16 * 16 + 2 * 16 * 64)
    assert found_bytes(lambda: convolve(16)) == [copied]
    assert found_bytes(lambda: convolve(16, torch.channels_last)) == [0]
    assert found_bytes(lambda: convolve(3, torch.channels_last)) == [2 * (2 * 8 * 64 + 16 * 8)]
    assert found_bytes(lambda: convolve(16, groups=16)) == [0]


def test_sound_is_copied_forward_and_backward():
    def train():
        value = torch.empty(2, 80, 100, dtype=torch.float16, requires_grad=True)
        weight = torch.empty(32, 80, 3, dtype=torch.float16, requires_grad=True)
        functional.conv1d(value, weight, padding=1).sum().backward()

    taken = 2 * (2 * 80 * 100 + 32 * 80 * 3 + 2 * 32 * 100)
    assert found_bytes(train) == [taken, taken]
