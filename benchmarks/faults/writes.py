"""Writes that fail: from the Nth on that a process of a run makes below a folder, its disk is full, or broken."""

import atexit
import errno
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from shutil import rmtree, which
from tempfile import mkdtemp

from benchmarks.faults.world import Ran, World

# A process counts its own writes below the folder, and how often it asks that they reach the disk.
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int file) {
    static long count;
    char link[64], path[4096];
    const char *below = getenv("FAILING_FOLDER"), *from = getenv("FAILING_FROM"), *how = getenv("FAILING_WITH");
    if (!below || !from || !how) return 0;
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, below, strlen(below)) || ++count < atol(from)) return 0;
    errno = atoi(how);
    return 1;
}

ssize_t write(int file, const void *bytes, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    return fails(file) ? -1 : real(file, bytes, size);
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    return fails(file) ? -1 : real(file);
}
"""
# A run that goes well makes three such calls below its baselines and seven below its output.
POINTS = {
    ("is full", errno.ENOSPC): {"baselines": (1, 2, 3), "perf_output": (1, 2, 3, 4, 5, 6, 7), "tmp": (1,)},
    ("is broken", errno.EIO): {"baselines": (1, 3), "perf_output": (2, 5), "tmp": (1,)},
}
STORING = ("--perf-update", "more", "--perf-html", "auto")


@cache
def library() -> str:
    """The compiled source; empty without a compiler."""
    if not which("cc"):
        return ""
    folder = Path(mkdtemp())
    atexit.register(rmtree, folder)
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(folder / "failing.so"), "-ldl"]
    subprocess.run(command, input=SOURCE.encode(), check=True)
    return str(folder / "failing.so")


def failing(name: str, first: int, error: int) -> Callable[[World], Ran]:
    """A run that stores, whose writes below a folder fail from one of them on."""

    def act(world: World) -> Ran:
        folder = world.folder / name
        folder.mkdir(exist_ok=True)
        variables = {"FAILING_FOLDER": f"{folder}/", "FAILING_FROM": str(first), "FAILING_WITH": str(error)}
        ran = world.run(*STORING, env={"LD_PRELOAD": library(), **variables})
        unstored = not ran.code and world.stored() == world.before
        return Ran(99, f"it passed and stored nothing\n{ran.output}") if unstored else ran

    return act


ROWS = tuple(
    (
        f"the disk of {name} {what} at write {first} of a process",
        "writes",
        "passes whole or fails",
        "",
        failing(name, first, error),
    )
    for (what, error), folders in POINTS.items()
    for name, points in folders.items()
    for first in points
)
