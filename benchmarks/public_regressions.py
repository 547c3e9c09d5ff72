"""Regressions that users of transformers and peft reported, each caught by its case, metric and module.

    python -m benchmarks.public_regressions [-k WORD] [--python NAME=PATH]...

Each environment has older libraries beside this environment's torch. It is built by pip at first and kept in the
cache, unless ``--python`` names one that exists. The cases of ``benchmarks/public/`` run against it as the reference
(``--perf-ref``): dry, and with counters on this CPU for regressions that only real steps show. A regression between
two older versions is decided on the launches of both references. The table, in markdown, has a row for each.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import kept
from perfgate.gate.against_run import compare
from perfgate.records.launch import Launch
from perfgate.records.runfile import read
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import metric

SUITE = Path(__file__).parent / "public"
HERE = "installed"


@dataclass(frozen=True)
class Libraries:
    """An environment: packages with their requirements, and packages without, because they would bring a torch."""

    packages: tuple[str, ...]
    alone: tuple[str, ...]


def libraries(transformers: str, accelerate: str, datasets: str, *alone: str) -> Libraries:
    """The environment around a version of transformers."""
    packages = (f"transformers=={transformers}", f"datasets=={datasets}", "psutil")
    return Libraries(packages, (f"accelerate=={accelerate}", *alone))


ENVIRONMENTS = {
    "transformers-4.37.2": libraries("4.37.2", "0.27.2", "2.17.1"),
    "transformers-4.38.1": libraries("4.38.1", "0.27.2", "2.17.1"),
    "transformers-4.53.0": libraries("4.53.0", "1.8.1", "3.6.0"),
    "transformers-4.53.1": libraries("4.53.1", "1.8.1", "3.6.0"),
    "transformers-4.56.2": libraries("4.56.2", "1.10.1", "4.1.1"),
    "transformers-4.57.6": libraries("4.57.6", "1.11.0", "4.3.0"),
    "transformers-5.0.0": libraries("5.0.0", "1.13.0", "4.3.0"),
    "datasets-3.6.0": libraries("4.57.6", "1.11.0", "3.6.0"),
    "datasets-4.0.0": libraries("4.57.6", "1.11.0", "4.0.0"),
    "datasets-4.8.5": libraries("4.57.6", "1.11.0", "4.8.5"),
    "peft-0.11.1": libraries("4.46.3", "1.1.1", "3.1.0", "peft==0.11.1"),
    "peft-0.12.0": libraries("4.46.3", "1.1.1", "3.1.0", "peft==0.12.0"),
}


@dataclass(frozen=True)
class Reported:
    """A reported regression.

    Attributes:
        before: the environment with the last version without it.
        after: the environment with a version that has it, or this environment.
        case: the case's path below ``benchmarks/public/``.
        metric: the metric that catches it.
        module: the module that the verdict must name; empty if the metric has no modules.
        verdict: ``regressed``, or ``improved`` for an improvement.
    """

    before: str
    after: str
    case: str
    metric: str
    module: str
    verdict: str = "regressed"

    @property
    def counted(self) -> bool:
        """Whether only real steps show it."""
        return metric(self.metric).brought_by == "counters"


FOUR, FIVE = "transformers-4.57.6", "transformers-5.0.0"
UNSEEN = "test_training_without_mask_and_cache"
REPORTED = (
    *(
        Reported(FOUR, after, f"test_padded_encoder[{name}]", "operator_calls", "the model itself")
        for after in (FIVE, HERE)
        for name in ("bert", "roberta", "distilbert")
    ),
    Reported(FOUR, HERE, "test_t5_training", "operator_calls", "encoder"),
    Reported(FOUR, HERE, "test_t5_training", "host_syncs", "encoder"),
    Reported(FOUR, FIVE, "test_t5_generation", "host_syncs", "decoder"),
    Reported(FIVE, HERE, "test_t5_generation", "host_syncs", "", "improved"),
    *(
        Reported(FOUR, HERE, f"{UNSEEN}[{name}]", "host_syncs", module)
        for name, module in (("llama", "model"), ("qwen2", "model"), ("gpt2", "transformer"))
    ),
    Reported("transformers-4.53.0", "transformers-4.53.1", f"{UNSEEN}[neox]", "operator_calls", "gpt_neox"),
    Reported("transformers-4.53.1", "transformers-4.56.2", "test_static_cache", "operator_calls", "transformer"),
    Reported("transformers-4.37.2", "transformers-4.38.1", "test_generation", "predicted_peak_bytes", "model"),
    Reported("peft-0.11.1", "peft-0.12.0", "test_lora_in_16_bits", "predicted_peak_bytes", "mlp"),
    Reported(FOUR, HERE, "test_generation", "host_syncs", "", "improved"),
)
Launches = Mapping[str, Sequence[Launch]]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", default="", metavar="WORD", help="only rows whose environments or case have this word")
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="an environment that exists")
    options = parser.parse_args()
    pythons = dict(entry.split("=", 1) for entry in options.python)
    chosen = [row for row in REPORTED if options.k in " ".join((row.before, row.after, row.case, row.metric))]
    found = measured(chosen, pythons)
    print("| from | to | case | metric | before | after | grown the most | caught |\n|---|---|---|---|---|---|---|---|")
    for row in chosen:
        print(shown(row, judged(row, found)), flush=True)


def measured(rows: Sequence[Reported], pythons: Mapping[str, str]) -> dict[tuple[str, bool], Launches]:
    """Launches by environment, and by whether they are counters of real steps."""
    found: dict[tuple[str, bool], Launches] = {}
    wanted = {(name, row.counted) for row in rows for name in (row.before, row.after) if name != HERE}
    for name, counted in sorted(wanted):
        cases = {row.case for row in rows if name in (row.before, row.after) and row.counted == counted}
        print(f"{name}, {'counters' if counted else 'dry'}: {len(cases)} cases", file=sys.stderr)
        python = pythons.get(name) or kept(name, ENVIRONMENTS[name].packages, ENVIRONMENTS[name].alone)
        reference, candidate = run(python, cases, "cpu" if counted else "none")
        found[name, counted] = reference
        found[HERE, counted] = {**found.get((HERE, counted), {}), **candidate}
    return found


def run(python: str, cases: Iterable[str], device: str) -> tuple[Launches, Launches]:
    """Run cases against an interpreter; returns the launches of the reference and of this environment."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", *(f"test_public.py::{case}" for case in cases), "-q"]
        command += ["--perf-ref", python, "--perf-device", device, "--perf-env", "installed", "--perf-output", folder]
        done = subprocess.run(command, cwd=SUITE, capture_output=True, text=True, check=False)
        files = list(Path(folder).glob("*.jsonl"))
        if not files:
            sys.exit(f"{python}: no run file\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        found = read(files[0])
    return found.by_case("reference"), found.by_case()


def judged(row: Reported, found: Mapping[tuple[str, bool], Launches]) -> Verdict | None:
    """The verdict on the metric in the way of ``perfgate compare``; ``None`` if there is none."""
    case = f"test_public.py::{row.case}"
    before, after = ({case: found[name, row.counted].get(case, ())} for name in (row.before, row.after))
    verdicts = compare(before, after, {})
    return next((verdict for verdict in verdicts if verdict.metric == row.metric), None)


def caught(row: Reported, verdict: Verdict | None) -> bool:
    """Whether the gate finds the reported regression, and its module."""
    return verdict is not None and verdict.verdict == row.verdict and row.module in verdict.why


def shown(row: Reported, verdict: Verdict | None) -> str:
    """One row of the table."""
    after = row.after if row.after != HERE else "this environment"
    cells = [row.before, after, f"`{row.case}`", f"`{row.metric}`"]
    if verdict is None or verdict.reference is None or verdict.candidate is None:
        return f"| {' | '.join(cells)} | - | - | {verdict.why if verdict else 'not measured'} | no |"
    values = [metric(row.metric).show(value) for value in (verdict.reference, verdict.candidate)]
    most = re.sub(r"([+][^,]*),.*", r"\1", verdict.why.removeprefix("grown: "))
    answer = (row.verdict if row.verdict == "improved" else "yes") if caught(row, verdict) else f"no: {verdict.verdict}"
    return f"| {' | '.join([*cells, *values, most, answer])} |"


if __name__ == "__main__":
    main()
