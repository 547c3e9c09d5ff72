"""Asks torch's caching allocator, on an emulated card, for blocks of random sizes, and writes down what it held.

    .venv-cuda/bin/python -m benchmarks.blocks

A row of ``tests/actor/blocks/2.14.json`` is one request or release, with the bytes that are allocated and reserved
after it. A test puts the same requests to the allocator of the dry run. Needs a torch that is built for CUDA, whose
version names the file; takes some seconds.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from perfgate.emulator.build import started_on
from perfgate.emulator.profiles import PROFILES

TABLES = Path(__file__).parent.parent / "tests" / "actor" / "blocks"
CARD, SEED, EVENTS = "h100-sxm-80gb", 1, 3000
MIB = 1 << 20
SIZES = ((1, 4096), (4096, MIB), (MIB - 1024, MIB + 1024), (MIB, 10 * MIB), (9 * MIB, 11 * MIB), (10 * MIB, 90 * MIB))


def answers() -> list[tuple[int, int, int, int]]:
    """Number of the allocation, its bytes or 0 where it is released, and what is allocated and reserved after that."""
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
    """Ask in a process of its own, and write the table."""
    environment = os.environ | dict(started_on(PROFILES[CARD]))
    command = [sys.executable, "-m", __spec__.name, "answers"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    target = TABLES / f"{'.'.join(told['torch'].split('.')[:2])}.json"
    target.parent.mkdir(exist_ok=True)
    rows = ",\n".join(map(json.dumps, told["rows"]))
    target.write_text(f'{{"torch": "{told["torch"]}", "rows": [\n{rows}\n]}}\n')
    print(f"{len(told['rows'])} requests and releases, written to {target}")


if __name__ == "__main__":
    if sys.argv[1:] == ["answers"]:
        import torch

        print(json.dumps({"torch": torch.__version__, "rows": answers()}))
    else:
        main()
