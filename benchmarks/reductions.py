"""Asks torch, on emulated cards, for the temporary bytes of sums and means, and writes them as a table.

    .venv-cuda/bin/python -m benchmarks.reductions

A row of ``tests/actor/reductions/2.14.json`` is one sum, and the bytes that torch asks for and gives back during it on
each card. A test compares the dry run's rule with them. Needs a torch that is built for CUDA, whose version names the
file; takes about a minute, and computes nothing.
"""

import itertools

from benchmarks.asked import ROOT, answer_or, table_of

TABLES = ROOT / "tests" / "actor" / "reductions"
CARDS = ("t4-16gb", "a100-80gb", "l40s-48gb", "h100-sxm-80gb", "b200-180gb")
COLUMNS = ("operator", "dtype", "shape", "order", "dimensions")
# Shape, order of the dimensions in memory, and the dimensions to reduce; none of them means all.
SUMS = (
    *(((rows, width), (0, 1), (0,)) for rows in (64, 1000, 1024, 8192) for width in (30, 64, 256, 771, 3072)),
    *(((rows, width), (0, 1), (1,)) for rows in (1, 16, 8192) for width in (250, 4096)),
    ((16, 1 << 20), (0, 1), (1,)),
    *(((1024, 768), (1, 0), (place,)) for place in (0, 1)),
    *(((4, 512, 1024), order, (0, 1)) for order in ((0, 1, 2), (1, 0, 2), (2, 0, 1))),
    *(((8, 320, 64, 64), order, (0, 2, 3)) for order in ((0, 1, 2, 3), (0, 2, 3, 1))),
    ((8, 12, 1024, 64), (0, 2, 1, 3), (2,)),
    ((8, 12, 1024, 64), (0, 1, 2, 3), (0, 2)),
    ((2048, 1), (0, 1), (0,)),
    ((1, 4096), (0, 1), (0,)),
    *((shape, tuple(range(len(shape))), ()) for shape in ((100,), (1 << 20,), (1024, 1024), (3, 5, 7))),
)


def questions() -> list[tuple]:
    """The questions, each a row of ``COLUMNS``."""
    kinds = (("sum", "float32"), ("sum", "bfloat16"), ("sum", "float64"), ("sum", "int64"), ("mean", "float16"))
    return [(*kind, *one) for kind, one in itertools.product(kinds, SUMS)]


def answers() -> list[int]:
    """For each question, the bytes taken and given back within the operator."""
    import torch

    def taken(operator, dtype, shape, order, dimensions):
        laid = torch.empty([shape[place] for place in order], dtype=getattr(torch, dtype), device="cuda")
        value = laid.permute([order.index(place) for place in range(len(shape))])
        work = getattr(value, operator)
        work(dimensions or None)
        before = torch.cuda.memory_stats()["requested_bytes.all.current"]
        torch.cuda.reset_peak_memory_stats()
        found = work(dimensions or None)
        after = torch.cuda.memory_stats()
        del found
        return after["requested_bytes.all.peak"] - max(before, after["requested_bytes.all.current"])

    return [taken(*row) for row in questions()]


def main() -> None:
    """Write the table."""
    table_of(TABLES, __spec__.name, CARDS, questions(), {"columns": COLUMNS, "cards": CARDS})


if __name__ == "__main__":
    answer_or(main, answers)
