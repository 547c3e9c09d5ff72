"""Compares the dry run's rules for CUDA with torch's own allocator on emulated cards, case by case.

    .venv-cuda/bin/python -m benchmarks.cuda_rules [--tier quick] [-k EXPRESSION] [--cards NAME,...] [--limit-s 300]
                                                   [--name cuda-rules-2.13]

Each workload of the tier is run dry under the card's capability, and takes a memory launch on the emulated card. It
needs a torch that is built for CUDA (ci/emulated-gpu installs one). Results are kept in
``perf_output/cuda-rules.jsonl``, so the command can be ended and started again: emulated peaks stay, and predictions
are repeated if the rules changed. ``docs/verified/cuda-rules.md`` is written from all kept results. Another name gives
another page, such as that of another version of torch.
"""

import argparse
import hashlib
import importlib.metadata
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from benchmarks.dry_calls import collected
from perfgate.measure.actor import LaunchFailed
from perfgate.measure.devices.emulated import emulated_devices
from perfgate.measure.emulator.profiles import PROFILES
from perfgate.measure.passes.memory import memory_launch
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.stage import Stage
from perfgate.shared.workload import Workload

ROOT = Path(__file__).parent.parent
KEPT, PAGES = ROOT / "perf_output", ROOT / "docs" / "verified"
RULES = ROOT / "perfgate" / "actor" / "dry_run"
SUMS = ROOT / "perfgate" / "shared" / "cuda_reductions.py"  # a rule that predictions need too, outside of the actor
CARDS = ("a100-80gb", "l40s-48gb", "h100-sxm-80gb")
PRELOAD = ("perfgate.actor.programs.trainer", "perfgate.actor.dry_run.run")
TIMEOUT_S = 300.0
TORCH, TRANSFORMERS = map(importlib.metadata.version, ("torch", "transformers"))
CLOSE, FAR = 0.01, 0.03
MIB = 1 << 20


@dataclass
class Row:
    """One workload on one card under one torch.

    Attributes:
        case: the first case that runs it.
        card: the profile's name.
        workload: the identity of the workload.
        rules: the digest of the rules behind the prediction.
        torch: the version of torch.
        transformers: the version of transformers.
        predicted_bytes: the dry run's prediction of allocated bytes, including workspaces; ``None`` without a dry run.
        predicted_reserved_bytes: its prediction of reserved bytes.
        workspace_bytes: the part of cuBLAS's workspaces in it.
        emulated_bytes: the allocator's peak; ``None`` if the step did not run.
        reserved_bytes: the most that the allocator held.
        why: why one of the two is missing.
    """

    case: str
    card: str
    workload: str
    rules: str = ""
    torch: str = ""
    transformers: str = ""
    predicted_bytes: int | None = None
    predicted_reserved_bytes: int | None = None
    workspace_bytes: int = 0
    emulated_bytes: int | None = None
    reserved_bytes: int | None = None
    why: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells results apart: the card, the version of torch, and the workload."""
        return self.card, self.torch, self.workload

    @property
    def difference(self) -> float | None:
        """The ratio of predicted to emulated peak, minus 1; ``None`` if one of them is missing."""
        if self.predicted_bytes is None or not self.emulated_bytes:
            return None
        return self.predicted_bytes / self.emulated_bytes - 1


def main() -> None:
    """Measure missing results, within the time limit, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", default="quick")
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="of pytest")
    parser.add_argument("--cards", default=",".join(CARDS), help="profiles, separated by commas")
    parser.add_argument("--limit-s", type=float, default=float("inf"), help="begin no further workload after this time")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--name", default="cuda-rules", help="of the page, and of the file with the results")
    options = parser.parse_args()
    path = KEPT / f"{options.name}.jsonl"
    kept = read_kept(path)
    if not options.page:
        end = time.monotonic() + options.limit_s
        orders = unique(collected(options.tier, options.k, "--perf-env", "installed"))
        for card in options.cards.split(","):
            missing = [pair for pair in orders if wanted(kept.get((card, TORCH, pair[1].sha256)))]
            if missing and time.monotonic() < end:
                measure_all(card, missing, kept, end, path)
    # Predictions of older rules do not count.
    rows = [row for row in kept.values() if not wanted(row)]
    (PAGES / f"{options.name}.md").write_text(page(rows))
    print(summary(rows))
    print(f"{len(kept) - len(rows)} further workloads were predicted by older rules, and are left out")


