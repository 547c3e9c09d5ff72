"""A fleet: submits every shard, watches it until it ends, and submits it once more if it was lost."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfgate.gate.wording import many
from perfgate.records.store import write_whole
from perfgate.remote.fleet.progress import Progress
from perfgate.remote.fleet.shard import Shard, measure
from perfgate.shared.errors import Unavailable, UserError
from perfgate.shared.parsing import load_json
from perfgate.shared.private import private

PLAN = "fleet.json"
ENGINES = ("local", "slurm")
MOST_TRIES = 2
POLL_S = 1.0
TELL_S = 10.0


@dataclass(frozen=True)
class Plan:
    """The plan of a fleet, as its folder stores it.

    Attributes:
        engine: ``local`` or ``slurm``.
        shards: the number of shards.
        arguments: pytest's arguments.
        root: the folder in which pytest runs.
        settings: the settings of submitit's executor, such as the partition.
        parallel: the number of shards that run at once on this machine, or in Slurm's array.
        jobs: the ids of each shard's jobs, the first try first.
    """

    engine: str
    shards: int
    arguments: tuple[str, ...]
    root: str
    settings: Mapping[str, Any]
    parallel: int
    jobs: Mapping[str, Sequence[str]]


class Fleet:
    """Runs a plan.

    Args:
        folder: a folder that all machines see.
        plan: the plan to run.
        tell: shows a line to the user.
    """

    def __init__(self, folder: Path, plan: Plan, tell: Callable[[str], None]) -> None:
        try:
            import submitit
        except ImportError:
            raise Unavailable("perfgate fleet needs submitit; install it with: pip install 'perfgate[slurm]'") from None
        self._folder, self._plan, self._tell = folder, plan, tell
        self.shards = [Shard(number, plan.shards, folder, plan.parallel) for number in range(1, plan.shards + 1)]
        self._ids = {number: list(plan.jobs.get(str(number), ())) for number in range(1, plan.shards + 1)}
        # The jobs' code lies there as pickles, so whoever can write them can run code as this user.
        self._logs = private(folder / "jobs")
        try:
            self._executor = submitit.AutoExecutor(folder=self._logs, cluster=plan.engine)
        except RuntimeError as error:
            if not plan.jobs:
                (folder / PLAN).unlink(missing_ok=True)  # no job was submitted
            raise UserError(f"{plan.engine} cannot be used here: {error}") from None
        self._executor.update_parameters(**plan.settings)
        of_engine = {"local": submitit.LocalJob, "slurm": submitit.SlurmJob}[plan.engine]
        self._jobs: dict[int, Any] = {n: of_engine(self._logs, ids[-1]) for n, ids in self._ids.items() if ids}
        self._began = time.monotonic()
        self._progress = Progress(folder)
        self._told = (-1, "", 0.0)

    def run(self) -> list[Shard]:
        """Measure all shards; returns the shards that were lost for good.

        Raises:
            UserError: the engine refuses a job.
        """
        while True:
            waiting = [shard for shard in self.shards if shard.code is None]
            running = [shard for shard in waiting if self._alive(shard)]
            tried = [shard for shard in waiting if shard not in running]
            # A job may have ended between the two checks.
            left = [s for s in tried if s.code is None and len(self._ids[s.number]) < MOST_TRIES]
            room = len(left) if self._plan.engine == "slurm" else self._plan.parallel - len(running)
            self._submit(left[: max(room, 0)])
            self._tell_progress(len(self.shards) - len(waiting))
            if not waiting or not (left or running):
                return [shard for shard in self.shards if shard.code is None]
            time.sleep(POLL_S)

    def _alive(self, shard: Shard) -> bool:
        job = self._jobs.get(shard.number)
        return job is not None and not job.done()

    def _submit(self, shards: Sequence[Shard]) -> None:
        if not shards:
            return
        for shard in (shard for shard in shards if self._ids[shard.number]):
            lost = f"shard {shard.number} was lost in job {self._ids[shard.number][-1]}"
            self._tell(f"{lost}; it is submitted once more, to go on there")
        command = [sys.executable, "-m", "pytest", *self._plan.arguments]
        try:
            with self._executor.batch():
                jobs = [
                    self._executor.submit(measure, s, command, self._plan.root, f"try-{len(self._ids[s.number]) + 1}")
                    for s in shards
                ]
        except (OSError, RuntimeError) as error:
            raise UserError(f"{self._plan.engine} takes no job: {next(iter(str(error).splitlines()), error)}") from None
        for shard, job in zip(shards, jobs, strict=True):
            self._ids[shard.number].append(str(job.job_id))
            self._jobs[shard.number] = job
        keep(self._folder, self._plan, self._ids)

    def _tell_progress(self, done: int) -> None:
        """Show the progress of all shards when one has ended, and otherwise every ten seconds if anything is new."""
        told, clause, at = self._told
        spent = time.monotonic() - self._began
        if done == told and spent - at < TELL_S:
            return
        cases = self._progress.look()
        self._told = done, cases, spent
        if (done, cases) == (told, clause):
            return
        failed = sum(shard.code not in (0, 5, None) for shard in self.shards)
        left = f", about {spent / done * (len(self.shards) - done):.0f} s left" if 0 < done < len(self.shards) else ""
        shards = f"{done} of {many(len(self.shards), 'shard')} measured, {failed} of them failed"
        self._tell(f"{shards}{f'; {cases}' if cases else ''}{left}")


def keep(folder: Path, plan: Plan, jobs: Mapping[int, Sequence[str]]) -> None:
    """Store the plan and the ids of its jobs, for ``--resume``."""
    found = {**plan.__dict__, "jobs": {str(number): list(ids) for number, ids in jobs.items()}}
    write_whole(folder / PLAN, json.dumps(found, indent=1) + "\n")


def load(folder: Path) -> Plan:
    """The plan of a fleet that was started earlier.

    Raises:
        UserError: there is none, or its file is damaged.
    """
    try:
        found = load_json((folder / PLAN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder}: no fleet was begun there; leave out --resume") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / PLAN}: cannot be read ({error}); begin again in another folder") from None
    if not is_plan(found):
        raise UserError(f"{folder / PLAN}: is not what a fleet was asked for; begin again in another folder")
    return Plan(**{**found, "arguments": tuple(found["arguments"])})


def is_plan(found: object) -> bool:
    """Whether a JSON value has the form that ``keep`` writes."""
    if not isinstance(found, dict) or set(found) != set(Plan.__dataclass_fields__):
        return False
    counts, texts = (found["shards"], found["parallel"]), (found["engine"], found["root"])
    lists = (found["arguments"], *(found["jobs"].values() if isinstance(found["jobs"], dict) else (None,)))
    return (
        all(type(count) is int and count > 0 for count in counts)
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in lists)
        and found["engine"] in ENGINES
        and isinstance(found["settings"], dict)
    )


def begin(folder: Path, plan: Plan) -> None:
    """Make the folder of a new fleet.

    Raises:
        UserError: one was begun there, or the folder cannot be written.
    """
    if (folder / PLAN).exists():
        raise UserError(f"{folder}: a fleet was begun there; go on with --resume, or name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        keep(folder, plan, {})
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from None


def largest_array() -> int:
    """The largest number of jobs that Slurm accepts in one array; unlimited if Slurm does not say."""
    try:
        told = subprocess.run(
            ["scontrol", "show", "config"], capture_output=True, text=True, errors="replace", check=False
        ).stdout
    except OSError:
        told = ""  # submitit will say that there is no Slurm
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", told, re.MULTILINE)
    return max(int(found[1]), 1) if found else sys.maxsize


def parts_of(shards: Sequence[Shard]) -> Iterator[Path]:
    """The run files of all shards that ended."""
    for shard in shards:
        yield from shard.parts
