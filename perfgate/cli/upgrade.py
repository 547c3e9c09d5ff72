"""``perfgate upgrade``: shows how other versions of some packages change the cases of this suite."""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from perfgate.cli.common import OK, UNSURE, WORSE, add_command
from perfgate.gate.wording import FAILING, PROPERTY, UNDECIDED
from perfgate.records.runfile import RunFile, read
from perfgate.records.verdict import Verdict
from perfgate.reports.live import Live
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import read_share
from perfgate.system.temporary import temporary_folder

OUTPUT = Path("perf_output")
ENDING_S = 60
ENDED = (0, 1)  # pytest's exit codes for a completed run: all tests passed, or some failed
Ends = Mapping[str, tuple[str, str] | None]
EPILOG = (
    "Example: perfgate upgrade transformers==5.23.0 accelerate==1.15.0 --from requirements.txt -- perf_tests -k llama. "
    "Environments are built once and kept; exact metrics come first, then times, each case beside its old version."
)


def add(commands: Any) -> None:
    """Declare the command and its options."""
    help = "find out how other versions of some packages change the cases of this suite"
    parser = add_command(commands, "upgrade", run, help, epilog=EPILOG)
    parser.add_argument(
        "packages",
        metavar="PACKAGE==VERSION",
        nargs="+",
        help="packages with versions, as for pip; arguments for pytest follow after --: -- perf_tests -k llama",
    )
    parser.set_defaults(pytest=())
    parser.behind = "pytest"
    parser.add_argument(
        "--from",
        dest="start",
        default="",
        metavar="FILE|PYTHON",
        help="state before the upgrade: a requirements file or an interpreter; default: this environment",
    )
    parser.add_argument(
        "--tolerance", default="1%", metavar="SHARE", help="largest accepted growth, such as 0.02 or 2%%; default: 1%%"
    )
    parser.add_argument("--exact", action="store_true", help="only exact metrics, without times")
    parser.add_argument("--strict", action="store_true", help="exit with 3 if something could not be decided")


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Build both environments, run the suite in both, and write one report."""
    from perfgate.reference.upgrade import check_packages, upgrade_sides

    tolerance = read_share("--tolerance", options.tolerance)
    check_packages(options.packages)
    live = Live(sys.stderr, 0)
    try:
        sides = upgrade_sides(options.packages, options.start, Path.cwd(), live.note)
        live.clear()
        both = ["--perf-ref", sides.before, "--perf-candidate", sides.now]
        both += ["--perf-version-tolerance", options.tolerance]
        cases = options.pytest or ["perf_tests"]
        live.note("Exact metrics of both sides:")
        exact, ended = measured(cases, [*both, "--perf-device", "none"])
        timed = None
        if not options.exact:
            live.note("Times and peaks, each case beside its old version:")
            timed, more = measured(cases, both)
            ended = joined(ended, more)
    except KeyboardInterrupt:
        raise UserError("stopped; what was built is kept, and nothing that was not finished counts as built") from None
    from perfgate.reports.upgrade import UpgradeRuns, upgrade_report  # imports pandas, which a refusal need not pay

    untold = {name: end for name, end in ended.items() if end}
    runs = UpgradeRuns(sides.moved, sides.asked, sides.software[0], tolerance, exact, timed, untold)
    return exit_code(runs.verdicts, {how for how, _ in untold.values()}, options.strict), upgrade_report(runs)


def measured(cases: Sequence[str], options: Sequence[str]) -> tuple[RunFile, Ends]:
    """Run pytest, with its output on standard error.

    Returns:
        The run, and the end of each test.

    Raises:
        UserError: it ended without a run file.
    """
    before = set(OUTPUT.glob("*.jsonl"))
    with temporary_folder("perfgate-upgrade-") as folder:
        results = folder / "results.xml"
        command = [sys.executable, "-m", "pytest", *cases, *options, "--perf-output", str(OUTPUT), "-p", "no:benchmark"]
        with subprocess.Popen([*command, f"--junitxml={results}"], stdout=sys.stderr) as process:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                process.wait(ENDING_S)  # Ctrl-C reaches pytest too, which then ends its processes itself
                raise
        ended = endings(results)
    made = sorted(set(OUTPUT.glob("*.jsonl")) - before, key=lambda path: path.stat().st_mtime_ns)
    if not made:
        raise UserError(f"pytest {' '.join(cases)} ended with exit code {code} and measured nothing")
    if code not in ENDED:  # cases that were not reached must not look like passed ones
        raise UserError(f"pytest {' '.join(cases)} was stopped before it had measured everything; see {made[-1]}")
    return read(made[-1]), ended


def endings(results: Path) -> Ends:
    """The end of each test: ``None`` if its verdicts tell it, else the kind of end and the first line of the reason.

    No verdict tells the end of a test that failed for another reason, such as a crash or an assert after the
    measurement, or that was skipped before anything was measured. The key is a test's file, class and name, as in
    ``perf_tests.test_models::test_training[llama]``; it is empty if pytest wrote nothing.
    """
    if not results.exists():
        return {}
    found: dict[str, tuple[str, str] | None] = {}
    for case in ElementTree.parse(results).iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        verdicts = [
            each.get("value", "") for each in case.iter("property") if each.get("name", "").startswith(PROPERTY)
        ]
        if verdicts:
            found[name] = None
        told = {"skipped": bool(verdicts), "failed": any(verdict.startswith(FAILING) for verdict in verdicts)}
        for how, tags in (("skipped", ["skipped"]), ("failed", ["failure", "error"])):
            for end in (end for tag in tags for end in case.findall(tag) if not told[how]):
                found[name] = (
                    how,
                    (end.get("message") or end.text or how).strip().removeprefix("Failed: ").partition("\n")[0],
                )
    return found


def joined(exact: Ends, timed: Ends) -> Ends:
    """The ends of both runs; a test that failed in the first run stays failed."""
    return {**exact, **timed, **{name: end for name, end in exact.items() if end and end[0] == "failed"}}


def exit_code(verdicts: Sequence[Verdict], untold: Set[str], strict: bool) -> int:
    """The exit code: 1 if a case got worse or failed, or none was decided; under ``--strict`` 3 if any is undecided."""
    names = {verdict.verdict for verdict in verdicts}
    if "failed" in untold or names & set(FAILING) or not names - UNDECIDED:
        return WORSE
    return UNSURE if strict and (untold or names & UNDECIDED) else OK
