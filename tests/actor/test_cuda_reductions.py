"""The rule for what sums take beside their results, held against what torch took on emulated cards."""

import json
from pathlib import Path

import pytest

from perfgate.actor.dry_run.cuda_rules import CudaRules
from perfgate.measure.emulator.profiles import PROFILES
from perfgate.shared.cuda_reductions import Reduction

TABLES = [json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "reductions").glob("*.json"))]
ASKED = [pytest.param(table, card, id=f"{table['torch']}-{card}") for table in TABLES for card in table["cards"]]


def predicted(row, capability):
    """What the rule says of a row of the table."""
    _, dtype, shape, order, dimensions = row
    steps = dict.fromkeys(order, 1)
    for place, inside in zip(order[-2::-1], order[:0:-1], strict=True):
        steps[place] = steps[inside] * shape[inside]
    strides = tuple(steps[place] for place in range(len(shape)))
    item_bytes = 8 if dtype in ("float64", "int64") else 4
    reduced = tuple(dimensions or range(len(shape)))
    return Reduction(tuple(shape), strides, reduced, item_bytes, capability).scratch_bytes


@pytest.mark.parametrize(("table", "card"), ASKED)
def test_the_rule_says_to_the_byte_what_sums_took(table, card):
    count, place = len(table["columns"]), table["cards"].index(card)
    capability = divmod(PROFILES[card].capability, 10)
    wrong = {
        str(row[:count]): (predicted(row[:count], capability), row[count + place])
        for row in table["rows"]
        if predicted(row[:count], capability) != row[count + place]
    }
    assert not wrong
    assert sum(row[count + place] > 0 for row in table["rows"]) > 50


def test_the_gradient_of_a_bias_takes_8_bytes_an_element_of_a_tall_matrix():
    torch = pytest.importorskip("torch")
    gradient = torch.empty(1024, 256, dtype=torch.bfloat16, device="meta")
    rules = CudaRules((9, 0))
    assert rules.reduction("sum", (gradient, [0], True)).scratch_bytes == 8 * gradient.numel() + 4 * 2
    assert rules.reduction("mean", (gradient, [-1])).scratch_bytes == 0
    whole = [rules.reduction("sum", arguments).scratch_bytes for arguments in ((gradient,), (gradient, [1, 0]))]
    assert whole[0] == whole[1] > 0
    assert rules.reduction("sum", (torch.empty(0, 4, device="meta"), [0])).scratch_bytes == 0
    assert rules.reduction("cumsum", (gradient, 0)) is None
