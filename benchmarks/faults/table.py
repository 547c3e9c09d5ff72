"""The faults of the campaign, one row each: the fault, the required end, and the code that injects it."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from benchmarks.faults import clocks, devices, files, folders, interruptions, passes, people, weights, writes
from benchmarks.faults.world import Ran, World

End = Literal["passes", "fails", "refused", "interrupted", "killed", "passes whole or fails", "ends at once or whole"]
CODES: dict[str, set[int]] = {
    "passes": {0},
    "fails": {1},
    "refused": {1, 4},
    "interrupted": {2},
    "killed": {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGQUIT, -signal.SIGINT, 2},
    "passes whole or fails": {0, 1, 2, 4},
    "ends at once or whole": {0, 2, -signal.SIGINT},
}


@dataclass(frozen=True)
class Fault:
    """One row.

    Attributes:
        name: the fault in one word.
        kind: its group.
        end: the required end of the run.
        says: words that the output must contain; empty for any output.
        act: injects the fault and makes the run.
    """

    name: str
    kind: str
    end: End
    says: str
    act: Callable[[World], Ran]

    @property
    def mounts(self) -> bool:
        """Whether it mounts a file system."""
        return self.kind in ("files", "disks") and ("disk" in self.name or "read-only" in self.name)

    @property
    def lacks(self) -> str:
        """The missing requirement for injecting it on this machine; empty if there is none."""
        if self.kind == "clocks" and not clocks.library():
            return "libfaketime; apt-get install faketime"
        if self.kind == "writes" and not writes.library():
            return "a C compiler"
        return "the right to mount file systems" if self.mounts and not files.can_mount() else ""

    def complaints(self, world: World) -> list[str]:
        """Inject the fault; returns everything that is not as it must be."""
        ran = self.act(world)
        found = []
        if ran.code not in CODES[self.end]:
            found.append(f"it ended with {ran.code} where it {self.end}: {ran.output[-3000:]}")
        if self.says not in ran.output:
            found.append(f"it did not say {self.says!r}: {ran.output[-3000:]}")
        return found + world.complaints(ran)


def in_a_launch(how: str, at: str = "step", launch: int = 0) -> Callable[[World], Ran]:
    """A run in which a launch fails."""

    def act(world: World) -> Ran:
        world.arm(how, at, launch)
        return world.run()

    return act


# Faults in the fourth step of each launch: the end of the run, and the words that it must print.
STEPS: dict[str, tuple[End, str]] = {
    "raises": ("fails", "crash: ValueError: the weights are upside down"),
    "raises_badly": ("fails", "RuntimeError"),
    "exits": ("fails", "crash: the process ended with exit code 3"),
    "exits_well": ("fails", "crash: the process ended with exit code 0"),
    "system_exit": ("fails", "goodbye"),
    "interrupts": ("fails", "crash"),
    "recurses": ("fails", "RecursionError"),
    "stops": ("fails", "hang"),
    "hangs": ("fails", "hang: no answer within 4 s"),
    "hangs_deaf": ("fails", "hang"),
    "spins": ("fails", "hang"),
    "floods": ("passes", ""),
    "floods_errors": ("fails", "after much text"),
    "floods_without_end": ("fails", "hang"),
    "speaks_garbage": ("fails", "crash: something else than an answer"),
    "speaks_in_bytes": ("fails", "after bytes that are no text"),
    "speaks_the_protocol": ("passes", ""),
    "writes_everywhere": ("passes whole or fails", ""),
    "closes_everything": ("fails", "crash"),
    "closes_output": ("passes", ""),
    "takes_memory": ("fails", "out of memory"),
    "takes_descriptors": ("fails", "Too many open files"),
    "leaves_children": ("passes", ""),
    "leaves_grandchildren": ("passes", ""),
    "leaves_a_daemon": ("passes", ""),
    "forks_fifty": ("passes", ""),
    "leaves_a_thread": ("passes", ""),
    "kills_its_parent": ("fails", ""),
    "changes_folder": ("passes", ""),
    "removes_its_folder": ("passes", ""),
    "changes_handlers": ("passes", ""),
    "clears_environment": ("passes", ""),
    "changes_environment": ("passes", ""),
    "replaces_time": ("passes whole or fails", ""),
    "replaces_open": ("passes whole or fails", ""),
    "replaces_json": ("passes whole or fails", ""),
    "removes_modules": ("passes whole or fails", ""),
    "moves_off": ("passes whole or fails", ""),
    "lowers_itself": ("passes whole or fails", ""),
    "sets_an_alarm": ("fails", "crash"),
    "segfaults": ("fails", "SIGSEGV"),
    "aborts": ("fails", "SIGABRT"),
}
HARMLESS = ("floods", "leaves_grandchildren")
ELSEWHERE = ("raises", "exits", "hangs_deaf", "gets_sigkill", "gets_sigterm", "segfaults", *HARMLESS)


def faults(seed: int = 0) -> Iterator[Fault]:
    """All rows; the seed chooses the random points."""
    for how, (end, says) in STEPS.items():
        yield Fault(how, "in a step", end, says, in_a_launch(how))
    for number in signal.Signals:
        if number in (signal.SIGCHLD, signal.SIGCONT):
            continue
        yield Fault(f"gets_{number.name.lower()}", "signals", "fails", "", in_a_launch(f"gets_{number.name.lower()}"))
    for how in ELSEWHERE:
        in_setup: End = "passes" if how in HARMLESS else "fails"
        yield Fault(f"{how} in set-up", "set-up", in_setup, "", in_a_launch(how, "setup"))
        yield Fault(f"{how} at exit", "exit", "passes whole or fails", "", in_a_launch(how, "exit"))
    yield Fault("floods_a_gigabyte", "one launch", "passes", "", in_a_launch("floods_a_gigabyte", "step", 1))
    for launch in (1, 2, 3):
        act = in_a_launch("gets_sigkill", "step", launch)
        yield Fault(f"gets_sigkill in launch {launch}", "one launch", "passes whole or fails", "", act)
    fixed = (*people.ROWS, *files.ROWS, *writes.ROWS, *folders.ROWS, *weights.ROWS, *devices.ROWS, *clocks.ROWS)
    yield from (Fault(*row) for row in (*fixed, *passes.rows(seed), *interruptions.rows(seed)))
