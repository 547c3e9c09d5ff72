"""The yardstick of a CUDA device: its own kernels, launched through the driver, so that it does not depend on torch."""

import ctypes
import time
from typing import Any

from perfgate.actor.devices.base import Device
from perfgate.actor.devices.driver import Driver
from perfgate.actor.pace import Pace
from perfgate.actor.programs.base import Program
from perfgate.shared.device_kinds import DEVICE_KINDS

VERSION = DEVICE_KINDS["cuda"].yardstick_version
BLOCKS, THREADS = 4, 256  # blocks per multiprocessor and threads per block; even the smallest GPUs can hold these
ROUNDS = 1 << 15
COPIES, COPY_BYTES = 8, 1 << 27
LAUNCHES = 512
CHAINS = 4
FACTOR, TERM = 0.5, 0.5
# Every chain computes x -> x / 2 + 1 / 2 from its thread's number, which always ends at exactly 1.
SETTLED = CHAINS * TERM / (1 - FACTOR)

# https://docs.nvidia.com/cuda/parallel-thread-execution/ The driver compiles a version and a target this old
# for every device that it knows.
PTX = b"""
.version 6.0
.target sm_50
.address_size 64

.visible .entry nothing()
{
    ret;
}

.visible .entry arithmetic(
    .param .u64 sums,
    .param .u32 rounds,
    .param .f32 factor,
    .param .f32 term
)
{
    .reg .pred %more;
    .reg .b32 %block, %size, %lane, %thread, %left;
    .reg .f32 %a, %b, %c, %d, %factor, %term;
    .reg .b64 %sums, %offset;

    mov.u32 %block, %ctaid.x;
    mov.u32 %size, %ntid.x;
    mov.u32 %lane, %tid.x;
    mad.lo.u32 %thread, %block, %size, %lane;
    ld.param.u32 %left, [rounds];
    ld.param.f32 %factor, [factor];
    ld.param.f32 %term, [term];
    cvt.rn.f32.u32 %a, %thread;
    add.f32 %b, %a, %term;
    add.f32 %c, %b, %term;
    add.f32 %d, %c, %term;
again:
    fma.rn.f32 %a, %a, %factor, %term;
    fma.rn.f32 %b, %b, %factor, %term;
    fma.rn.f32 %c, %c, %factor, %term;
    fma.rn.f32 %d, %d, %factor, %term;
    fma.rn.f32 %a, %a, %factor, %term;
    fma.rn.f32 %b, %b, %factor, %term;
    fma.rn.f32 %c, %c, %factor, %term;
    fma.rn.f32 %d, %d, %factor, %term;
    sub.u32 %left, %left, 1;
    setp.ne.u32 %more, %left, 0;
    @%more bra again;

    add.f32 %a, %a, %b;
    add.f32 %c, %c, %d;
    add.f32 %a, %a, %c;
    ld.param.u64 %sums, [sums];
    cvta.to.global.u64 %sums, %sums;
    mul.wide.u32 %offset, %thread, 4;
    add.u64 %sums, %sums, %offset;
    st.global.f32 [%sums], %a;
    ret;
}
"""


class GpuYardstick(Program):
    """A step is multiply-adds on all multiprocessors, a copy of device memory, and launches of an empty kernel.

    The device's events time the first two. Launches take the host's time, so the host's clock times them until the
    last one is done. The amount of work depends only on the number of multiprocessors.

    As with the CPU's yardstick, a change of its sizes needs a new version in ``perfgate.shared.device_kinds``.

    Attributes:
        version: the version of these sizes and kernels.
        driver_of: opens the driver.
        library: the driver's shared library.
        kernels: the source of the two kernels.
        computes: whether the device's results are checked.

    Raises:
        DriverError: the driver cannot be loaded, or refuses.
        RuntimeError: the device's results are wrong.
    """

    version = VERSION
    driver_of: type[Driver] = Driver
    library = "libcuda.so.1"
    kernels = PTX
    computes = True

    def __init__(self, device: Device, version: int, library: str = "") -> None:
        del device
        if version != self.version:
            raise ValueError(f"yardstick {version} was asked for, this is {self.version}")
        self.driver = driver = self.driver_of(library or self.library)
        module = driver.module(self.kernels)
        self.nothing = driver.function(module, "nothing")
        self.arithmetic = driver.function(module, "arithmetic")
        self.blocks = BLOCKS * driver.multiprocessors
        self.sums = driver.memory(4 * self.blocks * THREADS)
        self.source, self.target = driver.memory(COPY_BYTES), driver.memory(COPY_BYTES)
        self.marks = [driver.event() for _ in range(3)]
        self.work()
        self.check()

    def drive(self, pace: Pace) -> None:
        """On each turn take one step, and report its parts."""
        while True:
            pace.begin()
            pace.end(None, self.work())

    def work(self) -> dict[str, float]:
        """Do the three parts, waiting for each, and return the seconds of each."""
        driver, (begin, between, end) = self.driver, self.marks
        driver.record(begin)
        arguments = ctypes.c_uint64(self.sums), ctypes.c_uint32(ROUNDS), ctypes.c_float(FACTOR), ctypes.c_float(TERM)
        driver.launch(self.arithmetic, self.blocks, THREADS, arguments)
        driver.record(between)
        for _ in range(COPIES):
            driver.copy(self.target, self.source, COPY_BYTES)
        driver.record(end)
        driver.wait(end)
        began_s = time.perf_counter()
        for _ in range(LAUNCHES):
            driver.launch(self.nothing, 1, 1)
        driver.synchronize()
        return {
            "arithmetic_s": driver.between_s(begin, between),
            "copy_s": driver.between_s(between, end),
            "launches_s": time.perf_counter() - began_s,
        }

    def check(self) -> None:
        """Check the result of every thread's arithmetic."""
        sums: Any = (ctypes.c_float * (self.blocks * THREADS))()
        self.driver.read(sums, self.sums)
        if not self.computes:
            return
        if wrong := sum(value != SETTLED for value in sums):
            raise RuntimeError(f"the device computes wrongly: {wrong} of {len(sums)} sums are not {SETTLED}")


class EmulatedYardstick(GpuYardstick):
    """The same memory, events, copies and launches on an emulated card, which computes nothing to check."""

    computes = False
