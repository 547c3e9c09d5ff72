"""What the machine can do at most, as far as torch reaches it: FLOP/s of a large product, bytes/s of a large copy.

    python -m benchmarks.proof.peaks cuda|cpu

Prints one line of JSON. The median of ten, after three to warm up, on random numbers: zeros are multiplied faster. A
copy counts what it reads and what it writes.
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
    """Seconds that a piece of work takes."""
    took = []
    for _ in range(WARMUP + REPEATS):
        begin = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        took.append(time.perf_counter() - begin)
    return statistics.median(took[WARMUP:])


def product_flops_per_s(device, dtype):
    """Of a square product, a multiply-add counted as two."""
    width = WIDTH[device]
    a, b = (torch.randn(width, width, device=device).to(dtype) for _ in range(2))
    return 2 * width**3 / typical_s(device, lambda: a @ b)


def copy_bytes_per_s(device):
    """Of a copy within the device's memory."""
    source = torch.randn(COPIED_BYTES[device] // 4, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES[device] / typical_s(device, lambda: target.copy_(source))


def main(device):
    """Measure and print."""
    torch.set_num_threads(1)  # as the cases compute
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
