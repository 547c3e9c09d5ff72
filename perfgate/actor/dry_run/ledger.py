"""The account of a step that ran dry: its work by module and group, and its memory by module and part."""

import gc
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from perfgate.actor.dry_run.cpu_rules import CpuRules
from perfgate.actor.dry_run.operators import GROUPS
from perfgate.actor.dry_run.storages import Allocation, by_part
from perfgate.actor.dry_run.trace import in_blocks, trace_of
from perfgate.actor.dry_run.tracker import Tracker
from perfgate.shared.device_kinds import DEVICE_KINDS

LARGEST = 3  # the number of tensors to name


def ledger(tracker: Tracker, rules: CpuRules, target: str) -> dict[str, Any]:
    """The ledger of a step as JSON.

    ``memory_by_part_bytes`` holds each part's bytes at the moment of the peak, and ``highest_by_part_bytes`` its bytes
    at its own highest moment. ``memory_by_phase_bytes`` holds each part's bytes at the highest moment of each phase.
    ``work`` maps module path and group to ``[calls, FLOPs, bytes moved]``, and ``memory`` maps module path and part to
    bytes at the peak. All totals are sums of these. ``in_blocks`` holds the peaks in blocks of the device's allocator.
    """
    work: dict[str, dict[str, list[int]]] = defaultdict(dict)
    groups = {group: [0, 0, 0, 0] for group in GROUPS}
    roofline_s = 0.0
    for (path, group), (calls, flops, read, written, seconds) in tracker.work.items():
        work[path][group] = [int(calls), int(flops), int(read + written)]
        for position, value in enumerate((calls, flops, read, written)):
            groups[group][position] += int(value)
        roofline_s += seconds
    living = tracker.storages.at_peak(tracker.since)
    memory, parts = by_part(living)
    workspaces = rules.workspaces(tracker.multiplying, tracker.biased)
    workspace_bytes = sum(workspaces)
    if workspace_bytes:
        parts["temporaries"] += workspace_bytes
        memory["workspaces"] = {"temporaries": workspace_bytes}
    found = {
        "target": target,
        "operator_calls": sum(row[0] for row in groups.values()),
        "flops": sum(row[1] for row in groups.values()),
        "read_bytes": sum(row[2] for row in groups.values()),
        "written_bytes": sum(row[3] for row in groups.values()),
        "flops_by_group": {group: row[1] for group, row in groups.items()},
        "peak_memory_bytes": sum(parts.values()),
        "memory_by_part_bytes": parts,
        "highest_by_part_bytes": tracker.storages.highest(tracker.since),
        "memory_by_phase_bytes": tracker.storages.by_phase(workspace_bytes),
        "roofline_s": roofline_s if tracker.speeds else None,
        "operators": dict(sorted(tracker.operators.items())),
        "typed_operators": dict(sorted(tracker.typed_operators.items())),
        "conversions": by_path(tracker.conversions),
        "work": dict(sorted(work.items())),
        "memory": dict(sorted(memory.items())),
        "largest": largest(living),
    }
    if rules.in_blocks:
        found["in_blocks"] = in_blocks(tracker, rules)
    if tracker.traced:
        found["trace"] = trace_of(tracker.storages, tracker.since, tracker.charges, workspace_bytes)
    return found


def by_path(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Counts by module path and kind as a table."""
    table: dict[str, dict[str, int]] = {}
    for (path, what), count in sorted(counts.items()):
        table.setdefault(path, {})[what] = count
    return table


def largest(living: list[Allocation]) -> list[dict[str, Any]]:
    """The largest tensors alive at the peak; of several equal ones only the first."""
    ranked = sorted(living, key=lambda allocation: -allocation.size_bytes)[:LARGEST]
    return [{"bytes": a.size_bytes, "path": a.path, "part": a.what, "tensor": a.tensor} for a in ranked]


def metrics_of(found: Mapping[str, Any], target: str) -> dict[str, float]:
    """The metrics of a ledger that are not in it under their own names. Each has a row in the registry of metrics."""
    moved_bytes = found["read_bytes"] + found["written_bytes"]
    kind = DEVICE_KINDS[target]
    told = {
        "moved_bytes": moved_bytes,
        kind.predicted_peak: found["peak_memory_bytes"],
        kind.predicted_net: found["peak_memory_bytes"] - found["memory"].get("workspaces", {}).get("temporaries", 0),
        **{kind.predicted_in_blocks(name): size for name, size in found.get("in_blocks", {}).items()},
        **{kind.predicted_component(n): of["peak_memory_bytes"] for n, of in found.get("components", {}).items()},
        **{f"{part}_bytes": size for part, size in found["highest_by_part_bytes"].items()},
    }
    return told | ({"arithmetic_intensity": found["flops"] / moved_bytes} if moved_bytes else {})


def left_behind(tracker: Tracker, dry: Any) -> dict[str, Any]:
    """The bytes that a dry counterpart's step allocated and did not free, in total and by module and part."""
    # Tensors that only reference cycles keep alive are not leaks.
    gc.collect()
    kept, parts = by_part(tracker.storages.kept(tracker.since))
    after: dict[str, Any] = {"leaked_bytes": sum(parts.values()), "kept": dict(sorted(kept.items()))}
    after |= dry.told() if hasattr(dry, "told") else {}
    return after | ({"padded_tokens": dry.padded_tokens} if hasattr(dry, "padded_tokens") else {})
