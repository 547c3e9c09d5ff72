"""Examines the host through the kernel's files: processor, clocks, load, limits. It needs no rights and no library."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from perfgate.doctor.finding import Finding, read_text
from perfgate.records.machine import Machine

ROOT = Path("/")
CPU = "sys/devices/system/cpu"
FIRST_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO in the kernel's include/linux/proc_ns.h
BUSY_SHARE = 0.1
LOOK_S = 0.3
STOLEN_SHARE = 0.01
UNLIMITED_BYTES = 1 << 60


def processor(machine: Machine, root: Path = ROOT) -> Iterator[Finding]:
    """Findings about the processor, and about others who share it."""
    size = f"{machine.cpus} {'processor' if machine.cpus == 1 else 'processors'}, {machine.memory_gib} GiB"
    yield Finding("device", "ok", f"{machine.cpu}, {size}; its baselines are stored under {machine.name}.")
    if machine.cpus == 1:
        yield Finding("device", "note", "There is only one processor, so every other process interrupts the steps.")
    if "hypervisor" in read_text(root / "proc/cpuinfo"):
        share = stolen(read_text(root / "proc/stat"))
        text = "This is a virtual machine, so other guests of its host change its speed from minute to minute"
        taken = f"; they took {share:.1%} of its time since it started" if share > STOLEN_SHARE else ""
        yield Finding("device", "note", f"{text}{taken}.")
    if read_text(root / CPU / "smt/active") == "1":
        text = "Two threads share each core (SMT), so a process on the other thread slows a step down."
        yield Finding("device", "note", text, "echo off | sudo tee /sys/devices/system/cpu/smt/control")


def stolen(stat: str) -> float:
    """The share of time since the start in which the host ran other guests, read from the text of ``/proc/stat``."""
    numbers = [int(word) for word in stat.partition("\n")[0].split()[1:9]]
    return numbers[7] / max(sum(numbers), 1) if len(numbers) == 8 else 0.0


def clocks(root: Path = ROOT) -> Iterator[Finding]:
    """Findings about whether the processor's clock is steady."""
    governors = {read_text(path) for path in (root / CPU).glob("cpu[0-9]*/cpufreq/scaling_governor")} - {""}
    if not governors:
        yield Finding(
            "clock", "note", "The kernel does not show the clock here (no cpufreq), so it may change unnoticed."
        )
    elif governors == {"performance"}:
        yield Finding("clock", "ok", "The frequency governor is performance.")
    else:
        text = f"The frequency governor is {', '.join(sorted(governors))}, so the clock follows the load with a delay."
        yield Finding("clock", "note", text, "sudo cpupower frequency-set -g performance")
    if read_text(root / CPU / "intel_pstate/no_turbo") == "0":
        text, path = TURBO, "/sys/devices/system/cpu/intel_pstate/no_turbo"
        yield Finding("clock", "note", text, f"echo 1 | sudo tee {path}")
    if read_text(root / CPU / "cpufreq/boost") == "1":
        yield Finding("clock", "note", TURBO, "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost")


TURBO = "Turbo is on, so the clock depends on heat and on how busy the other cores are."


def load(cpus: int, root: Path = ROOT) -> Iterator[Finding]:
    """Findings about the processes that use the cores now.

    Args:
        cpus: the number of processors.
        root: the root of the file system to read.
    """
    shares = busy(root)
    if not shares:
        yield Finding(
            "load", "note", "Other processes are not visible here, so a process that disturbs a launch cannot be named."
        )
        return
    others = {pid: share for pid, share in shares.items() if share > BUSY_SHARE}
    average = f"the load average is {os.getloadavg()[0]:.1f} on {cpus} {'processor' if cpus == 1 else 'processors'}"
    if not others:
        yield Finding("load", "ok", f"Nothing else is busy now; {average}.")
        return
    worst = sorted(others, key=lambda pid: -others[pid])[:5]
    names = [f"{read_text(root / f'proc/{pid}/comm') or 'a process'} ({pid}) {others[pid]:.0%}" for pid in worst]
    text = f"Other processes use {sum(others.values()):.1f} cores now: {', '.join(names)}; {average}."
    yield Finding("load", "note", text, "top -o %CPU")


