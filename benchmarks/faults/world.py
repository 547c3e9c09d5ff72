"""A foreign suite in a folder of its own, in which runs are made and their remains examined."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.plugins import QUIET
from tests.support.warm import warm

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CASE = """
from perfgate import Workload


def test_it(perf):
    perf(Workload("programs:Faulty"), tolerance=5.0)
"""
INI = f"""[pytest]
addopts = {QUIET} -p no:cacheprovider
perf_launches = 1
perf_timeout = 4
perf_html = off
"""
LIMIT_S = 120
KILLED = {
    -number for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
}  # the next run clears away behind these
REST_S = 8.0  # every process of a run must have ended after this time
OWN_FRAME = re.compile(r'File ".*/perfgate/(plugin|cases|measure|records|gate|reports|system|reference|cli)/')
PASSED = re.compile(r"(\d+) passed")
KEPT = {
    "perf_output": re.compile(r"\.gitignore|.*\.jsonl|.*\.html"),
    "baselines": re.compile(r".*\.json|(.*\.)?lock|\.gitattributes|\.gitignore"),
    "tmp": re.compile(r"[\w-]+\.(turn|lock(\.db)?)|\.lock"),  # of the device's lock; and pytest's own
}


@dataclass(frozen=True)
class Ran:
    """The end of a run.

    Attributes:
        code: its exit code; negative if a signal ended it.
        output: everything that it printed.
    """

    code: int
    output: str


@dataclass
class World:
    """The suite's folder, and its contents.

    Attributes:
        folder: the suite's folder.
        name: a name that all its processes have in their environment.
        moved: whether a fault may change the stored baselines.
    """

    folder: Path
    name: str
    moved: bool = False
    before: Counter[str] = field(default_factory=Counter)

    @classmethod
    def new(cls, folder: Path) -> "World":
        """A suite with one case and a stored baseline."""
        # A shell lets what it starts in the background ignore Ctrl-C, which every run would inherit.
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        (folder / "perf_tests").mkdir(parents=True)
        (folder / "perf_tests" / "test_it.py").write_text(CASE)
        (folder / "pytest.ini").write_text(INI)
        (folder / "tmp").mkdir()
        shutil.copy(HERE / "programs.py", folder / "programs.py")
        world = cls(folder, str(folder))
        ran = world.run("--perf-update", "new")
        if ran.code:
            raise RuntimeError(f"the suite does not run even without a fault:\n{ran.output}")
        return world

    def copy(self, folder: Path) -> "World":
        """The same suite in another folder."""
        shutil.copytree(self.folder, folder)
        shutil.rmtree(folder / "perf_output")
        world = World(folder, str(folder))
        world.before = world.stored()
        return world

    def arm(self, how: str, at: str = "step", launch: int = 0) -> None:
        """Make a launch fail; see ``Faulty``."""
        (self.folder / "armed").write_text(f"{how} {at} {launch}")

    def disarm(self) -> None:
        """Stop injecting faults."""
        for name in ("armed", "launches"):
            (self.folder / name).unlink(missing_ok=True)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a run."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))}
        own = {"FAULT": self.name, "TMPDIR": str(self.folder / "tmp"), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        return kept | own

    def start(
        self, *arguments: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> "subprocess.Popen[bytes]":
        """Start a run in an interpreter of its own."""
        return subprocess.Popen(
            [*before, sys.executable, "-m", "pytest", "perf_tests", *arguments],
            cwd=self.folder,
            env=self.variables | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def end(self, process: "subprocess.Popen[bytes]") -> Ran:
        """Wait for a run; if it does not end it is killed, and the code is that of the signal."""
        try:
            output, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
        return Ran(process.returncode, output.decode(errors="replace"))

    def run(self, *arguments: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()) -> Ran:
        """Make a run, from its beginning to its end; it is forked where nothing changes how its interpreter starts."""
        if env or before:
            return self.end(self.start(*arguments, env=env, before=before))
        return self.forked("perf_tests", *arguments)

    def forked(self, *arguments: str, module: str = "pytest") -> Ran:
        """Run a module in a process that need not import what it runs any more; see ``tests.support.warm``."""
        with tempfile.TemporaryFile() as output:
            try:
                code = warm(module).run([*arguments], self.folder, self.variables, output, output, LIMIT_S)
            except TimeoutError:
                code = -signal.SIGKILL
            output.seek(0)
            return Ran(code, output.read().decode(errors="replace"))

    def stored(self) -> Counter[str]:
        """Every stored number with its case and metric, and its number of occurrences."""
        rows: Counter[str] = Counter()
        for path in sorted((self.folder / "baselines").rglob("*.json")):
            document = json.loads(path.read_text())
            rows.update(f"{path.name} {json.dumps(row, sort_keys=True)}" for row in document["rows"] if row)
        return rows

    def processes(self) -> list[int]:
        """The ids of all living processes of this suite's runs."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                living = place.joinpath("stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
                words = place.joinpath("environ").read_bytes().split(b"\0")
                inside = place.joinpath("cwd").readlink().is_relative_to(self.folder)
            except OSError:
                continue
            if living and (f"FAULT={self.name}".encode() in words or inside):
                found.append(int(place.name))
        return found

    def wait_for(self, there: Callable[[], bool], limit_s: float = 20.0) -> None:
        """Wait until a condition holds, or the time is over."""
        end = time.monotonic() + limit_s
        while not there() and time.monotonic() < end:
            time.sleep(0.05)

    def run_files(self) -> list[Path]:
        """The run files, the oldest first."""
        return sorted((self.folder / "perf_output").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)

    def unseen(self, ran: Ran) -> str:
        """A sentence if a run passed cases that its run file does not hold; else empty."""
        passed = PASSED.search(ran.output)
        if ran.code or not passed:
            return ""
        lines = [json.loads(line) for path in self.run_files()[-1:] for line in path.read_text().splitlines()]
        judged = {line["case"] for line in lines if line.get("kind") == "verdict"}
        whole = {line["case"] for line in lines if line.get("kind") == "case"} & judged
        return "" if len(whole) == int(passed[1]) else f"{passed[0]}, and its run file holds {len(whole)} whole cases"

    def leftovers(self) -> list[str]:
        """Files and worktrees that no run should leave behind."""
        files = [
            path
            for name, kept in KEPT.items()
            for path in sorted((self.folder / name).rglob("*"))
            if path.is_file() and not kept.fullmatch(path.name)
        ]
        worktrees = sorted((self.folder / ".git" / "worktrees").glob("*"))
        return [str(path.relative_to(self.folder)) for path in (*files, *worktrees)]

    def complaints(self, ran: Ran) -> list[str]:
        """Everything that is wrong after a fault: numbers, processes, files, traces, and the next run."""
        found = []
        self.wait_for(lambda: not self.processes(), REST_S)
        for process_id in self.processes():
            found.append(f"process {process_id} was left")
            os.kill(process_id, signal.SIGKILL)
        try:
            lost = self.before - self.stored()
            if lost and not self.moved:
                found.append(f"{lost.total()} stored rows are gone")
        except (ValueError, KeyError) as error:
            found.append(f"a baseline cannot be read: {error}")
        if ran.code not in KILLED:
            found += [f"{name} was left" for name in self.leftovers()]
        # An interruption before pytest has begun ends with Python's own message.
        if "INTERNALERROR" in ran.output or (ran.code != -signal.SIGINT and OWN_FRAME.search(ran.output)):
            found.append("the message was a traceback of Perfgate's own")
        if unseen := self.unseen(ran):
            found.append(unseen)
        self.disarm()
        after = self.run()
        if after.code:
            found.append(f"the next run did not work: {after.output[-2000:]}")
        return found + [f"{name} was left by the next run" for name in self.leftovers()]
