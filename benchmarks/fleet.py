"""A fleet by simulation: makespan, load on the shared folder, and the time of a merge.

    python -m benchmarks.fleet                       # 1,000 GPUs, 10,000 cases
    python -m benchmarks.fleet --nodes 100 --seeds 5

Durations are log-normal, with the spread of the steps that this repository's baselines hold. There are as many shards
as ``perfgate fleet`` makes, and they are dealt as ``--perf-shard`` deals them. Nodes take them in their order, as those
of Slurm's array do. What a node measured before it failed is kept; the rest of its shard is the next to begin, as a job
that Slurm starts again keeps its place. Then every shard's run file is written and merged, in a process of its own.

The bound is what no fleet can beat, even one that knows all durations: all work divided evenly, or the longest case
alone. Where no duration is stored, it is what none can beat that does not know them (``blind_bound``).
"""

import argparse
import heapq
import json
import math
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perfgate.cases.dealing import START_S, deal, expected_s, shards_for

ROOT = Path(__file__).parents[1]
CASE_S = 20.0  # the median seconds of a case on a GPU, as in docs/gpu-runner.md
KNOWN = {"all known": 1.0, "a tenth of cases new": 0.9, "a third of cases new": 0.67, "nothing known": 0.0}
LIMIT_KNOWN = 0.9  # where at least so many durations are stored, every draw has to keep the limit, else the median
ORDERS = 9  # of which the bound of those who know nothing is the mean
LIMIT_S, LIMIT_BYTES, LIMIT_MAKESPAN = 60.0, 10**9, 1.1


def spread() -> float:
    """The spread of recorded step times over cases, on a log scale."""
    found = []
    for path in sorted((ROOT / "baselines").glob("cpu-*/**/test_*.json")):
        for row in json.loads(path.read_text())["rows"]:
            value = row.get("metrics", {}).get("step_time_s")
            if value:
                found.append(math.log(value[0]))
    return min(statistics.stdev(found), 1.0) if len(found) > 1 else 0.8


def draw(cases: int, sd: float, generator: random.Random) -> dict[str, float]:
    """The true seconds of each case."""
    names = (f"training/test_technique_{number % 60}.py::test_it[{number}]" for number in range(cases))
    return {name: CASE_S * math.exp(generator.gauss(0, sd)) for name in names}


def makespan(
    dealt: Sequence[Sequence[str]], true_s: dict[str, float], nodes: int, failing: float, generator: random.Random
) -> tuple[float, float]:
    """The seconds until the last shard has ended, and the seconds that failed nodes wasted.

    A node that fails does so at a random time of its shard, and another takes its place after a start.
    """
    free = [0.0] * nodes
    waiting = deque(shard for shard in dealt if shard)
    lost: list[tuple[float, Sequence[str]]] = []  # when, and the cases that were not measured
    end = wasted = 0.0
    while waiting or lost:
        begin = heapq.heappop(free)
        again = bool(lost) and (lost[0][0] <= begin or not waiting)
        since, shard = heapq.heappop(lost) if again else (begin, waiting.popleft())
        begin = max(begin, since)
        took = START_S + sum(true_s[case] for case in shard)
        if not again and generator.random() < failing:
            spent = generator.uniform(0, took)
            left, kept = unmeasured(shard, true_s, spent)
            wasted += spent - kept
            heapq.heappush(lost, (begin + spent, left))
            heapq.heappush(free, begin + spent + START_S)
            continue
        heapq.heappush(free, begin + took)
        end = max(end, begin + took)
    return end, wasted


def unmeasured(shard: Sequence[str], true_s: dict[str, float], spent_s: float) -> tuple[Sequence[str], float]:
    """The cases of a shard that its try did not measure in its time, and the seconds of those that it did."""
    kept = 0.0
    for number, case in enumerate(shard):
        if START_S + kept + true_s[case] > spent_s:
            return shard[number:], kept
        kept += true_s[case]
    return [], kept


@dataclass(frozen=True)
class Drawn:
    """What one draw of durations came to: the makespan over its bound, in seconds, what was wasted, and the shards."""

    over: float
    makespan_s: float
    wasted_s: float
    shards: int


def simulated(seed: int, sd: float, known_share: float, failing: float, asked: argparse.Namespace) -> Drawn:
    """Deal one draw of durations, and let it run."""
    generator = random.Random(seed)
    true_s = draw(asked.cases, sd, generator)
    # Durations were stored by an earlier run, which was a little faster or slower; the other cases are new.
    stored = {
        case: s * math.exp(generator.gauss(0, 0.03)) for case, s in true_s.items() if generator.random() < known_share
    }
    shards = asked.rounds * asked.nodes or shards_for(stored, asked.nodes)
    dealt = deal(expected_s(list(true_s), stored), shards, asked.nodes, true_s.keys() - stored.keys())
    for shard in dealt:
        generator.shuffle(shard)  # pytest keeps the order of the files, which has nothing to do with durations
    end, wasted = makespan(dealt, true_s, asked.nodes, failing, generator)
    bound = lower_bound if known_share else blind_bound
    return Drawn(end / bound(true_s, asked.nodes), end, wasted, shards)


def lower_bound(true_s: dict[str, float], nodes: int) -> float:
    """A lower bound for any fleet: all work divided evenly, or the longest case."""
    return START_S + max(sum(true_s.values()) / nodes, max(true_s.values()))


