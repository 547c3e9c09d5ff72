/* Devices: which this process sees, and what they tell of themselves. EMU_DEVICES (1) is how many there are. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "emu.h"
#include "api.h"
#include "memory.h"
#include "reads.h"
#include "profile.h"

__thread int current;
int initialised;

API const char *emu_uuid(int device) {
    static char text[MAX_DEVICES][48];
    snprintf(text[device], sizeof *text, "GPU-e0000000-0000-4000-8000-%012d", device + 1);
    return text[device];
}
API int emu_all_devices(void) { long n = setting("EMU_DEVICES", 1); return n > MAX_DEVICES ? MAX_DEVICES : (int)n; }

/* Which of the devices this process sees, as CUDA_VISIBLE_DEVICES says. */
int visible(int *which) {
    static int fixed = -1, order[MAX_DEVICES];
    pthread_mutex_lock(&lock);
    if (fixed < 0 || !initialised) {
        const char *named = getenv("CUDA_VISIBLE_DEVICES");
        int all = emu_all_devices(), n = 0;
        if (!named) for (; n < all; n++) order[n] = n;
        else {
            char copy[1024], *rest = copy, *entry;
            snprintf(copy, sizeof copy, "%s", named);
            while ((entry = strsep(&rest, ",")) && n < MAX_DEVICES) {
                int found = -1;
                while (*entry == ' ') entry++;
                if (*entry >= '0' && *entry <= '9') found = atoi(entry);
                else if (*entry) for (int i = 0; i < all; i++) if (!strncmp(emu_uuid(i), entry, strlen(entry))) found = i;
                if (found < 0 || found >= all) break;
                order[n++] = found;
            }
        }
        fixed = n;
    }
    pthread_mutex_unlock(&lock);
    if (which) memcpy(which, order, sizeof order);
    return fixed;
}
static int physical(int device) { int which[MAX_DEVICES]; visible(which); return which[device]; }
R(cudaGetDeviceCount)(int *count) {
    *count = visible(NULL);
    return *count ? cudaSuccess : failed(cudaErrorNoDevice);
}
R(cudaGetDevice)(int *device) { *device = current; DONE; }
R(cudaSetDevice)(int device) {
    if (device < 0 || device >= visible(NULL)) return failed(visible(NULL) ? cudaErrorInvalidDevice : cudaErrorNoDevice);
    initialised = 1;
    current = device;
    DONE;
}
R(cudaInitDevice)(int device, unsigned a, unsigned b) { (void)a; (void)b; return cudaSetDevice(device); }
R(cudaRuntimeGetVersion)(int *version) { *version = 13000; DONE; }
R(cudaDriverGetVersion)(int *version) { *version = 13000; DONE; }
/* A block may take what a multiprocessor has, less the KiB that each block reserves (none before capability 8.0). */
static long optin(const Profile *card) { return card->shared_bytes - (card->capability >= 80 ? 1024 : 0); }
R(cudaGetDeviceProperties)(struct cudaDeviceProp *p, int device) {
    const Profile *card = emu_profile();
    memset(p, 0, sizeof *p);
    strcpy(p->name, card->name);
    unsigned char uuid[16] = {0xe0, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, (unsigned char)(physical(device) + 1)};
    memcpy(&p->uuid, uuid, 16);
    p->totalGlobalMem = total_bytes();
    p->sharedMemPerBlock = 49152; p->regsPerBlock = card->registers; p->warpSize = 32; p->memPitch = 2147483647;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024; p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647; p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->totalConstMem = 65536; p->major = card->capability / 10; p->minor = card->capability % 10;
    p->textureAlignment = 512; p->texturePitchAlignment = 32; p->multiProcessorCount = card->multiprocessors;
    p->canMapHostMemory = 1; p->concurrentKernels = 1; p->ECCEnabled = 1;
    p->pciBusID = 0x1b + device; p->asyncEngineCount = 3; p->unifiedAddressing = 1;
    p->memoryBusWidth = card->bus_bits; p->l2CacheSize = card->l2_bytes; p->persistingL2CacheMaxSize = 32768000;
    p->maxThreadsPerMultiProcessor = card->threads; p->streamPrioritiesSupported = 1; p->globalL1CacheSupported = 1;
    p->localL1CacheSupported = 1; p->sharedMemPerMultiprocessor = card->shared_bytes; p->regsPerMultiprocessor = card->registers;
    p->managedMemory = 1; p->hostNativeAtomicSupported = 0; p->pageableMemoryAccess = 0; p->concurrentManagedAccess = 1;
    p->computePreemptionSupported = 1; p->canUseHostPointerForRegisteredMem = 1; p->cooperativeLaunch = 1;
    p->sharedMemPerBlockOptin = optin(card); p->maxBlocksPerMultiProcessor = card->blocks; p->accessPolicyMaxWindowSize = 134213632;
    p->reservedSharedMemPerBlock = 1024; p->hostRegisterSupported = 1; p->memoryPoolsSupported = 1;
    p->gpuDirectRDMASupported = 1; p->clusterLaunch = card->capability >= 90; p->unifiedFunctionPointers = 1; p->ipcEventSupported = 1;
    DONE;
}

