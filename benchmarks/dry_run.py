"""Measures the time and memory of dry runs of training steps, with models too large to train without a GPU.

    python -m benchmarks.dry_run [--repeats 5]

bert-large at 4 x 512 should take at most 6 s and Llama-3.2-1B at 4 x 512 at most 10 s, not counting the import of torch
and transformers, and less than 2 GB of memory. The time should grow linearly with the number of layers. Each dry run
has a process of its own, forked from one that has imported the libraries.
"""

import argparse
import os
import resource
import statistics
import time

from fixtures.models import models
from perfgate.workloads import tasks
from perfgate.workloads.models.model import Model

SHAPES = (("bert-large-uncased", 4, "fp32"), ("Llama-3.2-1B", 4, "fp32"), ("Llama-3.1-8B", 4, "bf16"))
LAYERS = (4, 8, 16, 32)


def main():
    """Measure and print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    begin = time.perf_counter()
    import perfgate.actor.dry_run.programs.training
    import perfgate.actor.dry_run.run
    import perfgate.actor.programs.trainer  # noqa: F401

    print(f"importing torch and transformers: {time.perf_counter() - begin:.1f} s\n")
    print(f"{'training step, dry':34} {'n':>3} {'median':>8} {'min':>8} {'max':>8} {'memory':>10}")
    for name, batch_size, precision in SHAPES:
        model = models()[name]
        workload = tasks.training(model, batch_size=batch_size, sequence_length=512, precision=precision)
        show(f"{name} {batch_size} x 512 {precision}", [forked(workload) for _ in range(options.repeats)])
    shape = models()["bert-large-uncased"]
    for layers in LAYERS:
        config = {**shape.source["config"], "num_hidden_layers": layers}
        model = Model(f"bert, {layers} layers", {"config": config}, shape.classes)
        workload = tasks.training(model, batch_size=4, sequence_length=512)
        show(f"bert-large's width, {layers} layers", [forked(workload) for _ in range(options.repeats)])


def forked(workload):
    """Take one dry run in a process of its own; return its seconds and peak resident bytes."""
    read, write = os.pipe()
    if not os.fork():
        from perfgate.actor.dry_run.run import dry_run
        from perfgate.actor.programs.trainer import TrainerLoop

        begin = time.perf_counter()
        dry_run(TrainerLoop, workload.params)
        took_s = time.perf_counter() - begin
        peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        os.write(write, f"{took_s} {peak_bytes}".encode())
        os._exit(0)
    os.wait()
    took_s, peak_bytes = os.read(read, 100).split()
    os.close(read)
    os.close(write)
    return float(took_s), int(peak_bytes)


def show(name, rows):
    """Print one row."""
    seconds = [took_s for took_s, _ in rows]
    memory = max(peak_bytes for _, peak_bytes in rows) / 2**30
    shown = f"{statistics.median(seconds):6.2f} s {min(seconds):6.2f} s {max(seconds):6.2f} s"
    print(f"{name:34} {len(rows):3} {shown} {memory:6.2f} GiB")


if __name__ == "__main__":
    main()