def busy(root: Path = ROOT) -> dict[int, float]:
    """The share of a core that each other process used during a short moment, by process id."""
    before, begin = ticks(root), time.monotonic()
    time.sleep(LOOK_S)
    elapsed = (time.monotonic() - begin) * os.sysconf("SC_CLK_TCK")
    return {pid: (now - before[pid]) / elapsed for pid, now in ticks(root).items() if pid in before}


def ticks(root: Path) -> dict[int, int]:
    """Processor time of all other processes by id, in clock ticks (fields 14 and 15 of ``/proc/PID/stat``)."""
    found = {}
    for path in (root / "proc").glob("[0-9]*/stat"):
        # The name of the process is in parentheses and can contain any character.
        fields = read_text(path).rpartition(")")[2].split()
        if len(fields) > 12 and int(path.parent.name) != os.getpid():
            found[int(path.parent.name)] = int(fields[11]) + int(fields[12])
    return found


def container(machine: Machine, root: Path = ROOT) -> Iterator[Finding]:
    """Findings about limits that a container or a service sets for this process."""
    inside = [path for path in (".dockerenv", "run/.containerenv") if (root / path).exists()]
    where = f"Runs in a container (/{inside[0]})" if inside else "Runs in no container that is known"
    quota, limit_bytes = cpu_quota(root), memory_limit(root)
    if quota is not None and quota < machine.cpus:
        text = (
            f"A quota allows {quota:g} of {machine.cpus} processors: once it is used up, steps stop until the next "
            "period and look slow."
        )
        yield Finding("container", "note", text, "docker run --cpuset-cpus 0,1 (whole cores) in place of --cpus")
    if limit_bytes is not None and limit_bytes < machine.memory_gib * 2**30 * 0.95:
        limit = f"{limit_bytes / 2**30:.1f} of {machine.memory_gib} GiB"
        text = f"Memory is limited to {limit}; a case that needs more is killed."
        yield Finding("container", "note", text)
    if quota is None and limit_bytes is None:
        yield Finding("container", "ok", f"{where}, without a limit on processors or memory.")
    namespace = root / "proc/self/ns/pid"
    try:
        name = os.readlink(namespace)  # noqa: PTH115  its target is no path
    except OSError:
        name = ""
    if name and name != FIRST_PID_NAMESPACE:
        text = "Processes outside of this container are not visible, so one that disturbs a launch cannot be named."
        yield Finding("container", "note", text, "docker run --pid=host")
    elif not read_text(root / "proc/1/stat"):
        text = "Processes of other users are hidden (hidepid), so one that disturbs a launch cannot be named."
        yield Finding("container", "note", text, "sudo mount -o remount,hidepid=0 /proc")


def cpu_quota(root: Path = ROOT) -> float | None:
    """The number of processors that the cgroup (version 2 or 1) allows; ``None`` if it sets no limit."""
    smallest: float | None = None
    for folder in cgroups(root, "cpu"):
        words = read_text(folder / "cpu.max").split() or [
            read_text(folder / "cpu.cfs_quota_us"),
            read_text(folder / "cpu.cfs_period_us"),
        ]
        if len(words) == 2 and all(word.isdecimal() for word in words):
            quota = int(words[0]) / int(words[1])
            smallest = quota if smallest is None else min(quota, smallest)
    return smallest


def memory_limit(root: Path = ROOT) -> int | None:
    """The bytes of memory that the cgroup (version 2 or 1) allows; ``None`` if it sets no limit."""
    found = [
        int(text)
        for folder in cgroups(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        if (text := read_text(folder / name)).isdecimal() and int(text) < UNLIMITED_BYTES
    ]
    return min(found, default=None)


def cgroups(root: Path, controller: str) -> list[Path]:
    """The folders of this process's cgroup and of all cgroups above it, whose limits apply too."""
    found = []
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / controllers
        own = top / path.strip("/")
        found += [folder for folder in (own, *own.parents) if folder == top or top in folder.parents]
    return found
