"""The benchmarks of the gate: recorded launches put to rules, and a vectorised rule that says what the rule says."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.gate import variants
from benchmarks.gate.rules import paired_bca, resamples
from perfgate.gate.confirmation import LOOKS, confirming
from perfgate.gate.duets import Duet
from perfgate.gate.noise import UNKNOWN, Noise
from tests import ROOT


def record(path: Path, slowdowns: list[float]) -> None:
    """A run file of ninety solo launches and ninety duets for each slowdown; launches vary by 10%, duets by 1%."""
    generator = np.random.default_rng(1)
    header = {"schema": "perfgate.run/1", "run_id": "r", "created": "2026-01-01T00:00:00Z"}
    lines: list[dict[str, object]] = [header | {"machine": {"name": "m"}, "software": {}, "options": {}}]
    for slowdown in slowdowns:
        for number in range(180):
            pair, level = (None, 0.0) if number < 90 else (number + round(1e4 * slowdown), generator.normal(0, 0.1))
            for side in ("reference", "candidate"):
                own = level if pair is not None else generator.normal(0, 0.1)
                own += np.log1p(slowdown) if side == "candidate" else 0
                steps = 0.025 * np.exp(own + generator.normal(0, 0.04, 60))
                line = {"kind": "launch", "case": "a", "workload": "w", "launch": number, "side": side, "pair": pair}
                line |= {"metrics": {"step_time_s": steps.tolist()}, "yardstick_s": None, "invalid": None}
                line |= {"server": f"s{number % 2}", "details": {"injected": slowdown} if side == "candidate" else {}}
                lines.append(line)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def table(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    command = [sys.executable, "-m", "benchmarks.gate.table", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_recorded_launches_are_put_to_every_rule(tmp_path: Path) -> None:
    record(tmp_path / "run.jsonl", [0.0, 0.05])
    (tmp_path / "noise.json").write_text(json.dumps(Noise("m", 10, 0.01, 30, "2026-01-01").to_json()))

    done = table(tmp_path / "run.jsonl", "--trials", 4, "--noise", tmp_path / "noise.json")

    assert done.returncode == 0, done.stderr
    rows = {
        line.split(" | ")[1]: line.split(" | ")[2:] for line in done.stdout.splitlines() if line.startswith("| rec")
    }
    assert len(rows) == 14
    assert rows["pytest-benchmark, `median:5%`"][0].startswith("100.0%")
    assert rows["Perfgate, with noise.json"][0] == "0.0% (< 52.7%)"
    assert rows["Perfgate, with noise.json"][1] == "100% (0%)"
    assert rows["Perfgate, stored times alone, machine 50% slower"][0].startswith("100.0%")
    assert rows["Perfgate, stored times and duets, machine 50% slower"][:2] == ["0.0% (< 52.7%)", "100% (0%)"]
    assert rows["Perfgate, stored times alone"][1] == "0% (100%)"
    assert rows["Perfgate, stored times and duets"][:2] == ["0.0% (< 52.7%)", "100% (0%)"]
    assert "0% slower: 1 cases, 90 duets, 90 solo launches a side." in done.stdout


def test_without_unchanged_launches_there_is_no_table(tmp_path: Path) -> None:
    record(tmp_path / "run.jsonl", [0.05])

    done = table(tmp_path / "run.jsonl")

    assert done.returncode == 1
    assert done.stderr == (
        "error: nothing was recorded in which nothing changed; record a candidate without 'injected'\n"
    )


def test_the_vectorised_rule_is_the_rule() -> None:
    generator = np.random.default_rng(2)
    for noise, variant in ((UNKNOWN, variants.Variant("", df=0.0)), (Noise("m", 10, 0.01), variants.THE_RULE)):
        values = generator.normal(generator.choice([0, 0.02, 0.04, 0.2, 3.0], (150, 1)), 0.012, (150, LOOKS[-1]))
        values += variants.KINDS[2].draw(generator, 150, LOOKS[-1], 3) * (np.arange(150) < 50)[:, None]
        state, used = variants.judge(values, variant)
        for row, code, count in zip(values, state, used, strict=True):
            found = [Duet(float(value), str(number % 3)) for number, value in enumerate(row)]
            case = confirming({"t": variants.ALPHA_A_SUSPECT / len(LOOKS)}, {"t": 0.03})
            seen = 0
            while more := case.wanted(seen):
                seen += more
                case = case.seen({"t": found[:seen]}, noise)
            name = {"regressed": 1, "pass": 2, "improved": 2, "inconclusive": 0}[case.looks["t"].verdict]
            assert (name, case.looks["t"].duets) == (code, count)


def test_all_resamples_of_a_sample_are_counted() -> None:
    counts, weights = resamples(5)

    assert len(counts) == 126
    assert weights.sum() == np.float64(1)
    assert weights.min() == 1 / 5**5


def test_an_interval_over_resamples_holds_the_ratio_of_medians() -> None:
    before = np.array([1.0, 1.01, 1.02, 0.99, 1.0])

    low, high = paired_bca(before, before * 1.25, 0.95)

    assert max(abs(low + 20), abs(high + 20)) < 1e-9
