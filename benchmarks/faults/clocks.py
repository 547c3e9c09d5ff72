"""Clocks that jump: with libfaketime a run's processes see another time of day; the machine's clock stays unchanged."""

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.people import measuring
from benchmarks.faults.world import ROOT, Ran, World

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")
HOW_FAR = {
    "an hour ahead": "+1h",
    "a day back": "-1d",
    "ten years ahead": "+10y",
    "back to 1980": "@1980-01-01 00:00:00",
}
# If libfaketime 0.9.10 leaves the monotonic clock alone, as for a jump, it breaks the call by which Python sleeps.
SLEEP = """
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds)
"""


def library() -> str:
    """The path of libfaketime; empty if it is not installed (Debian: faketime)."""
    root = Path("/")
    return next((str(path) for pattern in LIBRARIES for path in root.glob(pattern[1:])), "")


def seeing(world: World, file: Path) -> dict[str, str]:
    """The variables with which a process sees the time in a file, and the true monotonic clock."""
    (world.folder / "sitecustomize.py").write_text(SLEEP)
    return {
        "PYTHONPATH": f"{world.folder}:{ROOT}",
        "LD_PRELOAD": library(),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def jumping(to: str) -> Callable[[World], Ran]:
    """A run that stores, during which the time of day jumps."""

    def act(world: World) -> Ran:
        told = world.folder / "clock"
        told.write_text("+0")
        process = world.start("--perf-update", "more", env=seeing(world, told))
        world.wait_for(lambda: measuring(world))
        time.sleep(0.3)
        told.write_text(to)
        ran = world.end(process)
        told.unlink()
        added = world.stored() - world.before
        return ran if added or ran.code else Ran(99, f"nothing was stored\n{ran.output}")

    return act


def later_run(to: str) -> Callable[[World], Ran]:
    """A run that stores while its machine's clock is wrong, followed by one with a right clock that stores as well."""

    def act(world: World) -> Ran:
        told = world.folder / "clock"
        told.write_text(to)
        ran = world.run("--perf-update", "more", env=seeing(world, told))
        told.unlink()
        return ran if ran.code else world.run("--perf-update", "more")

    return act


ROWS = (
    *((f"the clock jumps {name}", "clocks", "passes", "", jumping(to)) for name, to in HOW_FAR.items()),
    *((f"a run whose clock is {name}", "clocks", "passes", "", later_run(to)) for name, to in HOW_FAR.items()),
)
