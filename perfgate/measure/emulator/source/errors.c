/* Errors, by number, name and text: the last one of a thread, for the runtime and for the driver. */
#include "emu.h"
#include "api.h"

static __thread cudaError_t last_error;
cudaError_t failed(cudaError_t error) { if (error) last_error = error; return error; }

/* An error's text for people: as CUDA has it for those that programs compare, else its name. */
static const char *told(int error, const char *name) {
    switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorNoKernelImageForDevice: return "no kernel image is available for execution on the device";
    case cudaErrorNotSupported: return *emu_why() ? emu_why() : "operation not supported";
    default: return name;
    }
}
R(cudaGetLastError)(void) { cudaError_t was = last_error; last_error = cudaSuccess; return was; }
R(cudaPeekAtLastError)(void) { return last_error; }
API const char *CUDARTAPI cudaGetErrorName(cudaError_t error) { return emu_error_name(error); }
API const char *CUDARTAPI cudaGetErrorString(cudaError_t error) { return told(error, emu_error_name(error)); }
D(cuGetErrorString)(CUresult e, const char **text) { *text = told(e, emu_result_name(e)); OK; }
D(cuGetErrorName)(CUresult e, const char **text) { *text = emu_result_name(e); OK; }
