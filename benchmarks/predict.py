"""Measures ``perfgate predict``: a sweep of 16 settings of a 1B model, and the search for the largest batch.

    python -m benchmarks.predict [--without-largest]

The sweep should take at most 30 s, and the largest batch should be found in at most 6 dry runs. The import of torch and
transformers, which comes first, is not counted.
"""

import argparse
import time

import psutil

from perfgate.predict.gpu_catalog import find_gpu
from perfgate.predict.memory_fit import room_bytes
from perfgate.predict.predict import dry_runs, find_largest
from perfgate.predict.question import Question
from perfgate.predict.sweep import costs, rows_of
from perfgate.workloads.models.shapes import find_shape

MODEL = "Llama-3.2-1B"
OPTIONS = {
    "batch_size": (1, 2, 4, 8),
    "seq_len": 1024,
    "precision": ("bf16", "fp32"),
    "activation_checkpointing": (False, True),
}
SEARCHES = (
    ("gpt2", "train", {"batch_size": 8, "seq_len": 512}),
    ("Llama-3.2-1B", "train", {"batch_size": 1, "seq_len": 1024, "precision": "bf16"}),
    ("Llama-3.2-1B", "train", {"batch_size": 8, "seq_len": 1024, "gradient_accumulation": 8, "precision": "bf16"}),
    ("Llama-3.2-1B", "generate", {"batch_size": 4, "seq_len": 512, "new_tokens": 4}),
    ("t5-base", "train", {"batch_size": 64, "seq_len": 128}),
    ("vit-base", "train", {"batch_size": 16}),
    ("Llama-3.1-8B", "train", {"batch_size": 2, "seq_len": 512, "precision": "bf16", "optimizer": "sgd"}),
)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--without-largest", action="store_true")
    options = parser.parse_args()
    gpu = find_gpu("A100-SXM-80GB")
    rows, questions = rows_of(find_shape(MODEL), None, "train", OPTIONS)
    with dry_runs(questions[0].workload, gpu) as dry:
        begin = time.perf_counter()
        costed = costs(rows, questions, dry)
        took_s = time.perf_counter() - begin
        (server,) = psutil.Process().children()
        spent = server.cpu_times()  # its child processes are the dry runs
    spent_s = spent.children_user + spent.children_system
    print(f"sweep of {len(costed)} settings of {MODEL}: {took_s:.1f} s, {dry.taken} dry runs, ", end="")
    print(f"which took {spent_s:.1f} s of processor time")
    if options.without_largest:
        return
    print(f"\n{'search for the largest batch':96} {'largest':>8} {'dry runs':>8} {'seconds':>8}")
    for name, mode, chosen in SEARCHES:
        question = Question.of_options(find_shape(name), None, mode, chosen)
        with dry_runs(question.workload, gpu) as dry:
            begin = time.perf_counter()
            found = find_largest(question, dry, room_bytes(gpu))
            took_s = time.perf_counter() - begin
        print(f"{f'{name} {mode} {chosen}':96} {found.batch_size:8} {dry.taken:8} {took_s:8.1f}")


if __name__ == "__main__":
    main()
