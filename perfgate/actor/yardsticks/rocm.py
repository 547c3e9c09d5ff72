"""The yardstick of AMD's GPUs: the work of CUDA's, through HIP. It was written from documentation and has never run.

HIP has CUDA's calls under its own names (https://rocm.docs.amd.com/projects/HIP/en/latest/), and its runtime compiler
(hipRTC) compiles the two kernels from C++ for the device that the process sees.
"""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_void_p
from typing import Any

from perfgate.actor.devices.driver import SIGNATURES, Driver, DriverError
from perfgate.actor.yardsticks.cuda import GpuYardstick
from perfgate.shared.device_kinds import DEVICE_KINDS

NAMES = {
    "cuInit": "hipInit",
    "cuDeviceGetCount": "hipGetDeviceCount",
    "cuDeviceGet": "hipDeviceGet",
    "cuDeviceGetAttribute": "hipDeviceGetAttribute",
    "cuCtxSynchronize": "hipDeviceSynchronize",
    "cuModuleLoadData": "hipModuleLoadData",
    "cuModuleGetFunction": "hipModuleGetFunction",
    "cuMemAlloc_v2": "hipMalloc",
    "cuMemcpyDtoDAsync_v2": "hipMemcpyDtoDAsync",
    "cuMemcpyDtoH_v2": "hipMemcpyDtoH",
    "cuLaunchKernel": "hipModuleLaunchKernel",
    "cuEventCreate": "hipEventCreateWithFlags",
    "cuEventRecord": "hipEventRecord",
    "cuEventSynchronize": "hipEventSynchronize",
    "cuEventElapsedTime": "hipEventElapsedTime",
}
COMPILER: dict[str, tuple[Any, ...]] = {
    "hiprtcCreateProgram": (POINTER(c_void_p), c_char_p, c_char_p, c_int, c_void_p, c_void_p),
    "hiprtcCompileProgram": (c_void_p, c_int, c_void_p),
    "hiprtcGetCodeSize": (c_void_p, POINTER(c_size_t)),
    "hiprtcGetCode": (c_void_p, c_char_p),
}
SOURCE = b"""
extern "C" __global__ void nothing() {}

extern "C" __global__ void arithmetic(float *sums, unsigned rounds, float factor, float term) {
    unsigned thread = blockIdx.x * blockDim.x + threadIdx.x;
    float a = thread, b = a + term, c = b + term, d = c + term;
    for (; rounds; rounds--) {
        a = fmaf(a, factor, term), b = fmaf(b, factor, term), c = fmaf(c, factor, term), d = fmaf(d, factor, term);
        a = fmaf(a, factor, term), b = fmaf(b, factor, term), c = fmaf(c, factor, term), d = fmaf(d, factor, term);
    }
    sums[thread] = (a + b) + (c + d);
}
"""


class HipDriver(Driver):
    """The only GPU that is visible to this process.

    Args:
        library: HIP's shared library.
        compiler: the shared library of its runtime compiler.
    """

    title = "ROCm"
    signatures = {name: SIGNATURES[name] for name in NAMES}  # noqa: RUF012  as in the base class
    names = NAMES
    multiprocessor_count = 63  # hipDeviceAttributeMultiprocessorCount

    def __init__(self, library: str, compiler: str = "libhiprtc.so") -> None:
        super().__init__(library)
        self._compiler_name = compiler

    def _enter(self, device: c_int) -> None:
        """Do nothing: HIP uses the first device, and only one is visible."""

    def _error(self, code: int) -> str:
        texts = []
        for name in ("hipGetErrorName", "hipGetErrorString"):
            function = getattr(self._library, name)
            function.argtypes, function.restype = (c_int,), c_char_p
            texts.append(function(code))
        return ", ".join(text.decode() for text in texts if text) or f"error {code}, which HIP does not name"

    def module(self, source: bytes) -> c_void_p:
        """Compile a module for the device from HIP's C++.

        Raises:
            DriverError: there is no compiler, or it refuses.
        """
        try:
            compiler = ctypes.CDLL(self._compiler_name)
            for name, types in COMPILER.items():
                function = getattr(compiler, name)
                function.argtypes, function.restype = types, c_int
        except (OSError, AttributeError) as error:
            raise DriverError(f"HIP's compiler cannot be used: {error}") from None
        program, size = c_void_p(), c_size_t()
        compiled(compiler, "hiprtcCreateProgram", byref(program), source, b"yardstick.hip", 0, None, None)
        compiled(compiler, "hiprtcCompileProgram", program, 0, None)
        compiled(compiler, "hiprtcGetCodeSize", program, byref(size))
        code = ctypes.create_string_buffer(size.value)
        compiled(compiler, "hiprtcGetCode", program, code)
        return super().module(code.raw)


def compiled(compiler: Any, name: str, *arguments: Any) -> None:
    """Call the compiler.

    Raises:
        DriverError: it refuses.
    """
    if code := getattr(compiler, name)(*arguments):
        raise DriverError(f"{name} failed: error {code}")


class RocmYardstick(GpuYardstick):
    """The parts of CUDA's yardstick, on a GPU of AMD."""

    version = DEVICE_KINDS["rocm"].yardstick_version
    driver_of = HipDriver
    library = "libamdhip64.so"
    kernels = SOURCE
