"""Programs for the engine's tests: they compute little, and fail on request."""

import fcntl
import json
import os
import signal
import threading
import time
from pathlib import Path

from perfgate.actor.failures import Unsupported
from perfgate.actor.programs.base import Program


class Spin(Program):
    """Computes for about ``rounds`` thousand additions; ``factor`` is read from a file, to change it from outside."""

    def __init__(self, device, rounds=20, factor_file=None):
        self.samples, self.tokens = 4, 40
        factor = float(Path(factor_file).read_text()) if factor_file and Path(factor_file).exists() else 1.0
        self.rounds = int(rounds * 1000 * factor)

    def step(self):
        total = 0
        for number in range(self.rounds):
            total += number


class Sleep(Spin):
    """Sleeps in each step, and computes as well."""

    def step(self):
        super().step()
        time.sleep(0.005)


class Helped(Spin):
    """Has a child process that computes as well, like a loader's worker."""

    def __init__(self, device):
        super().__init__(device)
        start_helper()


class Weighed(Spin):
    """Reports its peak of memory itself, and has such a child once the file ``helped`` exists."""

    def __init__(self, device):
        super().__init__(device)
        if Path("helped").exists():
            start_helper()

    def drive(self, pace):
        while True:
            pace.begin()
            self.step()
            pace.end(None, {"peak_memory_bytes": 1_000_000})


def start_helper(limit_s=60):
    """A child that computes on this process's core until either ends."""
    parent, end = os.getpid(), time.monotonic() + limit_s
    if os.fork() == 0:
        while os.getppid() == parent and time.monotonic() < end:
            sum(range(10_000))
        os._exit(0)


class Crash(Spin):
    """Raises in the given step."""

    def __init__(self, device, at=0):
        super().__init__(device)
        self.left = at

    def step(self):
        if self.left == 0:
            print("about to fall over")
            raise ValueError("the weights are upside down")
        self.left -= 1


class CrashInSetup(Program):
    def __init__(self, device):
        raise FileNotFoundError("no such vocabulary")


class Beyond(Program):
    def __init__(self, device):
        raise Unsupported("it needs a GPU of another kind")


class Exit(Spin):
    def step(self):
        os._exit(7)


class Killed(Spin):
    def step(self):
        os.kill(os.getpid(), signal.SIGKILL)


class OutOfMemory(Spin):
    def step(self):
        raise MemoryError("no room for 12 bytes")


class Hang(Spin):
    def step(self):
        time.sleep(600)


class HangInChild(Spin):
    """Leaves a child process behind, and hangs."""

    def __init__(self, device, pid_file):
        super().__init__(device)
        child = os.fork()
        if child == 0:
            time.sleep(600)
            os._exit(0)
        Path(pid_file).write_text(json.dumps([os.getpid(), child]))

    def step(self):
        time.sleep(600)


class NotANumber(Spin):
    def step(self):
        import numpy

        return Array(numpy.array([1.0, float("nan")]))


class Array:
    """As much of a tensor as the check for finite values needs."""

    def __init__(self, values):
        self.values = values

    def isfinite(self):
        import numpy

        return numpy.isfinite(self.values)


class Chatty(Spin):
    """Writes to standard output, which must not disturb the protocol."""

    def step(self):
        print('{"metrics": {"step_time_s": 1e9}}', flush=True)
        super().step()


class FlakyOnce(Spin):
    """Crashes only in its first launch."""

    def __init__(self, device, marker):
        super().__init__(device)
        if not Path(marker).exists():
            Path(marker).write_text("")
            raise RuntimeError("first time only")


class FallsLater(Spin):
    """Crashes in all launches from the given one on; a file counts them."""

    def __init__(self, device, count_file, good, rounds=20):
        super().__init__(device, rounds)
        path = Path(count_file)
        count = int(path.read_text()) if path.exists() else 0
        path.write_text(str(count + 1))
        if count >= good:
            self.step = self.fall

    def fall(self):
        raise ValueError("worn out")


class TellsTimes(Spin):
    """Reports times of its own, by name."""

    def __init__(self, device, times):
        super().__init__(device)
        self.times = times

    def drive(self, pace):
        while True:
            pace.begin()
            self.step()
            pace.end(None, self.times)


class Descriptors(Spin):
    """Records the open descriptors in the actor."""

    def __init__(self, device, target):
        super().__init__(device)
        found = []
        for name in sorted(p.name for p in Path("/proc/self/fd").iterdir()):
            try:
                found.append((int(name), str(Path(f"/proc/self/fd/{name}").readlink())))
            except OSError:
                continue
        Path(target).write_text(json.dumps(found))


class Witness(Spin):
    """Records which process took a step on which device, and when."""

    def __init__(self, device, target):
        super().__init__(device, rounds=1)
        self.uuid, self.target = device.uuid, target

    def step(self):
        with Path(self.target).open("a") as file:
            file.write(json.dumps([self.uuid, os.getpid(), time.monotonic()]) + "\n")


class Lonely(Spin):
    """Runs out of memory beside another one of its kind."""

    def __init__(self, device, rounds=20):
        super().__init__(device, rounds)
        self.room = os.open("room", os.O_CREAT | os.O_WRONLY)
        try:
            fcntl.flock(self.room, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MemoryError("no room for two") from None


class Shared(Spin):
    """One rank of several; the last one fails in its step, in the given way."""

    def __init__(self, device, ranks, how="", pid_file=None):
        super().__init__(device, rounds=1)
        self.ranks = ranks
        rank = int(os.environ["RANK"])
        self.wrong = how if rank == ranks - 1 else ""
        if pid_file:
            with Path(pid_file).open("a") as file:
                file.write(f"{os.getpid()} {sorted(os.sched_getaffinity(0))}\n")

    def step(self):
        if self.wrong == "crash":
            raise ValueError("this shard is upside down")
        if self.wrong == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.wrong == "hang":
            time.sleep(600)
        super().step()


class Placed(Spin):
    """Records in each step the cores on which its main thread and another one may run."""

    def __init__(self, device, at):
        super().__init__(device, rounds=1)
        self.other = threading.Thread(target=time.sleep, args=(60,), daemon=True)
        self.other.start()

    def step(self):
        threads = {"main": os.getpid(), "other": self.other.native_id}
        allowed = {name: sorted(os.sched_getaffinity(thread)) for name, thread in threads.items()}
        with Path("placed.jsonl").open("a") as file:
            file.write(json.dumps({"process": os.getpid(), **allowed}) + "\n")
