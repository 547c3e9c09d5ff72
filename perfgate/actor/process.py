"""A forked actor from beginning to end: isolates itself, builds the program, and takes steps on request."""

import ctypes
import fcntl
import gc
import multiprocessing
import os
import random
import signal
import sys
import time
import traceback
from typing import Any, NoReturn

from perfgate.actor import coverage_data, devices, instruments, ranks
from perfgate.actor.devices.base import Device
from perfgate.actor.failures import first_line, is_sentence, message_of, reason_of
from perfgate.actor.pace import Done, Pace
from perfgate.actor.programs.check import check_program, find_program
from perfgate.shared.device_kinds import CAPABLE, DEVICE_KINDS
from perfgate.shared.wire import Channel

TURN_FD, REPLY_FD = 3, 4
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PADDING = 400
EVERYWHERE = (9, 0)  # the compute capability of predictions that are compared between machines
AFTER_PATH = "PERFGATE_PATH"  # the variable with the folders of the user's programs, from ``perfgate.system.child_env``

_padding: list[Any] = []


def main(parent: int, turn_fd: int, reply_fd: int, output: str, leads: bool = True) -> NoReturn:
    """Run in the child of a fork; never returns.

    Args:
        parent: the process with which this one ends.
        turn_fd: the descriptor for orders.
        reply_fd: the descriptor for answers.
        output: the file for its output.
        leads: whether it leads a process group of its own, for all ranks of a launch.
    """
    code = 1
    try:
        isolate(parent, turn_fd, reply_fd, output, leads)
        code = perform(Channel(TURN_FD, REPLY_FD), output)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Workers of a data loader would outlive it by seconds.
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(code)


def start_afresh(server: int, turn_fd: int, reply_fd: int, output: str) -> NoReturn:
    """Become a fresh interpreter, because a fork cannot use the device; it uses the same pipes."""
    for fd in (turn_fd, reply_fd):
        os.set_inheritable(fd, True)
    program = [sys.executable, "-m", __name__, str(server), str(turn_fd), str(reply_fd), output]
    try:
        os.execv(sys.executable, program)
    finally:
        os._exit(1)


def prove(server: int, reason_fd: int, device: dict[str, Any], compiled: bool) -> NoReturn:
    """Run in a temporary child: write why it cannot use the device, or nothing."""
    try:
        die_with(server)
        devices.open_device(device, "proof", None, 1).prove(compiled)
    except BaseException as error:
        os.write(reason_fd, first_line(error).encode())
    finally:
        os._exit(0)


def isolate(parent: int, turn_fd: int, reply_fd: int, output: str, leads: bool = True) -> None:
    """Use an own process group, an own output file, and no descriptors but the pipes; end with the parent."""
    if leads:
        os.setsid()
    die_with(parent)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # Moved first, because the ends may have the very numbers that they are to get.
    turn_fd = fcntl.fcntl(turn_fd, fcntl.F_DUPFD, 10)
    reply_fd = fcntl.fcntl(reply_fd, fcntl.F_DUPFD, 10)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    file = fcntl.fcntl(file, fcntl.F_DUPFD, 10)
    null = fcntl.fcntl(os.open(os.devnull, os.O_RDONLY), fcntl.F_DUPFD, 10)
    for source, target in ((null, 0), (file, 1), (file, 2), (turn_fd, TURN_FD), (reply_fd, REPLY_FD)):
        os.dup2(source, target, inheritable=target < TURN_FD)
    os.closerange(REPLY_FD + 1, os.sysconf("SC_OPEN_MAX"))


def die_with(parent: int) -> None:
    """Ask the kernel (Linux) to kill this process when its parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def adopt() -> None:
    """Ask the kernel (Linux) to make this process the parent of all orphans among its descendants."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def pad_heap() -> None:
    """Shift the heap at random, so that launches of one server do not share its memory layout."""
    source = random.Random(os.urandom(16))
    for _ in range(PADDING):
        _padding.append(bytearray(source.randrange(64, 8192)))
    if torch := sys.modules.get("torch"):
        _padding.extend(torch.empty(source.randrange(16, 16384), dtype=torch.uint8) for _ in range(PADDING))


