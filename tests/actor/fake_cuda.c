/* A CUDA driver of two multiprocessors that keeps its books on the host, for tests of what calls it.
 *
 * FAKE_CUDA_FAIL=NAME lets that call fail for want of memory, FAKE_CUDA_WRONG=1 lets it compute wrongly. Where the
 * toolkit's header is there, the compiler holds these functions against it. */
#include <stdlib.h>
#include <string.h>
#if __has_include(<cuda.h>)
#include <cuda.h>
#undef cuEventElapsedTime
#else
typedef int CUresult, CUdevice, CUdevice_attribute;
typedef unsigned long long CUdeviceptr;
typedef void *CUcontext, *CUmodule, *CUfunction, *CUstream, *CUevent;
#define cuMemAlloc cuMemAlloc_v2
#define cuMemcpyDtoDAsync cuMemcpyDtoDAsync_v2
#define cuMemcpyDtoH cuMemcpyDtoH_v2
#endif

int empty_launches, copies, waits, current;
static char nothing, arithmetic, context, module, stamps[8];
static int events;

static CUresult answer(const char *name) {
    const char *failing = getenv("FAKE_CUDA_FAIL");
    return failing && !strcmp(failing, name) ? 2 : 0;
}

CUresult cuGetErrorName(CUresult code, const char **text) {
    *text = code == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : NULL;
    return code == 2 ? 0 : 1;
}

CUresult cuGetErrorString(CUresult code, const char **text) {
    *text = code == 2 ? "out of memory" : NULL;
    return code == 2 ? 0 : 1;
}

CUresult cuInit(unsigned int flags) { return flags ? 1 : answer("cuInit"); }

CUresult cuDeviceGetCount(int *count) {
    *count = getenv("FAKE_CUDA_TWO") ? 2 : 1;
    return answer("cuDeviceGetCount");
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    *device = 7;
    return ordinal ? 101 : answer("cuDeviceGet");
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    *value = 2;
    return attribute == 16 && device == 7 ? answer("cuDeviceGetAttribute") : 1;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *found, CUdevice device) {
    *found = (CUcontext)&context;
    return device == 7 ? answer("cuDevicePrimaryCtxRetain") : 101;
}

CUresult cuCtxSetCurrent(CUcontext wanted) {
    current = wanted == (CUcontext)&context;
    return current ? answer("cuCtxSetCurrent") : 201;
}

CUresult cuCtxSynchronize(void) {
    waits++;
    return current ? answer("cuCtxSynchronize") : 201;
}

CUresult cuModuleLoadData(CUmodule *found, const void *image) {
    *found = (CUmodule)&module;
    return strstr(image, ".visible .entry arithmetic(") ? answer("cuModuleLoadData") : 218;
}

CUresult cuModuleGetFunction(CUfunction *found, CUmodule from, const char *name) {
    *found = (CUfunction)(!strcmp(name, "nothing") ? &nothing : !strcmp(name, "arithmetic") ? &arithmetic : NULL);
    return *found && from == (CUmodule)&module ? answer("cuModuleGetFunction") : 500;
}

CUresult cuMemAlloc(CUdeviceptr *address, size_t size) {
    *address = (CUdeviceptr)malloc(size);
    return answer("cuMemAlloc_v2");
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr target, CUdeviceptr source, size_t size, CUstream stream) {
    copies++;
    return target && source && target != source && size == 1 << 27 && !stream ? answer("cuMemcpyDtoDAsync_v2") : 1;
}

CUresult cuMemcpyDtoH(void *target, CUdeviceptr source, size_t size) {
    memcpy(target, (const void *)source, size);
    return answer("cuMemcpyDtoH_v2");
}

CUresult cuLaunchKernel(CUfunction function, unsigned int x, unsigned int y, unsigned int z, unsigned int block_x,
                        unsigned int block_y, unsigned int block_z, unsigned int shared, CUstream stream,
                        void **arguments, void **extra) {
    if (y != 1 || z != 1 || block_y != 1 || block_z != 1 || shared || stream || extra) return 1;
    if (function == (CUfunction)&nothing) {
        empty_launches++;
        return answer("cuLaunchKernel");
    }
    float *sums = (float *)*(CUdeviceptr *)arguments[0], factor = *(float *)arguments[2], term = *(float *)arguments[3];
    /* Far fewer rounds than asked for bring it to its end. */
    unsigned int rounds = *(unsigned int *)arguments[1] < 50 ? 0 : 50;
    for (unsigned int thread = 0; thread < x * block_x; thread++) {
        float chain[4] = {thread, thread + term, thread + 2 * term, thread + 3 * term};
        for (unsigned int round = 0; round < rounds; round++)
            for (int n = 0; n < 4; n++) chain[n] = chain[n] * factor + term;
        sums[thread] = chain[0] + chain[1] + chain[2] + chain[3] + (getenv("FAKE_CUDA_WRONG") && thread == 5);
    }
    return answer("cuLaunchKernel");
}

CUresult cuEventCreate(CUevent *event, unsigned int flags) {
    *event = (CUevent)&stamps[++events % 8];
    return flags ? 1 : answer("cuEventCreate");
}

CUresult cuEventRecord(CUevent event, CUstream stream) { return event && !stream ? answer("cuEventRecord") : 400; }

CUresult cuEventSynchronize(CUevent event) { return event ? answer("cuEventSynchronize") : 400; }

CUresult cuEventElapsedTime(float *span_ms, CUevent begin, CUevent end) {
    *span_ms = 1.5f * ((char *)end - (char *)begin);
    return answer("cuEventElapsedTime");
}