def unique(orders: Sequence[tuple[str, dict]]) -> list[tuple[str, Workload]]:
    """Each workload once, with the first case that runs it."""
    found: dict[str, tuple[str, Workload]] = {}
    for case, order in orders:
        workload = Workload(order["program"], unpadded(order["program"], order["params"]))
        found.setdefault(workload.sha256, (case, workload))
    return list(found.values())


def unpadded(program: str, params: dict) -> dict:
    """A workload's parameters with prompts and samples of one length.

    An emulated card does not know the values of a mask, and assumes that it masks nothing; the dry run knows them. The
    order of samples of different lengths is another one in each step, and so is the peak; a dry run takes one of them.
    """
    padded = program.endswith(":Generation") or "padded" in params
    ragged = params.get("lengths", "equal") != "equal"
    return params | ({"padded": 0.0} if padded else {}) | ({"lengths": "equal"} if ragged else {})


@cache
def digest() -> str:
    """A digest of the rules, which changes with the sources of the dry run."""
    texts = b"".join(path.read_bytes() for path in [*sorted(RULES.rglob("*.py")), SUMS])
    return hashlib.sha256(texts).hexdigest()[:12]


def wanted(row: Row | None) -> bool:
    """Whether a workload still has to be run, or only to be predicted again."""
    return row is None or row.rules != digest()


def read_kept(path: Path) -> dict[tuple[str, str, str], Row]:
    """The results of earlier runs; of several rows for one workload the last one counts."""
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [Row(**json.loads(line)) for line in lines]
    return {row.key: row for row in rows}


def measure_all(card: str, missing: Sequence[tuple[str, Workload]], kept: dict, end: float, path: Path) -> None:
    """Measure workloads on a card until the time is over; each result is kept at once."""
    with staged(card) as stage:
        for case, workload in missing:
            if time.monotonic() > end:
                return
            row = Row(case, card, workload.sha256, torch=TORCH, transformers=TRANSFORMERS)
            row = kept.get(row.key, row)
            row = predicted(stage, row, workload)
            # What has no prediction has nothing to be held against.
            if row.predicted_bytes is not None and row.emulated_bytes is None:
                row = emulated(stage, row, workload)
            kept[row.key] = row
            path.parent.mkdir(exist_ok=True)
            with path.open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")
            told = (
                row.why if row.difference is None else f"{row.difference:+.2%} of {row.emulated_bytes / MIB:,.1f} MiB"
            )
            print(f"{card} {case}: {told}", flush=True)


@contextmanager
def staged(card: str) -> Iterator[Stage]:
    """A stage with one server on the card."""
    with tempfile.TemporaryDirectory() as folder:
        plan = MeasurementPlan(device="emulated", timeout_s=TIMEOUT_S)
        stage = Stage(PRELOAD, Path(folder), plan, servers=1, device=emulated_devices(True, card)[0])
        stage.start()
        try:
            yield stage
        finally:
            stage.close()


def emulated(stage: Stage, row: Row, workload: Workload) -> Row:
    """Take the allocator's peak in a steady step."""
    launch = memory_launch(stage, row.case, workload, stage.pool.next(), 0)
    if launch.invalid:
        row.why = f"emulated: {launch.invalid}"
        return row
    if "peak_memory_bytes" not in launch.metrics:
        row.why = "emulated: its work is the host's alone"
        return row
    row.emulated_bytes = int(max(launch.metrics["peak_memory_bytes"]))
    row.reserved_bytes = int(max(launch.metrics["peak_reserved_bytes"]))
    return row


