"""The yardstick of an Apple chip's GPU: the parts of CUDA's, through Metal, so that it does not depend on torch.

It was written from documentation (https://developer.apple.com/documentation/metal) and has never run. Metal is reached
through the Objective-C runtime. It does not report the number of multiprocessors, so the amount of work is the same on
each chip.
"""

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import byref, c_char_p, c_double, c_float, c_uint32, c_uint64, c_void_p
from typing import Any

from perfgate.actor.devices.base import Device
from perfgate.actor.devices.driver import DriverError
from perfgate.actor.pace import Pace
from perfgate.actor.programs.base import Program
from perfgate.actor.yardsticks.cuda import COPIES, COPY_BYTES, FACTOR, LAUNCHES, ROUNDS, SETTLED, TERM, THREADS
from perfgate.shared.device_kinds import DEVICE_KINDS

VERSION = DEVICE_KINDS["mps"].yardstick_version
BLOCKS = 128
COMPLETED = 4  # MTLCommandBufferStatusCompleted
SOURCE = b"""
#include <metal_stdlib>
using namespace metal;

kernel void nothing() {}

kernel void arithmetic(device float *sums [[buffer(0)]], constant uint &rounds [[buffer(1)]],
                       constant float &factor [[buffer(2)]], constant float &term [[buffer(3)]],
                       uint thread_number [[thread_position_in_grid]]) {
    float a = thread_number, b = a + term, c = b + term, d = c + term;
    for (uint left = rounds; left; left--) {
        a = fma(a, factor, term), b = fma(b, factor, term), c = fma(c, factor, term), d = fma(d, factor, term);
        a = fma(a, factor, term), b = fma(b, factor, term), c = fma(c, factor, term), d = fma(d, factor, term);
    }
    sums[thread_number] = (a + b) + (c + d);
}
"""


class Size(ctypes.Structure):
    """Metal's ``MTLSize``."""

    _fields_ = (("width", c_uint64), ("height", c_uint64), ("depth", c_uint64))


class Runtime:
    """Messages to Objective-C's objects, and the system's default Metal device.

    Raises:
        DriverError: Metal cannot be loaded.
    """

    def __init__(self) -> None:
        try:
            self._objc = ctypes.CDLL("/usr/lib/libobjc.A.dylib")
            # Without Core Graphics, macOS hides the device from a program without windows.
            ctypes.CDLL("/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics")
            self._metal = ctypes.CDLL("/System/Library/Frameworks/Metal.framework/Metal")
        except OSError as error:
            raise DriverError(f"Metal cannot be used: {error}") from None
        self._objc.sel_registerName.restype = self._objc.objc_getClass.restype = c_void_p
        self._objc.objc_autoreleasePoolPush.restype = c_void_p
        self._metal.MTLCreateSystemDefaultDevice.restype = c_void_p

    def device(self) -> Any:
        """The default device; ``None`` if the process sees none."""
        return self._metal.MTLCreateSystemDefaultDevice()

    def send(self, to: Any, message: str, *arguments: Any, returns: Any = c_void_p) -> Any:
        """Send a message with arguments that are values of ctypes, and return the answer."""
        call = ctypes.CFUNCTYPE(returns, c_void_p, c_void_p, *map(type, arguments))(("objc_msgSend", self._objc))
        return call(to, self._objc.sel_registerName(message.encode()), *arguments)

    def text(self, words: bytes) -> Any:
        """A string of Objective-C."""
        named = self._objc.objc_getClass(b"NSString")
        return self.send(named, "stringWithUTF8String:", c_char_p(words))

    @contextmanager
    def pool(self) -> Iterator[None]:
        """Release temporary objects at the end of the block."""
        lent = c_void_p(self._objc.objc_autoreleasePoolPush())
        try:
            yield
        finally:
            self._objc.objc_autoreleasePoolPop(lent)


