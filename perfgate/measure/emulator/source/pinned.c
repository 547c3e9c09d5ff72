/* Memory of the host that CUDA knows: pinned or registered, and what a pointer points to. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "emu.h"
#include "api.h"
#include "memory.h"

Range *pinned;
size_t pinned_bytes;

static cudaError_t pin(void **p, size_t size) {
    HIT("cudaHostAlloc");
    void *at = mmap(NULL, (size + 4095) & ~4095ull, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return failed(cudaErrorMemoryAllocation);
    Range *range = calloc(1, sizeof *range);
    range->begin = (uintptr_t)at; range->size = size; range->real = 1;
    pthread_mutex_lock(&lock);
    range->next = pinned; pinned = range; pinned_bytes += size;
    pthread_mutex_unlock(&lock);
    *p = at;
    DONE;
}

static void unpin(void *p) {
    pthread_mutex_lock(&lock);
    for (Range **at = &pinned; *at; at = &(*at)->next)
        if ((*at)->begin == (uintptr_t)p) {
            Range *range = *at;
            *at = range->next;
            pinned_bytes -= range->size;
            if (range->real) munmap(p, (range->size + 4095) & ~4095ull);
            free(range);
            break;
        }
    pthread_mutex_unlock(&lock);
}
R(cudaHostAlloc)(void **p, size_t size, unsigned flags) { (void)flags; return pin(p, size); }
R(cudaMallocHost)(void **p, size_t size) { return pin(p, size); }
R(cudaFreeHost)(void *p) { unpin(p); DONE; }
R(cudaHostGetDevicePointer)(void **d, void *h, unsigned flags) { (void)flags; *d = h; DONE; }
R(cudaHostRegister)(void *p, size_t size, unsigned flags) {
    (void)flags; HIT("cudaHostRegister");
    Range *range = calloc(1, sizeof *range);
    range->begin = (uintptr_t)p; range->size = size;
    pthread_mutex_lock(&lock);
    range->next = pinned; pinned = range; pinned_bytes += size;
    pthread_mutex_unlock(&lock);
    DONE;
}
R(cudaHostUnregister)(void *p) { unpin(p); DONE; }
R(cudaPointerGetAttributes)(struct cudaPointerAttributes *a, const void *p) {
    memset(a, 0, sizeof *a);
    int device = device_of(p);
    pthread_mutex_lock(&lock);
    Range *range = device < 0 ? range_of(pinned, p) : NULL;
    pthread_mutex_unlock(&lock);
    a->type = device >= 0 ? cudaMemoryTypeDevice : range ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
    a->device = device >= 0 ? device : range ? current : -2;
    a->devicePointer = device >= 0 || range ? (void *)p : NULL;
    a->hostPointer = device >= 0 ? NULL : (void *)p;
    DONE;
}
D(cuPointerGetAttribute)(void *value, CUpointer_attribute which, CUdeviceptr p) {
    int device = device_of((void *)p);
    switch (which) {
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: case CU_POINTER_ATTRIBUTE_HOST_POINTER: *(CUdeviceptr *)value = p; break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: *(unsigned *)value = device >= 0 ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST; break;
    case CU_POINTER_ATTRIBUTE_CONTEXT: *(CUcontext *)value = context_of(current); break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *(int *)value = device; break;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID: *(unsigned long long *)value = p >> 21; break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    return device >= 0 || range_of(pinned, (void *)p) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