static int attribute(int *value, int which, int device) { /* the numbers are the driver's as well */
    struct cudaDeviceProp p;
    cudaGetDeviceProperties(&p, device);
    switch (which) {
    case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
    case cudaDevAttrMaxBlockDimX: case cudaDevAttrMaxBlockDimY: *value = 1024; break;
    case cudaDevAttrMaxBlockDimZ: *value = 64; break;
    case cudaDevAttrMaxGridDimX: *value = 2147483647; break;
    case cudaDevAttrMaxGridDimY: case cudaDevAttrMaxGridDimZ: *value = 65535; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = 49152; break;
    case cudaDevAttrTotalConstantMemory: *value = 65536; break;
    case cudaDevAttrWarpSize: *value = 32; break;
    case cudaDevAttrMaxRegistersPerBlock: *value = p.regsPerBlock; break;
    case cudaDevAttrClockRate: *value = (int)emu_profile()->clock_mhz * 1000; break;
    case cudaDevAttrMultiProcessorCount: *value = p.multiProcessorCount; break;
    case cudaDevAttrMemoryClockRate: *value = (int)emu_profile()->memory_clock_mhz * 1000; break;
    case cudaDevAttrGlobalMemoryBusWidth: *value = p.memoryBusWidth; break;
    case cudaDevAttrL2CacheSize: *value = p.l2CacheSize; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = p.maxThreadsPerMultiProcessor; break;
    case cudaDevAttrComputeCapabilityMajor: *value = p.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = p.minor; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = p.sharedMemPerMultiprocessor; break;
    case cudaDevAttrMaxRegistersPerMultiprocessor: *value = p.regsPerMultiprocessor; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = p.sharedMemPerBlockOptin; break;
    case cudaDevAttrMaxBlocksPerMultiprocessor: *value = p.maxBlocksPerMultiProcessor; break;
    case cudaDevAttrClusterLaunch: *value = p.clusterLaunch; break;
    case cudaDevAttrReservedSharedMemoryPerBlock: *value = p.sharedMemPerMultiprocessor - p.sharedMemPerBlockOptin; break;
    case cudaDevAttrAsyncEngineCount: *value = 3; break;
    case cudaDevAttrPciBusId: *value = p.pciBusID; break;
    case cudaDevAttrConcurrentKernels: case cudaDevAttrUnifiedAddressing: case cudaDevAttrEccEnabled:
    case cudaDevAttrStreamPrioritiesSupported: case cudaDevAttrManagedMemory: case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrConcurrentManagedAccess: case cudaDevAttrMemoryPoolsSupported: case cudaDevAttrHostRegisterSupported:
    case cudaDevAttrCanMapHostMemory: case cudaDevAttrComputePreemptionSupported:
    case CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED: *value = 1; break;
    default: *value = 0;
    }
    return 0;
}
R(cudaDeviceGetAttribute)(int *value, enum cudaDeviceAttr which, int device) { attribute(value, which, device); DONE; }
R(cudaDeviceGetPCIBusId)(char *text, int size, int device) { snprintf(text, size, "0000:%02X:00.0", 0x1b + physical(device)); DONE; }
R(cudaDeviceCanAccessPeer)(int *can, int a, int b) { *can = a != b; DONE; }
R(cudaDeviceEnablePeerAccess)(int peer, unsigned flags) { (void)peer; (void)flags; DONE; }
R(cudaDeviceGetStreamPriorityRange)(int *least, int *greatest) { if (least) *least = 0; if (greatest) *greatest = -5; DONE; }
R(cudaDeviceSynchronize)(void) { HIT("device synchronize"); step_ended(); DONE; }
R(cudaDeviceReset)(void) { DONE; }
R(cudaDeviceSetLimit)(enum cudaLimit limit, size_t value) { (void)limit; (void)value; DONE; }
R(cudaDeviceGetLimit)(size_t *value, enum cudaLimit limit) { (void)limit; *value = 1024; DONE; }
R(cudaProfilerStart)(void) { DONE; }
R(cudaProfilerStop)(void) { DONE; }
D(cuInit)(unsigned flags) { (void)flags; initialised = 1; return visible(NULL) ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE; }
D(cuDriverGetVersion)(int *version) { *version = 13000; OK; }
D(cuLogsRegisterCallback)(CUlogsCallback f, void *data, CUlogsCallbackHandle *h) { (void)f; (void)data; if (h) *h = NULL; OK; } /* nothing is logged */
D(cuLogsUnregisterCallback)(CUlogsCallbackHandle h) { (void)h; OK; }
D(cuDeviceGetCount)(int *n) { *n = visible(NULL); OK; }
D(cuDeviceGet)(CUdevice *d, int ordinal) { *d = ordinal; return ordinal < visible(NULL) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE; }
D(cuDeviceGetName)(char *name, int size, CUdevice d) { (void)d; snprintf(name, size, "%s", emu_profile()->name); OK; }
D(cuDeviceTotalMem)(size_t *bytes, CUdevice d) { (void)d; *bytes = total_bytes(); OK; }
D(cuDeviceGetUuid)(CUuuid *uuid, CUdevice d) { struct cudaDeviceProp p; cudaGetDeviceProperties(&p, d); memcpy(uuid, &p.uuid, 16); OK; }
D(cuDeviceGetAttribute)(int *value, CUdevice_attribute which, CUdevice d) { attribute(value, which, d); OK; }
D(cuDeviceComputeCapability)(int *major, int *minor, CUdevice d) { (void)d; *major = emu_profile()->capability / 10; *minor = emu_profile()->capability % 10; OK; }
