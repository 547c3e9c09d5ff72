"""``perfgate fleet``: runs a suite as one array of jobs, and gives one verdict."""

import argparse
import sys
from pathlib import Path
from typing import Any

from perfgate.cases.dealing import shards_for
from perfgate.cli.common import OK, UNSURE, add_command
from perfgate.cli.merge import exit_code, keep_durations
from perfgate.records.durations import DURATIONS, read_durations
from perfgate.records.runfile import read
from perfgate.records.shards import merge_shards
from perfgate.remote.fleet.fleet import Fleet, Plan, begin, largest_array, load, parts_of
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import positive
from perfgate.shared.private import write_no_link

EPILOG = (
    "Example: perfgate fleet --engine slurm --partition gpu --constraint h100 --parallel 40 --folder /shared/night -- "
    "perf_tests. If the command itself was killed, --resume continues: the jobs do not need it."
)


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(commands, "fleet", run, "measure a suite in jobs of Slurm or of this machine", epilog=EPILOG)
    parser.add_argument("--folder", metavar="DIR", required=True, help="folder that all machines see")
    parser.add_argument("--engine", choices=("local", "slurm"), default="local", help="where jobs run; default: local")
    parser.add_argument(
        "--parallel", metavar="N", help="shards at once; default: 1 on this machine, all of --shards on Slurm"
    )
    parser.add_argument(
        "--shards", metavar="N", help="number of shards; default: as many as keep --parallel busy, by stored durations"
    )
    parser.add_argument(
        "--durations",
        metavar="FILE",
        help=f"file of durations, for dealing cases, and updated at the end; default: read {DURATIONS}",
    )
    parser.add_argument("--partition", metavar="NAME", help="Slurm's partition")
    parser.add_argument("--constraint", metavar="FEATURE", help="Slurm's feature for one kind of machine, such as h100")
    parser.add_argument("--gpus", metavar="N", help="GPUs of a job")
    parser.add_argument("--minutes", metavar="N", default="120", help="time limit of a job in minutes; default: 120")
    parser.add_argument("--resume", action="store_true", help="continue the fleet that was started in this folder")
    parser.add_argument("--strict", action="store_true", help="exit with 3 if something could not be decided")
    parser.set_defaults(pytest=())
    parser.behind = "pytest"


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Run all shards, merge their run files, and write the page."""
    folder = Path(options.folder).resolve()
    if options.resume:
        plan = load(folder)
    else:
        plan = plan_of(options)
        begin(folder, plan)
    fleet = Fleet(folder, plan, lambda line: print(line, file=sys.stderr, flush=True))
    try:
        lost = fleet.run()
    except KeyboardInterrupt:
        raise UserError(f"stopped; the jobs go on, and so does: perfgate fleet --folder {folder} --resume") from None
    parts = list(parts_of(fleet.shards))
    if not parts:
        raise UserError(f"no shard wrote a run file; see what the jobs said in {folder / 'jobs'}")
    target = folder / "merged.jsonl"
    merged = merge_shards(parts, target)
    if options.durations:
        keep_durations(Path(options.durations), merged)
    from perfgate.reports.merged import merged_report  # imports pandas, which a refusal need not pay
    from perfgate.reports.page.assemble import page
    from perfgate.reports.page.content import content_of

    write_no_link(folder / "merged.html", page(content_of(read(target))))
    code = exit_code(merged, options.strict)
    return UNSURE if code == OK and lost else code, merged_report(merged, target)


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan that the options describe.

    Raises:
        UserError: a value is no number, or an option belongs to the other engine.
    """
    slurm = {"slurm_partition": options.partition, "slurm_constraint": options.constraint}
    if options.engine == "local" and any(slurm.values()):
        raise UserError("--partition and --constraint go with --engine slurm")
    settings: dict[str, Any] = {key: value for key, value in slurm.items() if value}
    settings |= {"name": "perfgate", "timeout_min": int(positive("--minutes", options.minutes, whole=True))}
    if options.gpus:
        settings["gpus_per_node"] = int(positive("--gpus", options.gpus, whole=True))
    shards, at_once = numbers_of(options)
    if options.engine == "slurm":
        settings["slurm_array_parallelism"] = at_once  # submitit's default would be 256
    arguments = [*(options.pytest or ("perf_tests",))]
    if options.durations:
        arguments += ["--perf-durations", str(Path(options.durations).resolve())]
    return Plan(options.engine, shards, tuple(arguments), str(Path.cwd()), settings, at_once, {})


def numbers_of(options: argparse.Namespace) -> tuple[int, int]:
    """The number of shards, and the number that run at once.

    Raises:
        UserError: a value is no number, or neither was given for Slurm.
    """
    shards, parallel = (
        named and int(positive(f"--{option}", named, whole=True))
        for option, named in (("shards", options.shards), ("parallel", options.parallel))
    )
    if options.engine == "slurm" and not (shards or parallel):
        raise UserError(
            "how many machines may work at once? Name them with --parallel N, or the shards with --shards N"
        )
    at_once = parallel or (shards if options.engine == "slurm" else 1)
    if not shards:
        shards = shards_for(read_durations(Path(options.durations or DURATIONS)), at_once)
        if options.engine == "slurm":
            shards = min(shards, largest_array())
    return shards, min(at_once, shards)
