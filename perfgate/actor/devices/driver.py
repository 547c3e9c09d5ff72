"""Calls of the CUDA driver that the yardstick needs (https://docs.nvidia.com/cuda/cuda-driver-api/)."""

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

STREAM = None  # the default stream of the context
# The library exports some functions with a version in their names, which cuda.h hides behind the plain names.
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuCtxSetCurrent": (c_void_p,),
    "cuCtxSynchronize": (),
    "cuModuleLoadData": (POINTER(c_void_p), c_char_p),
    "cuModuleGetFunction": (POINTER(c_void_p), c_void_p, c_char_p),
    "cuMemAlloc_v2": (POINTER(c_uint64), c_size_t),
    "cuMemcpyDtoDAsync_v2": (c_uint64, c_uint64, c_size_t, c_void_p),
    "cuMemcpyDtoH_v2": (c_void_p, c_uint64, c_size_t),
    "cuLaunchKernel": (c_void_p, *[c_uint] * 7, c_void_p, POINTER(c_void_p), POINTER(c_void_p)),
    "cuEventCreate": (POINTER(c_void_p), c_uint),
    "cuEventRecord": (c_void_p, c_void_p),
    "cuEventSynchronize": (c_void_p,),
    "cuEventElapsedTime": (POINTER(c_float), c_void_p, c_void_p),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
}


class DriverError(RuntimeError):
    """A device's driver cannot be loaded, or a call of it failed."""


class Driver:
    """The only device that is visible to this process, in its primary context.

    A driver with the same calls under other names is a subclass.

    Args:
        library: the driver's shared library.

    Attributes:
        title: the kind of its devices, in messages.
        signatures: the argument types of the used calls, by CUDA's names.
        names: the library's names of these calls, if they differ from CUDA's.
        multiprocessor_count: the number of the attribute that counts multiprocessors.

    Raises:
        DriverError: the driver cannot be loaded, or a call fails; all methods raise it.
    """

    title = "CUDA"
    signatures: Mapping[str, tuple[Any, ...]] = SIGNATURES
    names: Mapping[str, str] = {}
    multiprocessor_count = 16  # a member of CUdevice_attribute

    def __init__(self, library: str) -> None:
        try:
            self._library = ctypes.CDLL(library)
            self._calls = {name: self._declared(name) for name in self.signatures}
        except (OSError, AttributeError) as error:
            raise DriverError(f"the {self.title} driver cannot be used: {error}") from None
        self._call("cuInit", 0)
        count, device, multiprocessors = c_int(), c_int(), c_int()
        self._call("cuDeviceGetCount", byref(count))
        if count.value != 1:
            raise DriverError(f"{count.value} {self.title} devices are visible where it should be one")
        self._call("cuDeviceGet", byref(device), 0)
        self._enter(device)
        self._call("cuDeviceGetAttribute", byref(multiprocessors), self.multiprocessor_count, device)
        self.multiprocessors = multiprocessors.value

    def _enter(self, device: c_int) -> None:
        """Make this process use the device."""
        context = c_void_p()
        self._call("cuDevicePrimaryCtxRetain", byref(context), device)
        self._call("cuCtxSetCurrent", context)

    def _declared(self, name: str) -> Any:
        function = getattr(self._library, self.names.get(name, name))
        function.argtypes, function.restype = self.signatures[name], c_int
        return function

    def _call(self, name: str, *arguments: Any) -> None:
        if code := self._calls[name](*arguments):
            raise DriverError(f"{self.names.get(name, name)} failed: {self._error(code)}")

    def _error(self, code: int) -> str:
        name, text = c_char_p(), c_char_p()
        self._calls["cuGetErrorName"](code, byref(name))
        self._calls["cuGetErrorString"](code, byref(text))
        told = [part.value.decode() for part in (name, text) if part.value]
        return ", ".join(told) or f"error {code}, which the driver does not name"

    def module(self, source: bytes) -> c_void_p:
        """Compile a module for the device from PTX."""
        module = c_void_p()
        self._call("cuModuleLoadData", byref(module), source)
        return module

    def function(self, module: c_void_p, name: str) -> c_void_p:
        """A kernel of a module."""
        function = c_void_p()
        self._call("cuModuleGetFunction", byref(function), module, name.encode())
        return function

    def memory(self, size: int) -> int:
        """Allocate device memory until the process ends, and return its address."""
        address = c_uint64()
        self._call("cuMemAlloc_v2", byref(address), size)
        return address.value

    def launch(self, function: c_void_p, blocks: int, threads: int, arguments: Sequence[Any] = ()) -> None:
        """Launch a kernel with arguments that are values of ctypes, without waiting for it."""
        pointers = (c_void_p * len(arguments))(*[ctypes.cast(byref(value), c_void_p) for value in arguments])
        self._call("cuLaunchKernel", function, blocks, 1, 1, threads, 1, 1, 0, STREAM, pointers, None)

    def copy(self, target: int, source: int, size: int) -> None:
        """Start a copy within device memory, without waiting for it."""
        self._call("cuMemcpyDtoDAsync_v2", target, source, size, STREAM)

    def read(self, target: Any, source: int) -> None:
        """Fill an array of ctypes from device memory."""
        self._call("cuMemcpyDtoH_v2", target, source, ctypes.sizeof(target))

    def event(self) -> c_void_p:
        """Make an event that records its time."""
        event = c_void_p()
        self._call("cuEventCreate", byref(event), 0)
        return event

    def record(self, event: c_void_p) -> None:
        """Record an event when all work that was given to the device so far is done."""
        self._call("cuEventRecord", event, STREAM)

    def wait(self, event: c_void_p) -> None:
        """Wait until an event was recorded."""
        self._call("cuEventSynchronize", event)

    def between_s(self, begin: c_void_p, end: c_void_p) -> float:
        """Seconds from one event to another."""
        span_ms = c_float()
        self._call("cuEventElapsedTime", byref(span_ms), begin, end)
        return span_ms.value / 1e3

    def synchronize(self) -> None:
        """Wait until all work is done."""
        self._call("cuCtxSynchronize")
