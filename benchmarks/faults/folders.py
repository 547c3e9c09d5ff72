"""Faults of folders: they vanish while a case is measured, or locks in them exclude nobody."""

import re
import shutil
import time
from collections.abc import Callable, Mapping

from benchmarks.faults.people import command, together
from benchmarks.faults.weights import MODEL, with_model
from benchmarks.faults.world import ROOT, Ran, World

OTHER = """
from perfgate import Workload


def test_other(perf):
    perf(Workload("programs:Calm"), tolerance=5.0)
"""
VANISHED = """
import shutil
from pathlib import Path

from perfgate import Model


def test_model(perf, forward):
    folder = Path("model").absolute()
    workload = forward(Model.from_folder(folder))
    shutil.rmtree(folder)
    perf(workload)
"""
# Injected into a run's processes: below some folders flock excludes nobody, and a file can be created twice.
NO_LOCKS = """
import fcntl, os
shared, exclusive = {shared!r}, {exclusive!r}
flock, opened = fcntl.flock, os.open

def lie(file, operation):
    number = file if isinstance(file, int) else file.fileno()
    return None if os.readlink(f"/proc/self/fd/{{number}}").startswith(shared) else flock(file, operation)

def open_again(path, flags, *more, **named):
    inside = not exclusive and os.path.abspath(os.fspath(path)).startswith(shared)
    return opened(path, flags & ~os.O_EXCL if inside else flags, *more, **named)

fcntl.flock, os.open = lie, open_again
"""


def lockless(exclusive: bool) -> Callable[[World], Mapping[str, str]]:
    """The variables of a run in whose folders flock excludes nobody; ``exclusive``: a file can be created only once."""

    def variables(world: World) -> Mapping[str, str]:
        shared = tuple(str(world.folder / name) for name in ("baselines", "perf_output"))
        (world.folder / "sitecustomize.py").write_text(NO_LOCKS.format(shared=shared, exclusive=exclusive))
        return {"PYTHONPATH": f"{world.folder}:{ROOT}"}

    return variables


def without_locks(world: World) -> Ran:
    """A run that must store although no lock works."""
    ran = world.run("--perf-update", "more", env=lockless(False)(world))
    return Ran(99, f"it stored\n{ran.output}") if world.stored() != world.before else ran


def in_a_step(how: str, other: str, passed: str = "") -> Callable[[World], Ran]:
    """A run of two cases; a folder vanishes in a step of one.

    Args:
        how: a method of the program.
        other: the file of the undisturbed case; files run in alphabetical order, and the disturbed case is in
            test_it.py.
        passed: a pattern of pytest's words for both at the end; a case is skipped if others had its core.
    """

    def act(world: World) -> Ran:
        kept, scratch = world.folder.with_suffix(".kept"), world.folder.with_suffix(".scratch")
        (world.folder / "perf_tests" / other).write_text(OTHER)
        world.arm(how)
        shutil.copytree(world.folder, kept)
        scratch.mkdir()
        ran = world.run(env={"TMPDIR": str(scratch)})
        left = [path.name for path in scratch.rglob("*") if path.is_dir() and path.name.startswith("perfgate-run")]
        if (written := world.folder / "perf_output").exists():
            shutil.copytree(written, kept / "perf_output", dirs_exist_ok=True)
        shutil.rmtree(world.folder, ignore_errors=True)
        kept.rename(world.folder)
        (world.folder / "perf_tests" / other).unlink()
        if left or not re.search(passed, ran.output):
            return Ran(99, f"{left} were left, or it is not {passed!r}\n{ran.output}")
        return ran

    return act


def model_vanishes(after_s: float) -> Callable[[World], Ran]:
    """A run of two cases; the model of the first one vanishes this long after its first launch began."""

    def act(world: World) -> Ran:
        with_model(world, MODEL)
        (world.folder / "perf_tests" / "test_other.py").write_text(OTHER)
        process = world.start("-k", "model or other")
        world.wait_for(lambda: sum(b"actor.server" in command(one) for one in world.processes()) > 2, 60)
        time.sleep(after_s)
        shutil.rmtree(world.folder / "model")
        ran = world.end(process)
        for name in ("test_model.py", "test_other.py"):
            (world.folder / "perf_tests" / name).unlink()
        return ran if "1 passed" in ran.output else Ran(99, f"the other case did not go on\n{ran.output}")

    return act


def model_vanished(world: World) -> Ran:
    """A model's folder exists when its case names it, and is gone when the case runs."""
    with_model(world, VANISHED)
    ran = world.run("-k", "model")
    (world.folder / "perf_tests" / "test_model.py").unlink()
    return ran


BOTH = "2 passed|1 passed, 1 skipped"
EARLIER, LATER = "test_first.py", "test_other.py"
ROWS = (
    ("a model's folder that vanishes", "folders", "fails", "model folder", model_vanished),
    *(
        (
            f"a model's folder that vanishes {after_s:g} s into its first launch",
            "folders",
            "passes whole or fails",
            "",
            model_vanishes(after_s),
        )
        for after_s in (0, 0.4, 1)
    ),
    ("the output folder vanishes in a step", "folders", "passes", "", in_a_step("removes_output", LATER, BOTH)),
    (
        "the output folder vanishes with the lines of a case",
        "folders",
        "fails",
        "test_other was measured, and what was written of it is gone",
        in_a_step("removes_output", EARLIER, BOTH),
    ),
    ("the working folder vanishes in a step", "folders", "fails", "no program", in_a_step("removes_suite", LATER)),
    ("two runs store where flock keeps nobody out", "folders", "passes", "", together(2, lockless(True))),
    ("ten runs store where flock keeps nobody out", "folders", "passes", "", together(10, lockless(True))),
    ("storing where no lock holds", "folders", "refused", "write over each other", without_locks),
)
