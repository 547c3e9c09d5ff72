/* Virtual memory management, for expandable segments: addresses are address space, handles are bytes of the device. */
#include <pthread.h>
#include "emu.h"
#include "api.h"
#include "memory.h"

D(cuMemGetAllocationGranularity)(size_t *g, const CUmemAllocationProp *p, CUmemAllocationGranularity_flags f) { (void)p; (void)f; *g = GRAIN; OK; }
D(cuMemAddressReserve)(CUdeviceptr *p, size_t size, size_t align, CUdeviceptr hint, unsigned long long flags) {
    (void)align; (void)hint; (void)flags;
    pthread_mutex_lock(&lock);
    arena(current);
    static uintptr_t reserved[MAX_DEVICES];
    if (!reserved[current]) reserved[current] = memory[current].base + 4 * total_bytes();
    if (reserved[current] - size < memory[current].fresh) { pthread_mutex_unlock(&lock); return CUDA_ERROR_OUT_OF_MEMORY; }
    reserved[current] = (reserved[current] - size) & ~(GRAIN - 1); /* from the arena's end */
    *p = reserved[current];
    pthread_mutex_unlock(&lock);
    OK;
}
D(cuMemAddressFree)(CUdeviceptr p, size_t size) { (void)p; (void)size; OK; }
D(cuMemCreate)(CUmemGenericAllocationHandle *h, size_t size, const CUmemAllocationProp *p, unsigned long long flags) {
    (void)p; (void)flags; HIT("cuMemCreate");
    if (memory[current].used + size > total_bytes() - setting("EMU_CONTEXT_MIB", 512) * MIB) return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&lock);
    memory[current].used += size;
    if (memory[current].used > memory[current].peak) memory[current].peak = memory[current].used;
    pthread_mutex_unlock(&lock);
    *h = size;
    OK;
}
D(cuMemRelease)(CUmemGenericAllocationHandle h) { pthread_mutex_lock(&lock); memory[current].used -= h; pthread_mutex_unlock(&lock); OK; }
D(cuMemMap)(CUdeviceptr p, size_t n, size_t o, CUmemGenericAllocationHandle h, unsigned long long f) { (void)p; (void)n; (void)o; (void)h; (void)f; OK; }
D(cuMemUnmap)(CUdeviceptr p, size_t n) { (void)p; (void)n; OK; }
D(cuMemSetAccess)(CUdeviceptr p, size_t n, const CUmemAccessDesc *d, size_t c) { (void)p; (void)n; (void)d; (void)c; OK; }
