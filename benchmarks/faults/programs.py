"""Programs that fail in a launch while the file ``armed`` exists, each in its own way."""

import atexit
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from perfgate.actor.programs.base import Program

ARMED = Path("armed")
SLEEPER = "import time; time.sleep(3600)"
FLOOD_BYTES = 64 << 20


def read_armed():
    """The fault for this launch, and its place; empty if it is not this launch's turn."""
    if not ARMED.exists():
        return "", ""
    how, at, launch = ARMED.read_text().split()
    with Path("launches").open("a+") as counter:
        counter.write("x")
        counter.flush()
        now = counter.tell()
    return (how, at) if launch in ("0", str(now)) else ("", "")


class Faulty(Program):
    """Computes a little; the fault that the file ``armed`` names happens at one place of a launch.

    The file holds a method's name, the place (``setup``, ``step`` for the fourth step, ``step-2`` for the second, or
    ``exit``), and the launch, counted from 1; 0 stands for each.
    """

    def __init__(self, device):
        self.samples, self.steps = 2, 0
        self.how, self.at = read_armed()
        place, _, number = self.at.partition("-")
        self.wrong_step = int(number or 4) if place == "step" else 0
        if self.at == "exit":
            atexit.register(getattr(self, self.how))
        if self.at == "setup":
            getattr(self, self.how)()

    def step(self):
        self.steps += 1
        if self.steps == self.wrong_step:
            getattr(self, self.how)()
        total = 0
        for number in range(5000):
            total += number

    def raises(self):
        raise ValueError("the weights are upside down")

    def raises_badly(self):
        raise RuntimeError("a\0message \ud800 of <script>alert(1)</script> ‮ and " + "long " * 20_000)

    def exits(self):
        os._exit(3)

    def exits_well(self):
        os._exit(0)

    def system_exit(self):
        sys.exit("goodbye")

    def interrupts(self):
        raise KeyboardInterrupt

    def recurses(self):
        self.recurses()

    def stops(self):
        os.kill(os.getpid(), signal.SIGSTOP)

    def hangs(self):
        time.sleep(3600)

    def hangs_deaf(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(3600)

    def spins(self):
        while True:
            pass

    def floods(self):
        for _ in range(FLOOD_BYTES >> 16):
            os.write(1, b"x" * (1 << 16))

    def floods_a_gigabyte(self):
        for _ in range(1 << 14):
            os.write(1, b"x" * (1 << 16))

    def floods_errors(self):
        for _ in range(FLOOD_BYTES >> 16):
            os.write(2, b"line\n" * (1 << 13))
        raise ValueError("after much text")

    def floods_without_end(self):
        while True:
            os.write(1, b"y\n" * 4096)

    def speaks_in_bytes(self):
        os.write(1, bytes(range(256)) * 16)
        os.write(2, b"\xff\xfe\x00\xc3(")
        raise ValueError("after bytes that are no text")

    def speaks_the_protocol(self):
        for descriptor in (1, 2):
            os.write(descriptor, json.dumps({"metrics": {"step_time_s": 1e9}, "ok": True}).encode() + b"\n")

    def writes_everywhere(self):
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, b'{"metrics": {"step_time_s": 1e9}}\n')
            except OSError:
                continue

    def speaks_garbage(self):
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, b"\xff{not an answer\n")
            except OSError:
                continue

    def closes_everything(self):
        os.closerange(0, 256)

    def closes_output(self):
        os.close(1)
        os.close(2)

    def takes_memory(self):
        resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
        held = []
        while True:
            held.append(bytearray(64 << 20))

    def takes_descriptors(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        held = [open("/dev/null") for _ in range(1000)]  # noqa: SIM115
        held.clear()

    def leaves_children(self):
        for _ in range(10):
            subprocess.Popen([sys.executable, "-S", "-c", SLEEPER])

    def leaves_grandchildren(self):
        for _ in range(10):
            if os.fork() == 0:
                if os.fork() == 0:
                    time.sleep(3600)
                os._exit(0)

    def leaves_a_daemon(self):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.closerange(0, 256)
                os.execve(sys.executable, [sys.executable, "-S", "-c", SLEEPER], {"FAULT": os.environ["FAULT"]})
            os._exit(0)

    def forks_fifty(self):
        for _ in range(50):
            if os.fork() == 0:
                time.sleep(3600)

    def leaves_a_thread(self):
        import threading

        threading.Thread(target=time.sleep, args=(3600,)).start()

    def kills_its_parent(self):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(3600)

    def changes_folder(self):
        os.chdir("/")

    def removes_its_folder(self):
        Path("gone").mkdir(exist_ok=True)
        os.chdir("gone")
        Path("../gone").rmdir()

    def removes_output(self):
        shutil.rmtree("perf_output", ignore_errors=True)

    def removes_suite(self):
        shutil.rmtree(Path.cwd(), ignore_errors=True)

    def changes_handlers(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)

    def clears_environment(self):
        os.environ.clear()

    def changes_environment(self):
        os.environ.update(PYTHONPATH="/nowhere", PATH="", HOME="/nowhere", TMPDIR="/nowhere", LC_ALL="nonsense")

    def replaces_time(self):
        time.perf_counter = time.monotonic = time.time = lambda: 0.0
        time.perf_counter_ns = time.monotonic_ns = time.time_ns = time.process_time_ns = lambda: 0

    def replaces_open(self):
        import builtins

        def broken(*arguments, **named):
            raise OSError("no files today")

        builtins.open = broken

    def replaces_json(self):
        json.dumps = lambda *arguments, **named: '{"metrics": {"step_time_s": 1}}'

    def removes_modules(self):
        sys.modules.clear()

    def moves_off(self):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    def lowers_itself(self):
        os.nice(19)

    def sets_an_alarm(self):
        signal.alarm(1)
        time.sleep(3600)

    def segfaults(self):
        import ctypes

        ctypes.string_at(0)

    def aborts(self):
        os.abort()


class Calm(Program):
    """Computes a little, and never fails."""

    def __init__(self, device):
        self.samples = 1

    def step(self):
        sum(range(5000))


class Late(Calm):
    """Has a set-up of one second, which leaves time to do something to its run."""

    def __init__(self, device):
        super().__init__(device)
        time.sleep(1)


def _signalling(number):
    def send(self):
        os.kill(os.getpid(), number)
        time.sleep(3600)

    return send


for _number in (number for number in signal.Signals if number not in (signal.SIGCHLD, signal.SIGCONT)):
    setattr(Faulty, f"gets_{_number.name.lower()}", _signalling(_number))