def blind_bound(true_s: dict[str, float], nodes: int) -> float:
    """No fleet is faster that knows no durations and interrupts no case: each free GPU takes the next, without a start.

    To such a fleet all cases are alike, so no order is better than another, and a GPU that waits only makes later cases
    begin later. It is the mean over several orders: a fleet that is lucky can be faster, and none is on the average.
    """
    return statistics.fmean(
        in_turn(random.Random(order).sample([*true_s.values()], len(true_s)), nodes) for order in range(ORDERS)
    )


def in_turn(took_s: Sequence[float], nodes: int) -> float:
    """The makespan where each free GPU takes the next case, without a start."""
    free = [START_S] * nodes
    for took in took_s:
        heapq.heapreplace(free, free[0] + took)
    return max(free)


def write_parts(folder: Path, dealt: list[list[str]], true_s: dict[str, float], generator: random.Random) -> int:
    """A run file for each shard, with lines as large as those of a real case; returns their bytes."""
    total = 0
    for number, cases in enumerate(dealt, 1):
        head = {
            "schema": "perfgate.run/1", "run_id": f"run-{number}", "created": "2026-01-01T00:00:00+00:00",
            "commit": "0" * 40, "dirty": False, "machine": {"name": "h200"}, "software": {"torch": "2.13.0"},
            "options": {"shard": [number, len(dealt)], "root": "perf_tests"},
        }  # fmt: skip
        lines = [head]
        for case in sorted(cases):
            lines += lines_of(case, true_s[case], generator)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{number}.jsonl").write_text(text)
        total += len(text)
    return total


def lines_of(case: str, took_s: float, generator: random.Random) -> list[dict]:
    """The lines of one case: a workload, launches of 40 steps, a dry run with its ledger, verdicts, its end."""
    identity = {"workload": "a" * 64, "spec": {"program": "p:C", "params": {"x": 1}}, "setting": {}, "vanilla": None}
    lines: list[dict] = [{"kind": "workload", "case": case, **identity, "technique": "t", "model": "m"}]
    modules = {f"model.layers.{n}.{part}": {"flops": 1e9 + n, "bytes": 1e6} for n in range(24) for part in "abcdefgh"}
    for launch in range(4):
        steps = [0.02 + 0.001 * generator.random() for _ in range(40)]
        details = {"modules": modules} if launch == 3 else {}
        lines.append({
            "case": case, "workload": "a" * 64, "launch": launch, "side": "candidate", "pair": None,
            "metrics": {"step_time_s": steps}, "yardstick_s": steps, "invalid": None, "details": details,
        })  # fmt: skip
    for metric in ("step_time_s", "peak_memory_bytes", "flops", "operator_calls", "host_syncs", "python_calls"):
        lines.append(
            {"kind": "verdict", "case": case, "metric": metric, "verdict": "pass", "change": 0.0, "launches": 3}
        )
    return [*lines, {"kind": "case", "case": case, "outcome": "passed", "took_s": took_s, "ended": 1.0}]


def merged(folder: Path) -> tuple[float, int, int]:
    """Seconds and peak bytes of ``perfgate merge`` over a folder, and its exit code."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "perfgate", "merge", str(folder), "-o", str(folder / "merged.jsonl"), "--json"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    took_s = time.perf_counter() - begin
    return took_s, 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, done.returncode


def main() -> int:
    """Print the table; the exit code is 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--failing", type=float, default=0.01, help="share of shards whose node fails once")
    parser.add_argument("--seeds", type=int, default=7, help="draws of durations")
    parser.add_argument("--rounds", type=int, default=0, help="of shards; 0 for as many as perfgate fleet makes")
    parser.add_argument("--parts", type=int, default=1000, help="shards to merge; 0 for no merge")
    asked = parser.parse_args()
    sd = spread()
    print(f"{asked.cases} cases (spread {sd:.2f} on a log scale), {asked.nodes} GPUs, {asked.seeds} draws")
    print(f"{'durations':22} {'shards':>7} {'failing':>8} {'makespan s':>11} {'over bound':>20} {'wasted GPU-h':>13}")
    missed = False
    for name, known_share in KNOWN.items():
        for failing in sorted({0.0, asked.failing}):
            drawn = [simulated(seed, sd, known_share, failing, asked) for seed in range(1, asked.seeds + 1)]
            over = sorted(one.over for one in drawn)
            spread_over = f"{statistics.median(over):.3f} ({over[0]:.2f}-{over[-1]:.2f})"
            end, wasted = (statistics.median(getattr(one, key) for one in drawn) for key in ("makespan_s", "wasted_s"))
            shards = drawn[0].shards
            print(
                f"{name:22} {shards:7} {failing:8.0%} {end:11.0f} {spread_over:>20} {wasted / 3600:13.2f}", flush=True
            )
            missed |= (over[-1] if known_share >= LIMIT_KNOWN else statistics.median(over)) > LIMIT_MAKESPAN
    if not asked.parts:
        return int(missed)
    generator = random.Random(1)
    true_s = draw(asked.cases, sd, generator)
    dealt = deal(true_s, asked.parts)
    with tempfile.TemporaryDirectory() as name:
        size = write_parts(Path(name), dealt, true_s, generator)
        took_s, peak, code = merged(Path(name))
    rate = size / (sum(true_s.values()) / asked.nodes)
    print(f"shared folder: {size / 1e6:.0f} MB in {asked.parts} files, {rate / 1e3:.0f} kB/s while all measure")
    print(f"merge: {took_s:.1f} s, {peak / 1e6:.0f} MB, exit code {code}")
    missed |= took_s > LIMIT_S or peak > LIMIT_BYTES or code != 0
    print("limits: " + ("MISSED" if missed else "kept") + " (makespan 1.1 of the bound, merge in 60 s and 1 GB)")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
