"""The dry run: a step on fake tensors, which counts work and predicts memory without a device."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from perfgate.measure.actor import Actor, LaunchFailed
from perfgate.measure.pool import Pool
from perfgate.measure.stage import Stage
from perfgate.measure.steps import failed
from perfgate.records.clocks import Value
from perfgate.records.details import Findings
from perfgate.records.launch import Launch, Side
from perfgate.records.layers import collapsed
from perfgate.shared.device_kinds import DEVICE_KINDS, DRY_TARGETS
from perfgate.shared.metrics import METRICS
from perfgate.shared.workload import Workload

# The entries of a ledger that are neither metrics nor tables.
FACTS = ("parameters", "trainable_parameters", "flops_by_group", "highest_by_part_bytes", "largest", "typed_operators")


@contextmanager
def dry_launch(
    stage: Stage, case: str, workload: Workload, pool: Pool, side: Side
) -> Iterator[Callable[[], tuple[Launch, bool]]]:
    """Begin a dry run, which continues while the caller does something else.

    Yields a function that waits for the end, and returns the launch and whether users would expect this program to
    have a dry run. If another case of this run had the same workload, its answer is used.
    """
    server = pool.next()
    start = Launch(case, workload.sha256, 0, {}, side=side, server=server.name, pass_name="dry")
    begin = time.perf_counter()
    cores = stage.device.cores if stage.device.bursts else None
    order = {"workload": workload.order, "pass": "dry", "targets": DRY_TARGETS, "cores": cores}
    order["here"] = (stage.device.machine.gpu or {}).get("capability")
    kept = stage.dry_answers.path(pool, order)
    if known := stage.dry_answers.read(kept):
        yield lambda: told(stage, known, start, begin)
        return
    # If no process on this machine takes times, a dry run disturbs nothing. On a GPU the caller holds the device, and
    # the dry run stays on the device's cores, so that it disturbs no neighbour either.
    alone = stage.plan.device == "none" or stage.device.bursts
    with nullcontext() if alone else stage.held(stage.lock.shared()):
        actor = server.launch()
        try:
            actor.tell(order)
            yield lambda: finished(stage, actor, start, begin, kept)
        finally:
            actor.close(kill=True)
        actor.output.unlink(missing_ok=True)


def finished(stage: Stage, actor: Actor, start: Launch, begin: float, kept: Path | None) -> tuple[Launch, bool]:
    """Wait for a dry run, keep its answer, and return its launch as ``told`` does."""
    waited = time.perf_counter()
    try:
        answer = actor.answer(stage.plan.timeout_s)
    except LaunchFailed as failure:
        return stage.dated(failed(start, failure), begin), True
    finally:
        took_s = time.perf_counter() - waited
        stage.timesheet.dry_s += took_s
        stage.timesheet.programs_s += took_s
    stage.dry_answers.keep(kept, answer)
    return told(stage, answer, start, begin)


def told(stage: Stage, answer: dict[str, Any], start: Launch, begin: float) -> tuple[Launch, bool]:
    """The launch of a dry run, and whether users would expect its program to have one."""
    if reason := answer.get("no_dry_run"):
        return stage.dated(start.rejected(f"no dry run: {reason}"), begin), not answer.get("silent")
    return stage.dated(with_ledgers(start, answer), begin), True


def with_ledgers(start: Launch, answer: dict[str, Any]) -> Launch:
    """The launch of a successful dry run, with its metrics and its tables by module.

    Args:
        start: the launch with everything that is known before it begins.
        answer: the actor's answer, with a ledger for each of ``DRY_TARGETS``; and one ``here``, if this run's GPU has
            another capability than the assumed one.
    """
    ledgers = answer["ledgers"]
    host = ledgers[DRY_TARGETS[0]]
    rows = [row for row in METRICS.values() if row.brought_by == "dry"]
    # If several targets have the same metric, the CPU's value counts; the others add their predicted peak.
    told = {name: value for target in reversed(DRY_TARGETS) for name, value in ledgers[target].items()}
    metrics: dict[str, Value] = {row.name: told[row.name] for row in rows if row.name in told}
    ledger = {name: host[name] for name in FACTS}
    tables = {row.cells.table for row in rows if row.cells}
    ledger |= {name: collapsed(table) for name, table in host.items() if name in tables}
    ledger["conversions"] = collapsed(host["conversions"])
    kinds = [DEVICE_KINDS[target] for target in DRY_TARGETS]
    for kind in kinds:
        for name in ("memory_by_part_bytes", "memory_by_phase_bytes"):
            ledger[f"{kind.prefix}{name}"] = ledgers[kind.name][name]
        ledger[f"{kind.prefix}memory"] = collapsed(ledgers[kind.name]["memory"])
    if own := ledgers.get("here"):
        ledger["here"] = {name: own[name] for name in ("peak_memory_bytes", "memory_by_part_bytes")}
        ledger["here"]["workspace_bytes"] = own["memory"].get("workspaces", {}).get("temporaries", 0)
        ledger["here"] |= {f"{name}_bytes": size for name, size in own.get("in_blocks", {}).items()}
    unknown = {kind.predicted_peak: reason for kind in kinds if (reason := ledgers[kind.name]["without_rules"])}
    ledger |= {"without_rules": unknown} if unknown else {}
    return replace(start, metrics=metrics).detailed(findings=Findings(ledger=ledger))
