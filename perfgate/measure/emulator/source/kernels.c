/* Kernels by the address of their host function, or by name where there is none, and their attributes. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "emu.h"
#include "api.h"
#include "kernels.h"
#include "needs.h"
#include "profile.h"

#define SLOTS (1u << 19)
static Kernel *slots[SLOTS];
static Kernel *named;
static unsigned slot_of(const void *p) { return (unsigned)(((uintptr_t)p >> 2) * 2654435761u) & (SLOTS - 1); }

Kernel *kernel_at(const void *host) {
    for (unsigned i = slot_of(host); slots[i]; i = (i + 1) & (SLOTS - 1))
        if (slots[i]->host == host) return slots[i];
    return NULL;
}

/* A kernel by what stands for it: a host function, or a kernel of a library. */
Kernel *kernel_of(const void *f) {
    Kernel *kernel = kernel_at(f);
    for (Kernel *k = named; k && !kernel; k = (Kernel *)k->host) if ((const void *)k == f) kernel = k;
    return kernel;
}

static void enter(const void *host, const char *name, const Image *image) {
    pthread_mutex_lock(&lock);
    unsigned i = slot_of(host);
    while (slots[i] && slots[i]->host != host) i = (i + 1) & (SLOTS - 1);
    if (!slots[i]) {
        Kernel *kernel = calloc(1, sizeof *kernel);
        kernel->host = host; kernel->name = name; kernel->image = image;
        slots[i] = kernel;
    }
    pthread_mutex_unlock(&lock);
}

Kernel *emu_kernel(const char *name) {
    pthread_mutex_lock(&lock);
    Kernel *kernel = named;
    while (kernel && strcmp(kernel->name, name)) kernel = (Kernel *)kernel->host;
    if (!kernel) {
        kernel = calloc(1, sizeof *kernel);
        kernel->name = strdup(name);
        kernel->host = named; /* a list of its own */
        named = kernel;
    }
    pthread_mutex_unlock(&lock);
    return kernel;
}

API void **CUDARTAPI __cudaRegisterFatBinary(void *binary) { return (void **)emu_image(binary); }
API void CUDARTAPI __cudaRegisterFatBinaryEnd(void **handle) { (void)handle; }
API void CUDARTAPI __cudaUnregisterFatBinary(void **handle) { (void)handle; }
API char CUDARTAPI __cudaInitModule(void **handle) { (void)handle; return 1; }
API void CUDARTAPI __cudaRegisterVar(void **h, char *hv, char *da, const char *dn, int ext, size_t size, int constant, int global) {
    (void)h; (void)hv; (void)da; (void)dn; (void)ext; (void)size; (void)constant; (void)global;
}
API void CUDARTAPI __cudaRegisterManagedVar(void **h, void **hv, char *da, const char *dn, int ext, size_t size, int c, int g) {
    (void)h; (void)hv; (void)da; (void)dn; (void)ext; (void)size; (void)c; (void)g;
}
API void CUDARTAPI __cudaRegisterFunction(void **h, const char *host, char *device, const char *name, int limit, uint3 *tid, uint3 *bid, dim3 *bd, dim3 *gd, int *ws) {
    (void)device; (void)limit; (void)tid; (void)bid; (void)bd; (void)gd; (void)ws;
    enter(host, name, (const Image *)h);
}
R(__cudaGetKernel)(cudaKernel_t *kernel, const void *f) { *kernel = (cudaKernel_t)kernel_at(f); DONE; }
R(cudaFuncGetAttributes)(struct cudaFuncAttributes *a, const void *f) {
    const Kernel *kernel = kernel_at(f);
    const Image *image = kernel ? kernel->image : NULL;
    memset(a, 0, sizeof *a);
    if (image && !image->binary) return failed(cudaErrorNoKernelImageForDevice);
    a->binaryVersion = image ? image->binary : (int)emu_profile()->capability;
    a->ptxVersion = image ? image->ptx : a->binaryVersion;
    Needs needs = emu_needs(kernel);
    a->maxThreadsPerBlock = 1024; a->numRegs = needs.registers; a->sharedSizeBytes = needs.shared_bytes; a->maxDynamicSharedSizeBytes = 49152;
    DONE;
}
R(cudaFuncSetAttribute)(const void *f, enum cudaFuncAttribute which, int value) { (void)f; (void)which; (void)value; DONE; }
R(cudaFuncSetCacheConfig)(const void *f, enum cudaFuncCache c) { (void)f; (void)c; DONE; }
R(cudaFuncGetName)(const char **name, const void *f) { Kernel *k = kernel_at(f); *name = k ? k->name : ""; DONE; }
R(cudaKernelSetAttributeForDevice)(cudaKernel_t k, enum cudaFuncAttribute which, int value, int d) { (void)k; (void)which; (void)value; (void)d; DONE; }
D(cuKernelSetAttribute)(CUfunction_attribute which, int v, CUkernel k, CUdevice d) { (void)which; (void)v; (void)k; (void)d; OK; }
D(cuKernelGetAttribute)(int *value, CUfunction_attribute which, CUkernel k, CUdevice d) { (void)d; return cuFuncGetAttribute(value, which, (CUfunction)k); }
D(cuFuncGetAttribute)(int *value, CUfunction_attribute which, CUfunction f) {
    (void)f;
    *value = which == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : which == CU_FUNC_ATTRIBUTE_NUM_REGS ? 32
           : which == CU_FUNC_ATTRIBUTE_BINARY_VERSION || which == CU_FUNC_ATTRIBUTE_PTX_VERSION ? (int)emu_profile()->capability : 0;
    OK;
}
D(cuFuncSetAttribute)(CUfunction f, CUfunction_attribute which, int v) { (void)f; (void)which; (void)v; OK; }
D(cuFuncSetCacheConfig)(CUfunction f, CUfunc_cache c) { (void)f; (void)c; OK; }

/* Blocks that a multiprocessor holds: registers come in units of 256 for a warp, and a block reserves a KiB of shared memory. */
static int occupancy(const Kernel *kernel, int block, size_t dynamic) {
    Needs needs = emu_needs(kernel);
    int warps = (block + 31) / 32, of_warp = (needs.registers * 32 + 255) / 256 * 256;
    int by_registers = warps ? (int)emu_profile()->registers / of_warp / warps : 1;
    size_t shared = dynamic + needs.shared_bytes;
    int threads = block > 0 ? (int)emu_profile()->threads / ((block + 31) / 32 * 32) : 1;
    int blocks = (int)emu_profile()->blocks, memory_ = shared ? (int)(emu_profile()->shared_bytes / (shared + 1024)) : blocks;
    int least = threads < memory_ ? threads : memory_;
    if (by_registers < least) least = by_registers;
    return least > blocks ? blocks : least < 1 ? 1 : least;
}
R(cudaOccupancyMaxActiveBlocksPerMultiprocessor)(int *n, const void *f, int block, size_t shared) { *n = occupancy(kernel_of(f), block, shared); DONE; }
R(cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags)(int *n, const void *f, int block, size_t shared, unsigned flags) { (void)flags; *n = occupancy(kernel_of(f), block, shared); DONE; }
D(cuOccupancyMaxActiveBlocksPerMultiprocessor)(int *n, CUfunction f, int block, size_t shared) { *n = occupancy((const Kernel *)f, block, shared); OK; }
D(cuOccupancyMaxActiveClusters)(int *n, CUfunction f, const CUlaunchConfig *c) { (void)f; (void)c; *n = 16; OK; }
