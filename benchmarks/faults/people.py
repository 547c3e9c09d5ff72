"""What people and machines do to a run: they interrupt it, kill parts of it, and start others beside it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.faults.world import Ran, World

CASES = """
import pytest
from perfgate import Workload


@pytest.mark.parametrize("number", range({count}))
def test_many(perf, number):
    perf(Workload("programs:Faulty", id=f"faulty-{{number}}"), tolerance=5.0)
"""
LONG = (
    '"' + "x" * 300 + '", "<script>", "a|b`c", "../../../etc/passwd", "\\u202eabc", "\\0", "\\n[section]", " ", "%s{0}"'
)
HOSTILE = f"""
import pytest
from perfgate import Workload


@pytest.mark.parametrize("name", [{LONG}])
def test_names(perf, name):
    perf(Workload("programs:Faulty"), tolerance=5.0)
"""

VANISHING = """
import shutil
from pathlib import Path

from perfgate import Model


def test_model(perf, forward):
    folder = Path("model").absolute()
    workload = forward(Model.from_folder(folder))
    shutil.rmtree(folder)
    perf(workload)
"""
SAVE = """
from transformers import GPT2Config, GPT2LMHeadModel
GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=64, n_positions=64)).save_pretrained("model")
"""


def measuring(world: World) -> bool:
    """Whether a launch of the run has begun."""
    return any(b"perfgate" in command(number) for number in world.processes()) and len(world.processes()) > 2


def command(process_id: int) -> bytes:
    """The command line of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes()
    except OSError:
        return b""


def children_first(world: World) -> list[int]:
    """The run's processes besides pytest's own, the newest first."""
    return sorted(number for number in world.processes() if b"pytest" not in command(number))[::-1]


def signalled(*numbers: int, after_s: float | None = None, arguments: tuple[str, ...] = ()):
    """A run whose own process gets signals, while it measures or after so many seconds."""

    def act(world: World) -> Ran:
        world.arm("hangs")
        process = world.start(*arguments)
        if after_s is None:
            world.wait_for(lambda: measuring(world))
        else:
            time.sleep(after_s)
        for number in numbers:
            if process.poll() is None:
                os.kill(process.pid, number)
            time.sleep(0.2)
        return world.end(process)

    return act


def group_interrupted(world: World) -> Ran:
    """Ctrl-C in a terminal reaches every process of the group."""
    world.arm("hangs")
    process = world.start()
    world.wait_for(lambda: measuring(world))
    os.killpg(process.pid, signal.SIGINT)
    return world.end(process)


def helper_killed(which: int):
    """A run in which one of its processes, a server or an actor, is killed."""

    def act(world: World) -> Ran:
        world.arm("hangs")
        process = world.start()
        world.wait_for(lambda: measuring(world))
        others = children_first(world)
        if others:
            os.kill(others[min(which, len(others) - 1)], signal.SIGKILL)
        return world.end(process)

    return act


def worker_killed(world: World) -> Ran:
    """One of two workers of xdist is killed while it measures."""
    (world.folder / "perf_tests" / "test_many.py").write_text(CASES.format(count=4))
    process = world.start("-n", "2", "--perf-device", "cpu", "-k", "many")
    world.wait_for(lambda: measuring(world))
    workers = [number for number in world.processes() if number != process.pid and b"execnet" in command(number)]
    if workers:
        os.kill(workers[0], signal.SIGKILL)
    ran = world.end(process)
    (world.folder / "perf_tests" / "test_many.py").unlink()
    return ran


def together(count: int):
    """So many runs at once, each of which stores one case of its own."""

    def act(world: World) -> Ran:
        (world.folder / "perf_tests" / "test_many.py").write_text(CASES.format(count=count))
        started = [world.start("--perf-update", "new", "-k", f"many and {number}]") for number in range(count)]
        ended = [world.end(process) for process in started]
        worst = max(ended, key=lambda ran: abs(ran.code))
        names = "".join(path.read_text() for path in (world.folder / "baselines").rglob("test_many.json"))
        lost = [number for number in range(count) if f"test_many[{number}]" not in names]
        (world.folder / "perf_tests" / "test_many.py").unlink()
        return Ran(1, f"the cases {lost} were lost\n{worst.output}") if lost else worst

    return act


def hostile_names(world: World) -> Ran:
    """Cases whose ids hold what breaks files, tables and pages."""
    (world.folder / "perf_tests" / "test_names.py").write_text(HOSTILE)
    ran = world.run("--perf-update", "new", "--perf-html", "auto", "-k", "names")
    (world.folder / "perf_tests" / "test_names.py").unlink()
    return ran


def model_vanished(world: World) -> Ran:
    """The folder of a model is there when its case names it, and gone when the case runs."""
    subprocess.run([sys.executable, "-c", SAVE], cwd=world.folder, check=True, capture_output=True)
    (world.folder / "perf_tests" / "test_model.py").write_text(VANISHING)
    ran = world.run("-k", "model")
    (world.folder / "perf_tests" / "test_model.py").unlink()
    return ran


def in_a_repository(world: World) -> None:
    """Make the suite a repository with two branches, whose programs differ."""
    git(world, "init", "--quiet", "--initial-branch=main")
    git(world, "add", "perf_tests", "programs.py", "pytest.ini")
    git(world, "commit", "--quiet", "-m", "one")
    git(world, "checkout", "--quiet", "-b", "other")
    with (world.folder / "programs.py").open("a") as file:
        file.write("# Another branch.\n")
    git(world, "commit", "--quiet", "-am", "two")
    git(world, "checkout", "--quiet", "main")


def git(world: World, *arguments: str) -> None:
    """Run git in the suite's folder, as somebody."""
    somebody = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    subprocess.run(["git", *somebody, *arguments], cwd=world.folder, check=True, capture_output=True)


def branch_changed(world: World) -> Ran:
    """Another branch is checked out while a run that stores is measuring; nothing of it may be stored."""
    in_a_repository(world)
    process = world.start("--perf-update", "more")
    world.wait_for(lambda: measuring(world))
    git(world, "checkout", "--quiet", "other")
    ran = world.end(process)
    stored = world.stored() - world.before
    return Ran(99, f"{stored.total()} rows were stored of two branches\n{ran.output}") if stored else ran


ROWS = (
    ("Ctrl-C while it measures", "people", "interrupted", "", signalled(signal.SIGINT)),
    ("Ctrl-C twice", "people", "interrupted", "", signalled(signal.SIGINT, signal.SIGINT)),
    ("Ctrl-C for the whole group", "people", "interrupted", "", group_interrupted),
    *(
        (f"Ctrl-C after {after_s} s", "people", "any", "", signalled(signal.SIGINT, after_s=after_s))
        for after_s in (0.05, 0.3, 0.6, 0.9, 1.2, 1.6, 2.2)
    ),
    ("SIGTERM while it measures", "people", "killed", "", signalled(signal.SIGTERM)),
    ("SIGKILL while it measures", "people", "killed", "", signalled(signal.SIGKILL)),
    ("SIGHUP while it measures", "people", "killed", "", signalled(signal.SIGHUP)),
    *((f"process {which} of the run killed", "people", "any", "", helper_killed(which)) for which in range(3)),
    ("a worker of xdist killed", "people", "any", "", worker_killed),
    ("two runs store at once", "people", "passes", "", together(2)),
    ("ten runs store at once", "people", "passes", "", together(10)),
    ("a model's folder that vanishes", "people", "fails", "model folder", model_vanished),
    ("another branch checked out while it measures", "people", "fails", "was checked out while", branch_changed),
    ("hostile case names", "people", "any", "", hostile_names),
)