def perform(channel: Channel, output: str) -> int:
    """Build the program that the first message names, and step it until the channel closes; returns the exit code."""
    order = channel.receive()
    if order is None:
        return 0
    os.environ.update(order.get("environment", {}))
    coverage_data.trace_only_untimed(order["pass"])
    try:
        if "places" in order:
            return ranks.lead(channel, order, output, main)
        pad_heap()
        if device := order.get("device"):
            # In a fresh interpreter, libraries look for the device while they are imported.
            devices.show_device(device)
        path = order["workload"]["program"]
        build = find_program(path)
        if order["pass"] == "dry":
            devices.bound_to(order.get("cores"))
            answer = dry_answer(build, order)
            coverage_data.save()
            channel.send(answer)
            return 0
        device = devices.open_device(order["device"], order["pass"], order["cores"], order["threads"])
        active = instruments.for_pass(order["pass"], device, order.get("instruments", ()))
        for instrument in active:
            instrument.into = order.get("into", "")
            instrument.start()
        start = time.perf_counter()
        program = build(device=device, **order["workload"]["params"])
        setup_s = time.perf_counter() - start
        check_program(program, path)
        for instrument in active:
            instrument.built(program)
        gc.collect()
        ready = {"setup_s": setup_s, "samples": int(program.samples), "tokens": int(program.tokens)}
        channel.send({"ready": ready | {"by_itself": told_by_itself(program, device)}})
        program.drive(Pace(channel, active, device, order.get("slowdown", 0.0)))
    except Done:
        return 0
    except BaseException as error:
        if not is_sentence(error):
            traceback.print_exc()
            sys.stderr.flush()
        coverage_data.save()
        channel.send({"error": {"reason": reason_of(error), "message": message_of(error)}})
        return 1
    return 0


def told_by_itself(program: Any, device: Device) -> list[str]:
    """The names of the measurements in steps of their own that the program and its device support."""
    bursts = DEVICE_KINDS[device.name].bursts
    return ["device"] * bursts + ["phases"] * (program.phases is not None) + ["communication"] * (program.ranks > 1)


def dry_answer(program: Any, order: dict[str, Any]) -> dict[str, Any]:
    """The ledgers of a dry run, or why there are none; ``silent`` if nobody would expect any."""
    if "torch" not in sys.modules:
        return {"no_dry_run": f"program {program.__name__} does no work in torch", "silent": True}
    from perfgate.actor.dry_run.apart import apart  # need torch, which not every program does
    from perfgate.actor.dry_run.context import NoDryRun
    from perfgate.actor.dry_run.pace import MAX_STEPS
    from perfgate.actor.dry_run.refusals import NothingToCount
    from perfgate.actor.dry_run.run import dry_run

    params = order["workload"]["params"]
    major, minor = order.get("capability", EVERYWHERE)
    gpu = (major, minor), order.get("speeds"), bool(order.get("traced"))
    here = tuple(order.get("here") or EVERYWHERE)
    try:
        with apart():
            ledgers: dict[str, Any] = {}
            steps = MAX_STEPS
            for target in order["targets"]:
                ledgers[target] = dry_run(program, params, target, *gpu, steps)
                # The first target has shown after how many steps all are alike; the others need not find it out again.
                steps = ledgers[target].get("steps", steps)
            if here != EVERYWHERE:
                ledgers["here"] = dry_run(program, params, CAPABLE, here, most_steps=steps)
            return {"ledgers": ledgers}
    except NothingToCount as reason:
        return {"no_dry_run": str(reason), "silent": True}
    except NoDryRun as reason:
        return {"no_dry_run": str(reason)}
    except Exception as error:
        if is_sentence(error):
            raise  # not only the dry run is impossible
        traceback.print_exc()
        return {"no_dry_run": first_line(error)}


def look_there_too() -> None:
    """Append the folders with the user's own programs to the search path, so that they hide no installed package."""
    # An empty name would mean the working directory, which is not the reference's.
    folders = filter(None, os.environ.get(AFTER_PATH, "").split(os.pathsep))
    sys.path += [folder for folder in folders if folder not in sys.path]


if __name__ == "__main__":
    look_there_too()
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
