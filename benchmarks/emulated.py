"""Checks that the emulated GPU repeats itself, and measures the cost of the standard shapes on it.

    python -m benchmarks.emulated [--runs 20] [--profile h100-sxm-80gb] [--only WORD]

The first table takes a training step and a generation of a small GPT-2 in separate processes, and counts their
different peaks and launches, which should be one each. The second one takes a training step with AdamW of each
shape: at most 30 s a process, and 3 GB of the host's memory. It needs a torch for CUDA (docs/emulated-gpu.md).
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass

from perfgate.measure.emulator.build import started_on
from perfgate.measure.emulator.profiles import PROFILES, STANDARD
from perfgate.workloads.models.shapes import SHAPES

LIMIT_S, LIMIT_BYTES = 30, 3 * 10**9


@dataclass(frozen=True)
class Work:
    """A training step: shape, class, batch and length, dtype."""

    shape: str
    task: str
    batch: int
    length: int
    dtype: str = "float32"


STEPS = (
    Work("Llama-3.2-1B", "causal-lm", 4, 512, "bfloat16"),
    Work("gpt2", "causal-lm", 4, 512),
    Work("bert-large-uncased", "sequence-classification", 4, 512),
    Work("Qwen3-0.6B", "causal-lm", 4, 512, "bfloat16"),
    Work("t5-base", "seq2seq-lm", 4, 512),
    Work("vit-base", "image-classification", 32, 0),
    Work("whisper-small", "seq2seq-lm", 4, 64),
)


def main() -> None:
    """Start each process, and print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--profile", default=STANDARD, choices=PROFILES)
    parser.add_argument("--only", default="")
    parser.add_argument("--step", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step is not None:
        print(json.dumps(small() if arguments.step < 0 else step(STEPS[arguments.step])))
        return
    found = [apart(-1, arguments.profile) for _ in range(arguments.runs)]
    print(f"\n| of {len(found)} runs | values |\n|---|---|")
    for name in ("allocated", "reserved", "launches", "generated_allocated", "generated_launches"):
        print(f"| {name} | {', '.join(f'{value:,}' for value in sorted({row[name] for row in found}))} |")
    heads = ("shape", "batch", "allocated", "reserved", "launches", "assumed", "s", "host memory")
    print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for number, work in enumerate(STEPS):
        if arguments.only in work.shape:
            row = apart(number, arguments.profile)
            over = "" if row["s"] <= LIMIT_S and row["host_bytes"] <= LIMIT_BYTES else " (over the limit)"
            counts = " | ".join(f"{row[name]:,}" for name in ("allocated", "reserved", "launches"))
            size = f"{work.batch} x {work.length}" if work.length else f"{work.batch}"
            cost = f"{row['s']:.0f} | {row['host_bytes'] / 1e9:.1f} GB{over}"
            print(f"| {work.shape}, {work.dtype} | {size} | {counts} | {row['assumed'] or '-'} | {cost} |", flush=True)


def apart(number: int, profile: str) -> dict:
    """Take one step in a process of its own, on the card."""
    command = [sys.executable, "-m", "benchmarks.emulated", "--step", str(number)]
    environment = os.environ | dict(started_on(PROFILES[profile]))
    begin = time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]) | {"s": time.perf_counter() - begin}


def counted(work) -> dict:
    """The peaks and launches of a piece of work, and the values that were assumed in it."""
    import torch

    driver = ctypes.CDLL(None)
    driver.emu_report.restype = ctypes.c_char_p
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    driver.emu_reset()
    work()
    torch.cuda.synchronize()
    told = json.loads(driver.emu_report())
    from perfgate.actor.devices.assumed import assumed_values

    return {
        "allocated": torch.cuda.max_memory_allocated(),
        "reserved": torch.cuda.max_memory_reserved(),
        "launches": told["launches"],
        "assumed": ", ".join(f"{what} x {times}" for what, times in assumed_values().items()),
        "host_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def built(config: dict, kind: str, dtype: str):
    """A model with random weights, made on the card."""
    import torch
    import transformers

    settings = {name: value for name, value in config.items() if name != "model_type"}
    torch.set_default_dtype(getattr(torch, dtype))
    with torch.device("cuda"):
        return getattr(transformers, kind)(transformers.AutoConfig.for_model(config["model_type"], **settings))


def stepper(model, inputs: dict):
    """A training step after two steps, so that the optimizer has its state."""
    import torch

    optimizer = torch.optim.AdamW(model.train().parameters())

    def take() -> None:
        model(**inputs).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    take()
    take()
    return take


def step(work: Work) -> dict:
    """The training step of a shape."""
    import torch

    shape = json.loads(SHAPES.read_text())[work.shape]
    model = built(dict(shape["config"]), shape["classes"][work.task], work.dtype)
    text = torch.ones(work.batch, work.length or 1, dtype=torch.long, device="cuda")
    labels = text[:, 0] if "classification" in work.task else text
    if work.shape.startswith("vit"):
        size = model.config.image_size
        inputs = {"pixel_values": torch.rand(work.batch, 3, size, size, device="cuda")}
    elif work.shape.startswith("whisper"):
        length = 2 * model.config.max_source_positions
        inputs = {"input_features": torch.rand(work.batch, model.config.num_mel_bins, length, device="cuda")}
    else:
        inputs = {"input_ids": text}
    return counted(stepper(model, inputs | {"labels": labels}))


def small() -> dict:
    """A training step and a generation of 16 tokens of a small GPT-2."""
    import torch

    from perfgate.actor.devices.emulated import end_generation_by_length

    end_generation_by_length()
    config = {"model_type": "gpt2", "n_layer": 2, "n_head": 4, "n_embd": 128, "vocab_size": 1024, "n_positions": 256}
    model = built(config, "GPT2LMHeadModel", "float32")
    ids = torch.ones(4, 64, dtype=torch.long, device="cuda")
    trained = counted(stepper(model, {"input_ids": ids, "labels": ids}))
    model.eval()
    more = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 16, "do_sample": False}
    written = counted(lambda: model.generate(ids, **more))
    return trained | {f"generated_{name}": value for name, value in written.items()}


if __name__ == "__main__":
    main()
