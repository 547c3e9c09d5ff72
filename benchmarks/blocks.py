"""Asks torch's caching allocator, on an emulated card, for blocks of random sizes, and records its memory.

    .venv-cuda/bin/python -m benchmarks.blocks

A row of ``tests/actor/blocks/2.14.json`` is one request or release, with the bytes that are allocated and reserved
after it. A test sends the same requests to the dry run's allocator. Needs a torch that is built for CUDA, whose
version names the file; takes some seconds.
"""

import random

from benchmarks.asked import ROOT, answer_or, asked_on, write_table

TABLES = ROOT / "tests" / "actor" / "blocks"
CARD, SEED, EVENTS = "h100-sxm-80gb", 1, 3000
MIB = 1 << 20
SIZES = ((1, 4096), (4096, MIB), (MIB - 1024, MIB + 1024), (MIB, 10 * MIB), (9 * MIB, 11 * MIB), (10 * MIB, 90 * MIB))


def answers() -> list[tuple[int, int, int, int]]:
    """For each event the allocation's number, its bytes or 0 for a release, and allocated and reserved bytes."""
    import torch

    generator = random.Random(SEED)
    alive: dict[int, int] = {}
    rows = []
    for number in range(EVENTS):
        if alive and generator.random() < min(len(alive) / 120, 0.6):
            number = generator.choice(list(alive))
            torch.cuda.caching_allocator_delete(alive.pop(number))
            size = 0
        else:
            size = generator.randint(*generator.choice(SIZES))
            alive[number] = torch.cuda.caching_allocator_alloc(size)
        rows.append((number, size, torch.cuda.memory_allocated(), torch.cuda.memory_reserved()))
    return rows


def main() -> None:
    """Ask in a separate process, and write the table."""
    told = asked_on(CARD, __spec__.name)
    target = write_table(TABLES, {"torch": told["torch"]}, told["answers"])
    print(f"{len(told['answers'])} requests and releases, written to {target}")


if __name__ == "__main__":
    answer_or(main, answers)
