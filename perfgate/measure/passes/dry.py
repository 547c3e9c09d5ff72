"""The dry run: a step on fake tensors, which counts work and predicts memory without a device."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from perfgate.measure.actor import Actor, LaunchFailed
from perfgate.measure.server import Server
from perfgate.measure.stage import Stage
from perfgate.measure.steps import failed
from perfgate.records.clocks import Value
from perfgate.records.launch import Launch, Side
from perfgate.records.layers import collapsed
from perfgate.shared.workload import Workload

TARGETS = ("cpu", "cuda")


@contextmanager
def dry_launch(
    stage: Stage, case: str, workload: Workload, server: Server, side: Side
) -> Iterator[Callable[[], tuple[Launch, bool]]]:
    """Begin a dry run, which goes on while the caller does something else.

    Yields a function that waits for the launch. Beside the launch it returns whether a dry run was to be expected of
    this program.
    """
    start = Launch(case, workload.sha256, 0, {}, side=side, server=server.name, pass_name="dry")
    begin = time.perf_counter()
    # Where nothing is timed by anyone, nobody can be disturbed.
    alone = stage.plan.device == "none"
    with nullcontext() if alone else stage.held(stage.lock.shared()):
        actor = server.launch()
        try:
            actor.tell({"workload": workload.order, "pass": "dry", "targets": TARGETS})
            yield lambda: finished(stage, actor, start, begin)
        finally:
            actor.close(kill=True)


def finished(stage: Stage, actor: Actor, start: Launch, begin: float) -> tuple[Launch, bool]:
    """Wait for a dry run that has begun; returns its launch, and whether one was to be expected of its program."""
    waited = time.perf_counter()
    try:
        answer = actor.answer(stage.plan.timeout_s)
    except LaunchFailed as failure:
        return stage.dated(failed(start, failure), begin), True
    finally:
        took_s = time.perf_counter() - waited
        stage.timesheet.dry_s += took_s
        stage.timesheet.programs_s += took_s
    if reason := answer.get("no_dry_run"):
        return stage.dated(start.rejected(f"no dry run: {reason}"), begin), not answer.get("silent")
    return stage.dated(with_ledgers(start, answer), begin), True


def with_ledgers(start: Launch, answer: dict[str, Any]) -> Launch:
    """The launch of a dry run that went through: its metrics, and what it knows by module.

    Args:
        start: the launch as it is known before it begins.
        answer: of the actor, with one ledger for each of ``TARGETS``.
    """
    host, device = (answer["ledgers"][target] for target in TARGETS)
    metrics: dict[str, Value] = {
        "flops": host["flops"],
        "operator_calls": host["operator_calls"],
        "moved_bytes": host["read_bytes"] + host["written_bytes"],
        "predicted_peak_bytes": host["peak_memory_bytes"],
        "predicted_cuda_peak_bytes": device["peak_memory_bytes"],
        "leaked_bytes": host["leaked_bytes"],
        **({"padded_tokens": host["padded_tokens"]} if "padded_tokens" in host else {}),
        **{f"{part}_bytes": size for part, size in host["highest_by_part_bytes"].items()},
    }
    if moved := host["read_bytes"] + host["written_bytes"]:
        metrics["arithmetic_intensity"] = host["flops"] / moved
    ledger = {
        "parameters": host["parameters"],
        "trainable_parameters": host["trainable_parameters"],
        "flops_by_group": host["flops_by_group"],
        "highest_by_part_bytes": host["highest_by_part_bytes"],
        "memory_by_part_bytes": host["memory_by_part_bytes"],
        "cuda_memory_by_part_bytes": device["memory_by_part_bytes"],
        "work": collapsed(host["work"]),
        "memory": collapsed(host["memory"]),
        "cuda_memory": collapsed(device["memory"]),
        "kept": collapsed(host["kept"]),
    }
    return replace(start, metrics=metrics, details={"ledger": ledger})
