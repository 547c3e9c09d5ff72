"""Asks torch, on emulated cards, which kernel of attention it chooses, and writes the answers as a table.

    .venv-cuda/bin/python -m benchmarks.attention_kernels

A row of ``tests/actor/attention_kernels/2.14.json`` is one question, and the answer of that torch for each capability.
A test compares the dry run's rule with it. Needs a torch that is built for CUDA, whose version names the file; takes
about a minute, and computes nothing.
"""

import itertools

from benchmarks.asked import ROOT, answer_or, table_of
from perfgate.measure.emulator.profiles import PROFILES

TABLES = ROOT / "tests" / "actor" / "attention_kernels"
CARDS = ("t4-16gb", "a100-80gb", "l4-24gb", "h100-sxm-80gb", "b200-180gb")
COLUMNS = ("dtype", "width", "mask", "causal", "key_heads", "query_length", "key_length", "trained", "dropout")
HEADS = 8


def questions() -> list[tuple]:
    """The questions, each a row of ``COLUMNS``: every combination at common widths, then variations of the width."""
    masks = ("none", "bool", "float", "trained", "strided")
    common = itertools.product(
        ("float32", "float16", "bfloat16"), (64, 128), masks, (False, True), (8, 2), (128, 1), (128, 96, 1),
        (False, True), (0.0, 0.1, 0.125),
    )  # fmt: skip
    wide = itertools.product(
        ("float32", "float16", "bfloat16"), (6, 60, 80, 136, 192, 200, 224, 240, 256, 264), ("none", "bool"),
        (False, True), (8,), (128,), (128,), (False, True), (0.0, 0.1),
    )  # fmt: skip
    # torch refuses a mask together with is_causal.
    return [row for row in (*common, *wide) if row[2] == "none" or not row[3]]


def answers() -> list[str]:
    """The kernel that torch chooses on this process's card, for each question."""
    import torch

    names = {int(value): name for name, value in torch.nn.attention.SDPBackend.__members__.items()}

    def asked(dtype, width, mask, causal, key_heads, query_length, key_length, trained, dropout):
        kind = {"device": "cuda", "dtype": getattr(torch, dtype)}
        query = torch.empty(2, HEADS, query_length, width, requires_grad=trained, **kind)
        key, value = (torch.empty(2, key_heads, key_length, width, requires_grad=trained, **kind) for _ in range(2))
        shape = 2, 1, query_length, key_length
        given = None
        if mask == "bool":
            given = torch.empty(shape, dtype=torch.bool, device="cuda")
        elif mask == "strided":
            given = torch.empty((*shape, 2), **kind)[..., 0]
        elif mask != "none":
            given = torch.empty(shape, requires_grad=mask == "trained", **kind)
        grouped = key_heads != HEADS
        number = torch._fused_sdp_choice(query, key, value, given, dropout, causal, scale=None, enable_gqa=grouped)
        return names[number].partition("_")[0].lower()

    return [asked(*row) for row in questions()]


def main() -> None:
    """Write the table."""
    capabilities = [divmod(PROFILES[card].capability, 10) for card in CARDS]
    table_of(TABLES, __spec__.name, CARDS, questions(), {"columns": COLUMNS, "capabilities": capabilities})


if __name__ == "__main__":
    answer_or(main, answers)
