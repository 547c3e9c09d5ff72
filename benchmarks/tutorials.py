"""Holds Hugging Face's published table of bert-large-uncased against peaks that need no GPU.

``python -m benchmarks.tutorials [eager|default] [predicted|emulated]`` prints it, by default with the attention that
writes out its scores, which was the only one when the table was published, and with peaks of dry runs. ``emulated``
takes torch's own allocator on an emulated card of 16 GB; it needs a torch for CUDA (ci/emulated-gpu installs one) and,
for 8-bit Adam, bitsandbytes. The table is that of "Methods and tools for efficient training on a single GPU": samples
of 512 tokens, a V100, memory as nvidia-smi tells it, in MB of 2**20 bytes. No GPU is measured.
"""

import sys
from dataclasses import dataclass
from typing import Any

from perfgate.predict.dry_runs import NoDryRun
from perfgate.predict.emulated_step import emulated_step
from perfgate.predict.gpu_catalog import find_gpu
from perfgate.predict.predict import dry_runs
from perfgate.predict.question import Question
from perfgate.workloads.models.shapes import find_shape

MODEL, TASK, GPU, TOKENS, MB = "bert-large-uncased", "sequence-classification", "V100-16GB", 512, 2**20
CARD = "t4-16gb"  # as large as the V100, which today's torch for CUDA no longer knows
HEADS = {
    "predicted": "| settings | published MB | predicted MB | difference, MB | published samples/s | at most |",
    "emulated": "| settings | published MB | allocated MB | reserved MB | difference, MB |",
}
PIECES = {"batch_size": 1, "gradient_accumulation": 4}
CHECKPOINTED = {**PIECES, "activation_checkpointing": True}
MIXED = {"precision": "fp16-amp"}


@dataclass(frozen=True)
class Published:
    """A row of the published table: MB of memory and samples a second, and the settings that it names."""

    name: str
    memory_mb: int
    samples_per_s: float
    settings: dict[str, Any]


TABLE = (
    Published("batch of 4", 14949, 8.86, {"batch_size": 4}),
    Published("accumulation, 1 x 4", 8681, 7.75, PIECES),
    Published("+ checkpointing", 6775, 5.99, CHECKPOINTED),
    Published("mixed precision", 13939, 18.64, {"batch_size": 4, **MIXED}),
    Published("accumulation + checkpointing + mixed", 7275, 10.09, {**CHECKPOINTED, **MIXED}),
    Published("Adafactor", 12295, 7.96, {"batch_size": 4, "optimizer": "adafactor"}),
    Published("all + Adafactor", 4847, 9.06, {**CHECKPOINTED, **MIXED, "optimizer": "adafactor"}),
    Published("8-bit Adam", 13085, 9.15, {"batch_size": 4, "optimizer": "adamw_bnb_8bit"}),
    Published("all + 8-bit Adam", 5363, 10.35, {**CHECKPOINTED, **MIXED, "optimizer": "adamw_bnb_8bit"}),
)


def main(attention: str = "eager", way: str = "predicted") -> None:
    """Print a row for each published one, in markdown."""
    model = find_shape(MODEL)
    first = Question(model, TASK, "train", {"batch_size": 4, "sequence_length": TOKENS, "attention": attention})
    print(HEADS[way])
    print("|---" * HEADS[way].count(" | ") + "|---|")
    if way == "emulated":
        for row in TABLE:
            print(emulated_line(row, first), flush=True)
        return
    with dry_runs(first.workload, find_gpu(GPU)) as dry:
        for row in TABLE:
            print(predicted_line(row, first, dry), flush=True)


def predicted_line(row: Published, first: Question, dry: Any) -> str:
    """One row, with what a dry run says of it."""
    told = f"| {row.name} | {row.memory_mb} |"
    try:
        cost = dry.of(first.but(row.settings))
    except NoDryRun as reason:
        return f"{told} {reason} | | {row.samples_per_s} | |"
    predicted = cost.peak_memory_bytes / MB
    rate = f"{4 / cost.roofline_s:.1f}" if cost.roofline_s else ""
    return f"{told} {predicted:.0f} | {row.memory_mb - predicted:.0f} | {row.samples_per_s} | {rate} |"


def emulated_line(row: Published, first: Question) -> str:
    """One row, with what torch's allocator says of its third step."""
    told = f"| {row.name} | {row.memory_mb} |"
    step = emulated_step(first.but(row.settings).workload, CARD)
    if step.why:
        return f"{told} {step.why} | | |"
    allocated, reserved = step.allocated_bytes / MB, step.reserved_bytes / MB
    return f"{told} {allocated:.0f} | {reserved:.0f} | {row.memory_mb - reserved:.0f} |"


if __name__ == "__main__":
    main(*sys.argv[1:])
