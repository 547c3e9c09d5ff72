"""Tries which versions of the libraries can be the reference, by running the smoke tier against interpreters.

    python -m benchmarks.versions PYTHON... [--timed] [-k EXPRESSION]

Each interpreter has other versions of torch or transformers, and does not need Perfgate. The tier runs dry and, with
``--timed``, also with duets. The table, in markdown, has one row for each interpreter. It says how many cases were
measured on both sides, how many are new because that version lacks a setting, and how many could not be measured. The
reasons are listed below the table.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from perfgate.records.runfile import RunFile, read

ROOT = Path(__file__).parent.parent
LIBRARIES = ("torch", "transformers", "accelerate", "datasets")


@dataclass(frozen=True)
class Row:
    """The result of the tier against one interpreter.

    Attributes:
        versions: the versions of the interpreter's libraries.
        both: number of cases that were measured on both sides.
        lacking: by reason, number of cases that are new because the reference lacks something.
        unmeasured: by reason, number of cases that could not be measured.
        verdicts: by name, number of verdicts on cases that were measured on both sides.
        took_s: seconds of the whole run.
    """

    versions: tuple[str, ...]
    both: int
    lacking: Counter[str]
    unmeasured: Counter[str]
    verdicts: Counter[str]
    took_s: float


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    parser.add_argument("--timed", action="store_true")
    parser.add_argument("-k", default="", metavar="EXPRESSION")
    options = parser.parse_args()
    print(f"| {' | '.join(LIBRARIES)} | dry or timed | both sides | lacking there | not measured | verdicts | took |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    rows = []
    for timed in (False, True) if options.timed else (False,):
        for python in options.pythons:
            rows.append((python, row := measured(python, timed, options.k)))
            print(shown(row, timed), flush=True)
    for python, row in rows:
        for what, reasons in (("lacking", row.lacking), ("not measured", row.unmeasured)):
            for reason, cases in reasons.most_common():
                print(f"\n- {python}, {what}, {cases} {'case' if cases == 1 else 'cases'}: {reason}")


def measured(python: str, timed: bool, expression: str) -> Row:
    """Run the tier against one interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        device = "cpu" if timed else "none"
        command = [sys.executable, "-m", "pytest", "perf_tests", "--perf-ref", python, "--perf-device", device]
        command += ["--perf-tier", "smoke", "--perf-env", "installed", "--perf-output", folder]
        command += ["-q", "-p", "no:benchmark"]
        begin = time.monotonic()
        done = subprocess.run(
            [*command, *(["-k", expression] if expression else [])],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        took_s = time.monotonic() - begin
        files = list(Path(folder).glob("*.jsonl"))
        if not files:
            sys.exit(f"{python}: no run file\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        row = row_of(read(files[0]), took_s)
        if not row.both:
            # A reason that kept all cases from being measured is written with the first case only.
            print(done.stdout[-3000:], file=sys.stderr)
        return row


def row_of(run: RunFile, took_s: float) -> Row:
    """Sort the cases of a run into measured on both sides, new, and not measured."""
    software = run.header["reference"]["software"]
    by_case: dict[str, list[tuple[str, str]]] = {}
    for verdict in run.verdicts:
        by_case.setdefault(verdict.case, []).append((verdict.verdict, verdict.why))
    lacking, unmeasured, verdicts, both = Counter[str](), Counter[str](), Counter[str](), 0
    for found in by_case.values():
        names = {name for name, _ in found}
        lacks = [why for name, why in found if name == "new" and "the reference cannot run it" in why]
        if lacks:
            lacking[lacks[0]] += 1
        elif names == {"invalid"}:
            unmeasured[found[0][1]] += 1
        else:
            both += 1
            verdicts.update(name for name, _ in found)
    return Row(tuple(software.get(name, "") for name in LIBRARIES), both, lacking, unmeasured, verdicts, took_s)


def shown(row: Row, timed: bool) -> str:
    """One row of the table."""
    verdicts = ", ".join(f"{count} {name}" for name, count in row.verdicts.most_common())
    counts = f"{row.both} | {row.lacking.total()} | {row.unmeasured.total()}"
    return (
        f"| {' | '.join(row.versions)} | {'timed' if timed else 'dry'} | {counts} | {verdicts} | {row.took_s:.0f} s |"
    )


if __name__ == "__main__":
    main()
