/* Memory of devices: address space alone, in pages of 2 MiB, up to what the card has less its context (EMU_CONTEXT_MIB, 512). */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "emu.h"
#include "api.h"
#include "memory.h"
#include "profile.h"

Memory memory[MAX_DEVICES];
size_t total_bytes(void) { return (emu_profile()->memory_mib - emu_profile()->reserved_mib) * MIB; }

uintptr_t arena(int device) {
    if (!memory[device].base) {
        size_t room = 4 * total_bytes();
        void *at = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) { perror("emu: no address space"); abort(); }
        memory[device].base = memory[device].fresh = ((uintptr_t)at + GRAIN - 1) & ~(GRAIN - 1);
    }
    return memory[device].base;
}

Range *range_of(Range *list, const void *p) {
    for (; list; list = list->next) if ((uintptr_t)p - list->begin < list->size) return list;
    return NULL;
}

int device_of(const void *p) {
    for (int i = 0; i < MAX_DEVICES; i++)
        if (memory[i].base && (uintptr_t)p - memory[i].base < 4 * total_bytes()) return i;
    return -1;
}

/* In pages of 2 MiB, as the driver gives them; smaller requests share none here, so the books err on the large side. */
int reserve(void **result, size_t size, int real) {
    size_t whole = (size + GRAIN - 1) & ~(GRAIN - 1);
    pthread_mutex_lock(&lock);
    arena(current);
    size_t limit = total_bytes() - setting("EMU_CONTEXT_MIB", 512) * MIB;
    if (memory[current].used + whole > limit) { pthread_mutex_unlock(&lock); return 0; }
    Range **at = &memory[current].holes, *range = NULL;
    for (; *at; at = &(*at)->next)
        if ((*at)->size == whole) { range = *at; *at = range->next; break; }
    if (!range) {
        range = calloc(1, sizeof *range);
        range->begin = memory[current].fresh;
        range->size = whole;
        memory[current].fresh += whole;
    }
    range->device = current; range->real = real;
    range->next = memory[current].live;
    memory[current].live = range;
    memory[current].used += whole;
    memory[current].allocations++;
    if (memory[current].used > memory[current].peak) memory[current].peak = memory[current].used;
    pthread_mutex_unlock(&lock);
    *result = (void *)range->begin;
    return 1;
}

int give_back(void *p) {
    int device = device_of(p), found = 0;
    if (device < 0) return 0;
    pthread_mutex_lock(&lock);
    for (Range **at = &memory[device].live; *at; at = &(*at)->next)
        if ((*at)->begin == (uintptr_t)p) {
            Range *range = *at;
            *at = range->next;
            memory[device].used -= range->size;
            if (range->real) madvise(p, range->size, MADV_DONTNEED);
            range->next = memory[device].holes;
            memory[device].holes = range;
            found = 1;
            break;
        }
    pthread_mutex_unlock(&lock);
    return found;
}

int is_real(const void *p) {
    int device = device_of(p);
    Range *range = device < 0 ? NULL : range_of(memory[device].live, p);
    return range && range->real;
}
R(cudaMalloc)(void **p, size_t size) {
    HIT("cudaMalloc");
    initialised = 1;
    if (!size) { *p = NULL; DONE; }
    return reserve(p, size, 0) ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}
R(cudaMallocAsync)(void **p, size_t size, cudaStream_t stream) { (void)stream; HIT("cudaMallocAsync"); return cudaMalloc(p, size); }
R(cudaMallocManaged)(void **p, size_t size, unsigned flags) { (void)flags; HIT("cudaMallocManaged"); return reserve(p, size, 1) ? cudaSuccess : failed(cudaErrorMemoryAllocation); }
R(cudaFree)(void *p) { HIT("cudaFree"); return !p || give_back(p) ? cudaSuccess : failed(cudaErrorInvalidValue); }
R(cudaFreeAsync)(void *p, cudaStream_t stream) { (void)stream; return cudaFree(p); }
R(cudaMemGetInfo)(size_t *free_, size_t *total) {
    initialised = 1;
    *total = total_bytes();
    *free_ = *total - setting("EMU_CONTEXT_MIB", 512) * MIB - memory[current].used;
    DONE;
}
R(cudaGetSymbolAddress)(void **p, const void *symbol) { (void)symbol; return reserve(p, 4096, 1) ? cudaSuccess : failed(cudaErrorMemoryAllocation); }
R(cudaDeviceGetDefaultMemPool)(cudaMemPool_t *pool, int device) { static char pools[MAX_DEVICES]; *pool = (cudaMemPool_t)&pools[device]; DONE; }
R(cudaMemPoolGetAttribute)(cudaMemPool_t pool, enum cudaMemPoolAttr which, void *value) { (void)pool; (void)which; *(uint64_t *)value = 0; DONE; }
R(cudaMemPoolSetAttribute)(cudaMemPool_t pool, enum cudaMemPoolAttr which, void *value) { (void)pool; (void)which; (void)value; DONE; }
R(cudaMemPoolSetAccess)(cudaMemPool_t pool, const struct cudaMemAccessDesc *d, size_t n) { (void)pool; (void)d; (void)n; DONE; }
R(cudaMemPoolTrimTo)(cudaMemPool_t pool, size_t n) { (void)pool; (void)n; DONE; }
R(cudaDeviceGetGraphMemAttribute)(int d, enum cudaGraphMemAttributeType which, void *value) { (void)d; (void)which; *(uint64_t *)value = 0; DONE; }
R(cudaDeviceSetGraphMemAttribute)(int d, enum cudaGraphMemAttributeType which, void *value) { (void)d; (void)which; (void)value; DONE; }
D(cuMemAlloc)(CUdeviceptr *p, size_t size) { HIT("cuMemAlloc"); return reserve((void **)p, size, 1) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY; }
D(cuMemFree)(CUdeviceptr p) { give_back((void *)p); OK; }
D(cuMemGetInfo)(size_t *f, size_t *t) { cudaMemGetInfo(f, t); OK; }
D(cuMemGetAddressRange)(CUdeviceptr *base, size_t *size, CUdeviceptr p) {
    int device = device_of((void *)p);
    Range *range = device < 0 ? NULL : range_of(memory[device].live, (void *)p);
    if (!range) return CUDA_ERROR_NOT_FOUND;
    if (base) *base = range->begin;
    if (size) *size = range->size;
    OK;
}