def predicted(stage: Stage, row: Row, workload: Workload) -> Row:
    """Run the workload dry under the card's capability."""
    row.rules, row.predicted_bytes, row.why = digest(), None, ""
    capability = divmod(PROFILES[row.card].capability, 10)
    actor = stage.pool.next().launch()
    try:
        order = {"workload": workload.order, "pass": "dry", "targets": ["cuda"], "capability": capability}
        answer = actor.ask(order, TIMEOUT_S)
    except LaunchFailed as failure:
        answer = {"no_dry_run": failure.reason}
    finally:
        actor.close(kill=True)
    if reason := answer.get("no_dry_run"):
        row.why = f"dry: {reason}"
        return row
    ledger = answer["ledgers"]["cuda"]
    if reason := ledger["without_rules"]:
        row.why = f"dry: {reason}"
        return row
    row.predicted_bytes = int(ledger["in_blocks"]["allocated"])
    row.predicted_reserved_bytes = int(ledger["in_blocks"]["reserved"])
    row.workspace_bytes = int(ledger["memory"].get("workspaces", {}).get("temporaries", 0))
    return row


def summary(rows: Sequence[Row]) -> str:
    """A table with the number of close cases for each card and version of torch."""
    head = ("card", "torch", "cases", "within 1%", "within 3%", "farthest", "not compared")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for card, torch in sorted({(row.card, row.torch) for row in rows}):
        own = [row for row in rows if (row.card, row.torch) == (card, torch)]
        found = [row.difference for row in own if row.difference is not None]
        if not found:
            continue
        close, far = (sum(abs(value) <= bound for value in found) for bound in (CLOSE, FAR))
        worst = max(found, key=abs)
        shares = f"{close} ({close / len(found):.1%}) | {far} ({far / len(found):.1%})"
        lines.append(f"| `{card}` | {torch} | {len(found)} | {shares} | {worst:+.2%} | {len(own) - len(found)} |")
    return "\n".join(lines)


def page(rows: Sequence[Row]) -> str:
    """The page: the number of close cases, each case, and the cases without a comparison."""
    compared = sorted((row for row in rows if row.difference is not None), key=lambda row: -abs(row.difference))
    head = ("case", "card", "torch", "predicted", "of it workspaces", "emulated", "difference", "reserved", "predicted")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in compared:
        sizes = [f"{size / MIB:,.2f}" for size in (row.predicted_bytes, row.workspace_bytes, row.emulated_bytes)]
        told = f"{row.difference:+.2%} | {row.reserved_bytes / MIB:,.0f} | {row.predicted_reserved_bytes / MIB:,.0f}"
        lines.append(f"| {shown(row.case)} | {row.card} | {row.torch} | {' | '.join(sizes)} | {told} |")
    reasons: dict[str, int] = {}
    for row in rows:
        if row.difference is None:
            reasons[row.why] = reasons.get(row.why, 0) + 1
    others = [f"| {why} | {count} |" for why, count in sorted(reasons.items(), key=lambda pair: -pair[1])]
    ran = {f"torch {row.torch} with transformers {row.transformers}" for row in rows}
    return HEAD.format(
        versions=" and ".join(sorted(ran)), summary=summary(rows), rows="\n".join(lines), others="\n".join(others)
    )


HEAD = """# The dry run's rules for CUDA, held against emulated cards

Written by `python -m benchmarks.cuda_rules`; do not edit it. The emulated peak is that of torch's own caching
allocator on an [emulated card](../emulated-gpu.md), in a steady step. The predicted one is the dry run's under the same
torch and the card's capability: what it expects that allocator to hand out in blocks. No real GPU took part. It was
{versions}. A case that the dry run says nothing of was not run.
All prompts of a case have one length: an emulated card assumes that a mask masks nothing, and the dry run knows better.
Samples have one length too: otherwise each step has another order of them, and another peak.

{summary}

## Each case, the farthest first

Sizes in MiB. The predicted peak includes the workspaces of cuBLAS, which are named beside it. The last column is what
the allocator was expected to reserve. Of an operator by itself it reserves more, because between two steps the results
are looked through for numbers that are not finite, which takes tensors as large as they are.

{rows}

## Not compared

| why | workloads |
|---|---|
{others}
"""


def shown(case: str) -> str:
    """A case's id in a cell."""
    return f"`{case.removeprefix('perf_tests/').replace('|', '/')}`"


if __name__ == "__main__":
    sys.exit(main())
