"""The command line: ``perfgate compare``, ``report``, ``compare-settings``, ``predict``, ``calibrate``, ``doctor``."""

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from perfgate import __version__
from perfgate.gate.against_baseline import compare
from perfgate.gate.outcome import sentence
from perfgate.gate.verdicts import summarize
from perfgate.models.shapes import find_shape
from perfgate.predict.gpu_catalog import find_gpu
from perfgate.predict.predict import MODES, SETTINGS, Question, predict
from perfgate.records.runfile import RunFile, read
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError

OK, WORSE, BAD_INPUT, UNSURE = 0, 1, 2, 3
SLOWDOWNS = "0,0.01,0.02,0.03,0.05,0.1"
FORMATS = ("terminal", "markdown", "csv", "json")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Print and exit as bad usage."""
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    options = build_parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code, text = options.command(options)
    except UserError as error:
        print(f"perfgate: {error}", file=sys.stderr)
        return BAD_INPUT
    return code if write(text) else BAD_INPUT


def write(text: str) -> bool:
    """Write to standard output; returns whether that went well, or its reader (head, less) has seen enough."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # Nothing more may be written to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return True
        print(f"perfgate: standard output cannot be written: {error.strerror}", file=sys.stderr)
        return False
    return True


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = Parser(prog="perfgate", description="Performance regression tests for Hugging Face models.")
    parser.add_argument("--version", action="version", version=f"perfgate {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    against = commands.add_parser("compare", help="decide whether one run is worse than another")
    against.add_argument("base", metavar="BASE", help="run file of what was before, or a file that holds both sides")
    against.add_argument("head", metavar="HEAD", nargs="?", help="run file of what is under test")
    against.add_argument("--json", action="store_true", help="print one JSON document")
    against.add_argument("--strict", action="store_true", help="exit with 3 where one could not tell")
    against.set_defaults(command=compare_command)

    report = commands.add_parser("report", help="tables of what runs measured and decided")
    report.add_argument("runs", metavar="RUN", nargs="+", help="run file")
    report.add_argument("--format", choices=FORMATS, default="terminal", help="default: terminal")
    report.add_argument("--output", metavar="FILE", help="write there instead of standard output")
    report.add_argument("--work", metavar="CASE", help="the work of cases whose id holds CASE, by operator and module")
    report.set_defaults(command=report_command)
    choose = commands.add_parser("compare-settings", help="a model's settings side by side, and which none other beats")
    choose.add_argument("runs", metavar="RUN", nargs="+", help="run file")
    choose.add_argument("--model", metavar="NAME", help="default: all of them")
    choose.add_argument("--format", choices=FORMATS, default="terminal", help="default: terminal")
    choose.add_argument("--picture", metavar="FILE", help="speed over memory, as SVG; of the first table")
    choose.set_defaults(command=choose_command)
    add_predict(commands)

    doctor = commands.add_parser("doctor", help="what this machine can measure and gate, and what to do about it")
    doctor.add_argument("--quick", action="store_true", help="leave out the calibration of its noise, about 20 s")
    doctor.add_argument("--baselines", metavar="DIR", default="baselines", help="default: baselines")
    doctor.add_argument("--json", action="store_true", help="print one JSON document")
    doctor.set_defaults(command=doctor_command)
    add_calibrate(commands)
    return parser


def add_calibrate(commands: Any) -> None:
    """The command that measures the gate itself."""
    gate = commands.add_parser(
        "calibrate", help="how noisy this machine is, and which slowdowns the gate sees on it", epilog=CALIBRATE_EPILOG
    )
    gate.add_argument("--duets", type=int, default=10, metavar="N", help="of each case and slowdown; default: 10")
    gate.add_argument("--slowdowns", default=SLOWDOWNS, metavar="LIST", help=f"to put in; default: {SLOWDOWNS}")
    gate.add_argument("--draws", type=int, default=1000, metavar="N", help="of the recorded duets; default: 1000")
    gate.add_argument("--from", dest="recorded", metavar="RUN", help="a run file of a calibration; measures nothing")
    gate.add_argument(
        "--baselines", metavar="DIR", default="baselines", help="where noise.json goes; default: baselines"
    )
    gate.add_argument("--picture", metavar="FILE", help="SVG; default: beside the run file")
    gate.add_argument("--json", action="store_true", help="print one JSON document")
    gate.add_argument(
        "pytest", nargs="*", metavar="PYTEST-ARGUMENT", help="which cases, after --: -- perf_tests -k gpt2"
    )
    gate.set_defaults(command=calibrate_command)


CALIBRATE_EPILOG = "Six duets of about 3 s a round: three cases and ten rounds take some ten minutes."


def add_predict(commands: Any) -> None:
    """The command that runs nothing, and its options."""
    ahead = commands.add_parser("predict", help="memory, work and time of a step on a GPU, without one")
    ahead.add_argument(
        "--model", required=True, metavar="NAME|FOLDER|HUB-ID@COMMIT", help="a known shape, or where config.json is"
    )
    ahead.add_argument("--task", help="default: the model's first")
    ahead.add_argument("--mode", choices=MODES, default="train", help="train, forward or generate; default: train")
    ahead.add_argument("--gpu", metavar="NAME", help="as in H200 or a100-sxm-80gb; without one nothing is held against")
    ahead.add_argument("--json", action="store_true", help="print one JSON document")
    settings = ahead.add_argument_group("settings")
    settings.add_argument("--batch-size", type=int, required=True, metavar="N", help="samples of a (micro-)batch")
    settings.add_argument("--seq-len", type=int, metavar="N", help="tokens of a sample, or of a prompt")
    settings.add_argument("--new-tokens", type=int, metavar="N", help="to generate; default: 16")
    settings.add_argument("--gradient-accumulation", type=int, metavar="N", help="micro-batches a step; default: 1")
    settings.add_argument("--activation-checkpointing", action="store_true", default=None)
    settings.add_argument(
        "--precision", metavar="NAME", help="fp32, tf32, bf16, fp16, bf16-amp or fp16-amp; default: fp32"
    )
    settings.add_argument("--optimizer", metavar="NAME", help="default: adamw_torch")
    settings.add_argument("--attention", metavar="NAME", help="eager or sdpa; default: what transformers chooses")
    settings.add_argument("--lora-rank", type=int, metavar="N", help="of adapters; default: all weights are trained")
    ahead.set_defaults(command=predict_command)


def compare_command(options: argparse.Namespace) -> tuple[int, str]:
    """Hold the candidate launches of HEAD against those of BASE, or the two sides of one file."""
    base = read(options.base)
    head = read(options.head) if options.head else base
    reference = base.by_case("candidate" if options.head else "reference")
    candidate = head.by_case()
    check_comparable(base, head, options)
    if not reference or not candidate:
        which, where = ("candidate", options.head or options.base) if reference else ("reference", options.base)
        hint = "" if options.head else "; name a second run file to compare with"
        raise UserError(f"{where}: holds no {which} launches{hint}")
    if not set(reference) & set(candidate):
        raise UserError(f"{options.base} and {options.head or options.base} have no case in common")
    verdicts = compare(reference, candidate, head.tolerances())
    summary = summarize(verdicts)
    code = exit_code(verdicts, options.strict)
    if options.json:
        return code, json.dumps({"verdicts": [verdict.to_json() for verdict in verdicts], "summary": summary}) + "\n"
    return code, comparison(verdicts, summary, sorted(set(reference) - set(candidate)))


def check_comparable(base: RunFile, head: RunFile, options: argparse.Namespace) -> None:
    """Refuse to compare timings of different machines."""
    names = [run.header["machine"]["name"] for run in (base, head)]
    # Dry runs are of no machine; their names are the versions, which may differ.
    dry = all(run.header["machine"].get("device") == "none" for run in (base, head))
    if names[0] != names[1] and not dry:
        raise UserError(
            f"{options.base} was measured on {names[0]} and {options.head} on {names[1]}; "
            "timings of different machines do not compare, measure both on one"
        )


def comparison(verdicts: Sequence[Verdict], summary: dict[str, int], gone: Sequence[str]) -> str:
    """A table of all verdicts, then a sentence for each case that is not well."""
    from perfgate.reports.run_report import verdicts_for_terminal

    stream = io.StringIO()
    verdicts_for_terminal(verdicts, stream, sys.stdout.isatty())
    bad = [sentence(verdict) for verdict in verdicts if verdict.verdict in ("regressed", "stale", "invalid")]
    missing = [f"{case}: only in BASE, not compared" for case in gone]
    counts = ", ".join(f"{count} {name}" for name, count in summary.items())
    return "\n".join([stream.getvalue().rstrip(), *bad, *missing, counts]) + "\n"


def exit_code(verdicts: Sequence[Verdict], strict: bool) -> int:
    """0 nothing got worse, 1 something did, 3 could not tell and asked to be strict."""
    names = {verdict.verdict for verdict in verdicts}
    if names & {"regressed", "stale"}:
        return WORSE
    return UNSURE if strict and names & {"inconclusive", "invalid", "new"} else OK


def predict_command(options: argparse.Namespace) -> tuple[int, str]:
    """Dry runs, and what follows from them."""
    settings = {name: getattr(options, name) for name in SETTINGS}
    question = Question.of_options(find_shape(options.model, options.task), options.task, options.mode, settings)
    prediction = predict(question, None if options.gpu is None else find_gpu(options.gpu))
    if options.json:
        return OK, json.dumps(prediction.to_json()) + "\n"
    from perfgate.reports.prediction import terminal

    stream = io.StringIO()
    terminal(prediction, stream, sys.stdout.isatty())
    return OK, stream.getvalue()


def doctor_command(options: argparse.Namespace) -> tuple[int, str]:
    """Look at the machine; 1 where no case can be measured."""
    from perfgate.doctor.diagnosis import diagnose
    from perfgate.reports.doctor import terminal

    def progress(what: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[2K{what}", end="", file=sys.stderr, flush=True)

    diagnosis = diagnose(Path.cwd(), options.baselines, options.quick, progress)
    progress("")
    if options.json:
        return 0 if diagnosis.fit else 1, json.dumps(diagnosis.to_json()) + "\n"
    stream = io.StringIO()
    terminal(diagnosis, stream, sys.stdout.isatty())
    return 0 if diagnosis.fit else 1, stream.getvalue()


def calibrate_command(options: argparse.Namespace) -> tuple[int, str]:
    """Record, put to the rule, store the machine's noise."""
    from perfgate.cases.calibration import analyse, to_json, unusable
    from perfgate.cases.noise_file import write_noise
    from perfgate.cli.calibrate import recorded_run
    from perfgate.reports.calibration import draw, terminal

    how = (options.pytest, options.duets, options.slowdowns)
    path = Path(options.recorded) if options.recorded else recorded_run(*how)
    run = read(path)
    machine = run.header["machine"]["name"]
    found = analyse(run.launches, machine, run.header["created"], options.draws)
    if not found.results:
        raise UserError(f"{path} holds too few duets that can be used: {unusable(run.launches)}")
    folder, clock = Path(options.baselines) / machine, found.clock.clock or "wall"
    stored = write_noise(folder, found.noise, clock) if found.noise.df else None
    picture = draw(found.results, Path(options.picture) if options.picture else path.with_suffix(".svg"))
    if options.json:
        files = {"run": str(path), "picture": str(picture), "noise_file": str(stored) if stored else None}
        return OK, json.dumps({**to_json(found), **files}) + "\n"
    stream = io.StringIO()
    terminal(found, [path, picture, *([stored] if stored else [])], stream, sys.stdout.isatty())
    return OK, stream.getvalue()


def choose_command(options: argparse.Namespace) -> tuple[int, str]:
    """One table for each model and kind of work."""
    from perfgate.reports.compare_settings import choices, draw, write

    groups = choices([read(path) for path in options.runs], options.model)
    if options.picture:
        draw(groups, Path(options.picture))
    stream = io.StringIO()
    write(groups, options.format, stream, sys.stdout.isatty())
    return OK, stream.getvalue()


def report_command(options: argparse.Namespace) -> tuple[int, str]:
    """Write the report."""
    runs = [read(path) for path in options.runs]
    from perfgate.reports.run_report import FORMATS as RENDERERS

    stream = io.StringIO()
    RENDERERS[options.format](runs, stream, sys.stdout.isatty() and not options.output, options.work)
    if not options.output:
        return OK, stream.getvalue()
    try:
        Path(options.output).write_text(stream.getvalue(), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{options.output}: cannot be written: {error.strerror}") from None
    return OK, ""
