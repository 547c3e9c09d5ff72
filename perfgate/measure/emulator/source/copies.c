/* Copies and fills: counted. What comes from the device to the host is zeros, but for the exceptions in reads.c. */
#include <string.h>
#include "emu.h"
#include "api.h"
#include "kernels.h"
#include "memory.h"
#include "reads.h"
#include "streams.h"

static cudaError_t copy(void *to, const void *from, size_t size, void *stream) {
    int into = device_of(to) >= 0, out = device_of(from) >= 0;
    int kind = out ? (into ? cudaMemcpyDeviceToDevice : cudaMemcpyDeviceToHost)
                   : (into ? cudaMemcpyHostToDevice : cudaMemcpyHostToHost);
    if (captures && stream_at(stream)->capturing) { HIT("captured copy"); stream_at(stream)->capturing->copies++; DONE; }
    static const char *const names[] = {"copy HtoH", "copy HtoD", "copy DtoH", "copy DtoD"};
    static Counter books[4], bytes[4];
    books[kind].name = names[kind]; emu_hit(&books[kind]);
    static const char *const sums[] = {"bytes HtoH", "bytes HtoD", "bytes DtoH", "bytes DtoD"};
    bytes[kind].name = sums[kind]; emu_hit(&bytes[kind]);
    __atomic_fetch_add(&bytes[kind].n, size - 1, __ATOMIC_RELAXED);
    cudaError_t error = cudaSuccess;
    if (kind == cudaMemcpyHostToHost || is_real(into ? to : from)) { if (size) memmove(to, from, size); }
    else if (kind == cudaMemcpyDeviceToHost) error = read_back(to, from, size);
    else if (kind == cudaMemcpyHostToDevice) wrote(to, size, from, size);
    else moved(to, from, size);
    if (emu_activities) emu_activity(EMU_COPY, "copy", stream, 0, 0, size, kind);
    return error;
}

static void set(void *at, int value, size_t size, void *stream) {
    if (captures && stream_at(stream)->capturing) { HIT("captured memset"); return; }
    HIT("memset");
    unsigned char unit = (unsigned char)value;
    if (is_real(at)) memset(at, value, size);
    else wrote(at, size, &unit, 1);
    if (emu_activities) emu_activity(EMU_SET, "memset", stream, 0, 0, size, 0);
}
R(cudaMemcpy)(void *to, const void *from, size_t size, enum cudaMemcpyKind kind) {
    (void)kind; HIT("blocking copy"); return copy(to, from, size, NULL);
}
R(cudaMemcpyAsync)(void *to, const void *from, size_t size, enum cudaMemcpyKind kind, cudaStream_t stream) {
    (void)kind; return copy(to, from, size, stream);
}
R(cudaMemcpyPeerAsync)(void *to, int a, const void *from, int b, size_t size, cudaStream_t stream) {
    (void)a; (void)b; return copy(to, from, size, stream);
}
R(cudaMemcpy2DAsync)(void *to, size_t tp, const void *from, size_t fp, size_t width, size_t height, enum cudaMemcpyKind kind, cudaStream_t stream) {
    (void)kind; 
    for (size_t i = 0; i < height; i++)
        if (copy((char *)to + i * tp, (const char *)from + i * fp, width, stream)) return cudaErrorNotSupported;
    DONE;
}
R(cudaMemcpyToSymbol)(const void *s, const void *from, size_t n, size_t o, enum cudaMemcpyKind kind) {
    (void)s; (void)from; (void)n; (void)o; (void)kind; HIT("copy to symbol"); DONE;
}
R(cudaMemset)(void *at, int value, size_t size) { set(at, value, size, NULL); DONE; }
R(cudaMemsetAsync)(void *at, int value, size_t size, cudaStream_t stream) { set(at, value, size, stream); DONE; }
static CUresult driver(cudaError_t error) { return error ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS; }
D(cuMemcpyDtoDAsync)(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream s) { return driver(copy((void *)to, (void *)from, size, s)); }
D(cuMemcpyDtoH)(void *to, CUdeviceptr from, size_t size) { HIT("blocking copy"); return driver(copy(to, (void *)from, size, NULL)); }
D(cuMemcpyHtoD)(CUdeviceptr to, const void *from, size_t size) { HIT("blocking copy"); return driver(copy((void *)to, from, size, NULL)); }
D(cuMemcpyHtoDAsync)(CUdeviceptr to, const void *from, size_t size, CUstream s) { return driver(copy((void *)to, from, size, s)); }
D(cuMemcpyDtoHAsync)(void *to, CUdeviceptr from, size_t size, CUstream s) { return driver(copy(to, (void *)from, size, s)); }
D(cuMemsetD8Async)(CUdeviceptr p, unsigned char v, size_t n, CUstream s) { set((void *)p, v, n, s); OK; }
D(cuMemsetD32Async)(CUdeviceptr p, unsigned v, size_t n, CUstream s) { set((void *)p, (int)v, 4 * n, s); if (!is_real((void *)p)) wrote((void *)p, 4 * n, &v, 4); OK; }
