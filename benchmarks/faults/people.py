"""Faults by people and machines: they interrupt a run, kill parts of it, and start others beside it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
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

WORKER = b"exec(eval(sys.stdin.readline()))"  # the way in which xdist starts a worker


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
    """The run's processes except pytest's own, newest first."""
    return sorted(number for number in world.processes() if b"pytest" not in command(number))[::-1]


def signalled(*numbers: int):
    """A run whose own process gets signals while it measures."""

    def act(world: World) -> Ran:
        world.arm("hangs")
        process = world.start()
        world.wait_for(lambda: measuring(world))
        for number in numbers:
            if process.poll() is None:
                os.kill(process.pid, number)
            time.sleep(0.2)
        return world.end(process)

    return act


def group_interrupted(world: World) -> Ran:
    """Ctrl-C in a terminal, which reaches every process of the group."""
    world.arm("hangs")
    process = world.start()
    world.wait_for(lambda: measuring(world))
    os.killpg(process.pid, signal.SIGINT)
    return world.end(process)


def helper_killed(which: int):
    """A run in which a server or an actor is killed."""

    def act(world: World) -> Ran:
        world.arm("hangs")
        process = world.start()
        world.wait_for(lambda: measuring(world))
        others = children_first(world)
        if others:
            os.kill(others[min(which, len(others) - 1)], signal.SIGKILL)
        ran = world.end(process)
        return ran if others else Ran(99, f"no process was found\n{ran.output}")

    return act


def worker_killed(world: World) -> Ran:
    """One of two workers of xdist is killed while it measures."""
    (world.folder / "perf_tests" / "test_many.py").write_text(CASES.format(count=4))
    process = world.start("-n", "2", "--perf-device", "cpu", "-k", "many")
    world.wait_for(lambda: measuring(world))
    workers = [number for number in world.processes() if WORKER in command(number)]
    if workers:
        os.kill(workers[0], signal.SIGKILL)
    ran = world.end(process)
    (world.folder / "perf_tests" / "test_many.py").unlink()
    return ran if workers else Ran(99, f"no worker was found\n{ran.output}")


def controller_killed(world: World) -> Ran:
    """The controller of two workers of xdist is killed while they measure."""
    (world.folder / "perf_tests" / "test_many.py").write_text(CASES.format(count=4))
    process = world.start("-n", "2", "--perf-device", "cpu", "-k", "many")
    world.wait_for(lambda: any(b"actor.server" in command(number) for number in world.processes()))
    process.kill()
    ran = world.end(process)
    (world.folder / "perf_tests" / "test_many.py").unlink()
    return ran


def hundred_thousand(world: World) -> Ran:
    """A collection of a hundred thousand cases, with one that is measured and stored."""
    (world.folder / "perf_tests" / "test_many.py").write_text(CASES.format(count=100_000))
    ran = world.run("--perf-update", "new", "-k", "many and 77777]")
    (world.folder / "perf_tests" / "test_many.py").unlink()
    return ran


def together(count: int, variables: Callable[[World], Mapping[str, str]] = lambda world: {}):
    """This many runs at once, each storing one case of its own; their environment has these variables."""

    def act(world: World) -> Ran:
        (world.folder / "perf_tests" / "test_many.py").write_text(CASES.format(count=count))
        chosen = [f"many and {number}]" for number in range(count)]
        storing = ("--perf-update", "new", "--perf-launches", "0")  # what is stored at once need not be times
        started = [world.start(*storing, "-k", words, env=variables(world)) for words in chosen]
        ended = [world.end(process) for process in started]
        worst = max(ended, key=lambda ran: abs(ran.code))
        names = "".join(path.read_text() for path in (world.folder / "baselines").rglob("test_many.json"))
        lost = [number for number in range(count) if f"test_many[{number}]" not in names]
        (world.folder / "perf_tests" / "test_many.py").unlink()
        return Ran(1, f"the cases {lost} were lost\n{worst.output}") if lost else worst

    return act


def hostile_names(world: World) -> Ran:
    """Cases whose ids have characters that break files, tables and pages."""
    (world.folder / "perf_tests" / "test_names.py").write_text(HOSTILE)
    ran = world.run("--perf-update", "new", "--perf-html", "auto", "-k", "names")
    (world.folder / "perf_tests" / "test_names.py").unlink()
    return ran


def in_a_repository(world: World) -> None:
    """Make the suite a repository with two branches that have different programs."""
    git(world, "init", "--quiet", "--initial-branch=main")
    git(world, "add", "perf_tests", "programs.py", "pytest.ini")
    git(world, "commit", "--quiet", "-m", "one")
    git(world, "checkout", "--quiet", "-b", "other")
    with (world.folder / "programs.py").open("a") as file:
        file.write("# Another branch.\n")
    git(world, "commit", "--quiet", "-am", "two")
    git(world, "checkout", "--quiet", "main")


def git(world: World, *arguments: str) -> None:
    """Run git in the suite's folder, with a made-up user."""
    somebody = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    subprocess.run(["git", *somebody, *arguments], cwd=world.folder, check=True, capture_output=True)


def branch_changed(world: World) -> Ran:
    """Another branch is checked out while a run that stores is measuring; it must store nothing."""
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
    ("SIGTERM while it measures", "people", "killed", "", signalled(signal.SIGTERM)),
    ("SIGKILL while it measures", "people", "killed", "", signalled(signal.SIGKILL)),
    ("SIGHUP while it measures", "people", "killed", "", signalled(signal.SIGHUP)),
    *(
        (f"process {which} of the run killed", "people", "passes whole or fails", "", helper_killed(which))
        for which in range(3)
    ),
    ("a worker of xdist killed", "people", "passes whole or fails", "", worker_killed),
    ("the controller of two workers killed", "people", "killed", "", controller_killed),
    ("a hundred thousand cases", "collections", "passes", "1 passed", hundred_thousand),
    ("two runs store at once", "people", "passes", "", together(2)),
    ("ten runs store at once", "people", "passes", "", together(10)),
    ("another branch checked out while it measures", "people", "fails", "was checked out while", branch_changed),
    ("hostile case names", "people", "passes whole or fails", "", hostile_names),
)