class MpsYardstick(Program):
    """A step is multiply-adds, a copy of memory, and launches of an empty kernel.

    The device's clock times the first two, and the host's the third, until the last launch is done. A change of its
    sizes needs a new version in ``perfgate.shared.device_kinds``.

    Attributes:
        runtime_of: opens the runtime of Objective-C.

    Raises:
        DriverError: Metal cannot be used, or refuses.
        RuntimeError: the device's results are wrong.
    """

    runtime_of: Callable[[], Any] = Runtime

    def __init__(self, device: Device, version: int) -> None:
        del device
        if version != VERSION:
            raise ValueError(f"yardstick {version} was asked for, this is {VERSION}")
        self.runtime = objc = self.runtime_of()
        self.gpu = there(objc.device(), "a Metal device")
        with objc.pool():
            source = objc.text(SOURCE)
            message = "newLibraryWithSource:options:error:"
            library = there(objc.send(self.gpu, message, c_void_p(source), c_void_p(), c_void_p()), message)
            self.nothing, self.arithmetic = (self.kernel(library, name) for name in (b"nothing", b"arithmetic"))
            self.queue = there(objc.send(self.gpu, "newCommandQueue"), "newCommandQueue")
            self.sums = self.memory(4 * BLOCKS * THREADS)
            self.source, self.target = self.memory(COPY_BYTES), self.memory(COPY_BYTES)
        self.work()
        self.check()

    def kernel(self, library: Any, name: bytes) -> Any:
        """A kernel that can be launched."""
        objc = self.runtime
        function = there(objc.send(library, "newFunctionWithName:", c_void_p(objc.text(name))), "newFunctionWithName:")
        message = "newComputePipelineStateWithFunction:error:"
        return there(objc.send(self.gpu, message, c_void_p(function), c_void_p()), message)

    def memory(self, size: int) -> Any:
        """Memory that the host sees too, as all memory of such a chip is shared."""
        message = "newBufferWithLength:options:"
        return there(self.runtime.send(self.gpu, message, c_uint64(size), c_uint64(0)), message)

    def drive(self, pace: Pace) -> None:
        """On each turn take one step, and report its parts."""
        while True:
            pace.begin()
            pace.end(None, self.work())

    def work(self) -> dict[str, float]:
        """Do the three parts, waiting for each, and return the seconds of each."""
        with self.runtime.pool():
            arithmetic_s = self.done("computeCommandEncoder", self.compute)
            copy_s = self.done("blitCommandEncoder", self.copy)
            began_s = time.perf_counter()
            self.done("computeCommandEncoder", self.launch)
            return {"arithmetic_s": arithmetic_s, "copy_s": copy_s, "launches_s": time.perf_counter() - began_s}

    def done(self, encoder_of: str, encode: Callable[[Any], None]) -> float:
        """Give work to the device, wait for it, and return the seconds that the device took."""
        send = self.runtime.send
        commands = there(send(self.queue, "commandBuffer"), "commandBuffer")
        encoder = there(send(commands, encoder_of), encoder_of)
        encode(encoder)
        send(encoder, "endEncoding", returns=None)
        send(commands, "commit", returns=None)
        send(commands, "waitUntilCompleted", returns=None)
        if (status := send(commands, "status", returns=c_uint64)) != COMPLETED:
            raise DriverError(f"Metal did not complete the yardstick's work (status {status})")
        begin_s, end_s = (send(commands, name, returns=c_double) for name in ("GPUStartTime", "GPUEndTime"))
        return float(end_s - begin_s)

    def compute(self, encoder: Any) -> None:
        """The multiply-adds."""
        send = self.runtime.send
        send(encoder, "setComputePipelineState:", c_void_p(self.arithmetic), returns=None)
        send(encoder, "setBuffer:offset:atIndex:", c_void_p(self.sums), c_uint64(0), c_uint64(0), returns=None)
        values: tuple[Any, ...] = c_uint32(ROUNDS), c_float(FACTOR), c_float(TERM)
        for place, value in enumerate(values, start=1):
            address = ctypes.cast(byref(value), c_void_p)
            send(encoder, "setBytes:length:atIndex:", address, c_uint64(4), c_uint64(place), returns=None)
        self.dispatch(encoder, BLOCKS, THREADS)

    def launch(self, encoder: Any) -> None:
        """The launches of the empty kernel."""
        self.runtime.send(encoder, "setComputePipelineState:", c_void_p(self.nothing), returns=None)
        for _ in range(LAUNCHES):
            self.dispatch(encoder, 1, 1)

    def dispatch(self, encoder: Any, blocks: int, threads: int) -> None:
        """Launch the kernel that is set."""
        sizes = Size(blocks, 1, 1), Size(threads, 1, 1)
        self.runtime.send(encoder, "dispatchThreadgroups:threadsPerThreadgroup:", *sizes, returns=None)

    def copy(self, encoder: Any) -> None:
        """The copies."""
        message = "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:"
        places = c_void_p(self.source), c_uint64(0), c_void_p(self.target), c_uint64(0), c_uint64(COPY_BYTES)
        for _ in range(COPIES):
            self.runtime.send(encoder, message, *places, returns=None)

    def check(self) -> None:
        """Check the result of every thread's arithmetic."""
        address = there(self.runtime.send(self.sums, "contents"), "contents")
        sums: Any = (c_float * (BLOCKS * THREADS)).from_address(address)
        if wrong := sum(value != SETTLED for value in sums):
            raise RuntimeError(f"the device computes wrongly: {wrong} of {len(sums)} sums are not {SETTLED}")


def there(found: Any, what: str) -> Any:
    """Check that an object of Metal exists, and return it.

    Raises:
        DriverError: it is null, which is Metal's answer when it refuses.
    """
    if not found:
        raise DriverError(f"Metal gives nothing for {what}")
    return found
