"""Measures the highest rates that torch reaches on this machine: FLOP/s of a large product, bytes/s of a large copy.

    python -m benchmarks.proof.peaks cuda|cpu

Prints one line of JSON. Each rate is the median of ten repeats after three for warming up. The numbers are random,
because zeros are multiplied faster. The bytes of a copy are those that it reads and those that it writes.
"""

import json
import statistics
import sys
import time

import torch

WIDTH = {"cuda": 8192, "cpu": 1024}
COPIED_BYTES = {"cuda": 2**31, "cpu": 2**26}
WARMUP, REPEATS = 3, 10


def typical_s(device, work):
    """The median seconds that ``work()`` takes."""
    took = []
    for _ in range(WARMUP + REPEATS):
        begin = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        took.append(time.perf_counter() - begin)
    return statistics.median(took[WARMUP:])


def product_flops_per_s(device, dtype):
    """The rate of a product of two square matrices; a multiply-add counts as two operations."""
    width = WIDTH[device]
    a, b = (torch.randn(width, width, device=device).to(dtype) for _ in range(2))
    return 2 * width**3 / typical_s(device, lambda: a @ b)


def copy_bytes_per_s(device):
    """The rate of a copy within the device's memory."""
    source = torch.randn(COPIED_BYTES[device] // 4, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES[device] / typical_s(device, lambda: target.copy_(source))


def main(device):
    """Measure and print."""
    torch.set_num_threads(1)  # the cases compute with one thread too
    rates = {
        "float32": product_flops_per_s(device, torch.float32),
        "bfloat16": product_flops_per_s(device, torch.bfloat16),
    }
    if device == "cuda":
        torch.set_float32_matmul_precision("high")
        rates["tf32"] = product_flops_per_s(device, torch.float32)
    print(json.dumps({"flops_per_s": rates, "bytes_per_s": copy_bytes_per_s(device)}))


if __name__ == "__main__":
    main(sys.argv[1])
