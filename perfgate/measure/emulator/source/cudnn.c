/* cuDNN's graph API, handed on to the real library in its deviceless mode (since 9.8): heuristics, support checks and
 * the workspaces of plans are its own, for a device that a JSON text describes. Nothing is executed. What it said of a
 * plan is kept (plans.c), by a key of all that the plan was made of; such a plan is finished only if more is asked of it.
 * EMU_CUDNN=store keeps descriptors here instead, with plans of EMU_CUDNN_WORKSPACE bytes (0). */
#define _GNU_SOURCE
#include <cudnn.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "emu.h"
#include "plans.h"
#include "profile.h"

#define API __attribute__((visibility("default")))
extern void *emu_stream_of(void *handle);

/* The card as cuDNN's deviceless mode reads it. The keys are those that it asks for. */
static int described(char *text, size_t room) {
    const Profile *card = emu_profile();
    return snprintf(text, room,
        "{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":%ld,"
        "\"multiProcessorCount\":%ld,\"smCountOrigin\":0,\"warpSize\":32,\"maxSharedMemoryPerBlock\":49152,"
        "\"maxSharedMemoryPerBlockOptin\":%ld,\"reservedSharedMemoryPerBlock\":%d,\"maxRegistersPerSM\":%ld,"
        "\"maxCtasPerSM\":%ld,\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":%ld,\"pciDeviceId\":590352606,"
        "\"isTccDriver\":0,\"supportCoopLaunch\":1,\"smClockRateKHz\":%ld,\"memClockRateKHz\":%ld,\"l2CacheSize\":%ld,"
        "\"deviceName\":\"%s\",\"deviceVer\":%ld,\"driverVer\":13000,\"cudaDeviceId\":0,\"totalGlobalMem\":%ld}",
        card->registers, card->multiprocessors, card->shared_bytes - (card->capability >= 80 ? 1024 : 0), card->capability >= 80 ? 1024 : 0,
        card->registers, card->blocks, card->threads, card->clock_mhz * 1000, card->memory_clock_mhz * 1000, card->l2_bytes, card->name,
        card->capability * 10, (card->memory_mib - card->reserved_mib) << 20);
}

typedef cudnnStatus_t (*Create)(cudnnBackendDescriptorType_t, cudnnBackendDescriptor_t *);
typedef cudnnStatus_t (*One)(cudnnBackendDescriptor_t);
typedef cudnnStatus_t (*Set)(cudnnBackendDescriptor_t, cudnnBackendAttributeName_t, cudnnBackendAttributeType_t, int64_t, const void *);
typedef cudnnStatus_t (*Get)(cudnnBackendDescriptor_t, cudnnBackendAttributeName_t, cudnnBackendAttributeType_t, int64_t, int64_t *, void *);
static struct { int asked, here; Create create; One destroy, finalize; Set set; Get get; void (*error)(char *, size_t); cudnnBackendDescriptor_t device; Key key; } real;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int debug(void) { const char *text = getenv("EMU_DEBUG"); return text && *text == '1'; }

static int ready(void) {
    pthread_mutex_lock(&lock);
    if (!real.asked) {
        real.asked = 1;
        const char *how = getenv("EMU_CUDNN");
        void *library = how && !strcmp(how, "store") ? NULL : dlopen("libcudnn.so.9", RTLD_NOW | RTLD_NOLOAD);
        if (library) {
            real.create = (Create)dlsym(library, "cudnnBackendCreateDescriptor");
            real.destroy = (One)dlsym(library, "cudnnBackendDestroyDescriptor");
            real.finalize = (One)dlsym(library, "cudnnBackendFinalize");
            real.set = (Set)dlsym(library, "cudnnBackendSetAttribute");
            real.get = (Get)dlsym(library, "cudnnBackendGetAttribute");
            real.error = (void (*)(char *, size_t))dlsym(library, "cudnnGetLastErrorString");
            char card[2048];
            int size = described(card, sizeof card);
            real.here = !real.create(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &real.device)
                && !real.set(real.device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, size, card)
                && !real.finalize(real.device);
            size_t (*version)(void) = (size_t (*)(void))dlsym(library, "cudnnGetVersion");
            size_t number = version ? version() : 0;
            emu_key(&real.key, &number, sizeof number);
            emu_key(&real.key, card, size);
            if (debug()) fprintf(stderr, "emu: the real cuDNN is %s\n", real.here ? "asked" : "not to be had");
        }
    }
    pthread_mutex_unlock(&lock);
    return real.here;
}

typedef struct Attribute { int name, type; int64_t count; void *bytes; struct Attribute *next; } Attribute;
typedef struct {
    int type;
    cudnnBackendDescriptor_t real;
    Attribute *held;
    Key key;
    int finished;                                  /* of a plan: whether the real one is */
    int64_t workspace;
} Descriptor;

static size_t width(int type) {
    switch (type) {
    case CUDNN_TYPE_HANDLE: case CUDNN_TYPE_VOID_PTR: case CUDNN_TYPE_BACKEND_DESCRIPTOR: case CUDNN_TYPE_INT64: case CUDNN_TYPE_DOUBLE: return 8;
    case CUDNN_TYPE_FRACTION: return 16;
    case CUDNN_TYPE_BOOLEAN: case CUDNN_TYPE_CHAR: return 1;
    default: return 4;
    }
}
static Attribute *find(Descriptor *d, int name) {
    for (Attribute *a = d->held; a; a = a->next) if (a->name == name) return a;
    return NULL;
}
static cudnnStatus_t told(const char *call, int type, int name, cudnnStatus_t status) {
    if (status && debug()) {
        char text[512] = "";
        real.error(text, sizeof text);
        fprintf(stderr, "emu: cuDNN %s of %d, attribute %d: %d %s\n", call, type, name, status, text);
    }
    return status;
}
API cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *d) {
    Descriptor *made = calloc(1, sizeof *made);
    made->type = type;
    *d = (cudnnBackendDescriptor_t)made;
    int here = ready();
    made->key = real.key;
    emu_key(&made->key, &made->type, sizeof made->type);
    return here ? told("create", type, 0, real.create(type, &made->real)) : CUDNN_STATUS_SUCCESS;
}
API cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
    Descriptor *d = (Descriptor *)descriptor;
    for (Attribute *a = d->held, *next; a; a = next) { next = a->next; free(a->bytes); free(a); }
    cudnnStatus_t status = d->real ? real.destroy(d->real) : CUDNN_STATUS_SUCCESS;
    free(d);
    return status;
}
API cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void *values) {
    Descriptor *d = (Descriptor *)descriptor;
    if (d->real) {
        if (type == CUDNN_TYPE_HANDLE) return CUDNN_STATUS_SUCCESS; /* deviceless: there is none */
        int64_t about[] = {name, type, count};
        emu_key(&d->key, about, sizeof about);
        if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) emu_key(&d->key, values, count * width(type));
        for (int64_t i = 0; type == CUDNN_TYPE_BACKEND_DESCRIPTOR && i < count; i++) {
            const Descriptor *part = ((Descriptor *const *)values)[i];
            if (part) emu_key(&d->key, &part->key, sizeof part->key);
        }
        if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) return told("set", d->type, name, real.set(d->real, name, type, count, values));
        cudnnBackendDescriptor_t inner[256];
        for (int64_t i = 0; i < count && i < 256; i++) inner[i] = ((Descriptor *const *)values)[i] ? ((Descriptor *const *)values)[i]->real : NULL;
        return told("set", d->type, name, real.set(d->real, name, type, count, inner));
    }
    Attribute *a = find(d, name);
    if (!a) { a = calloc(1, sizeof *a); a->name = name; a->next = d->held; d->held = a; }
    free(a->bytes);
    a->type = type; a->count = count; a->bytes = malloc(count * width(type) + 1);
    if (count) memcpy(a->bytes, values, count * width(type));
    return CUDNN_STATUS_SUCCESS;
}
static int of_device(int type) {
    return type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR ? CUDNN_ATTR_ENGINEHEUR_DEVICEPROP
         : type == CUDNN_BACKEND_ENGINE_DESCRIPTOR ? CUDNN_ATTR_ENGINE_DEVICEPROP
         : type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ? CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP : 0;
}
static cudnnStatus_t finish(Descriptor *d) {
    int name = of_device(d->type);
    d->finished = 1;
    if (name) told("set", d->type, name, real.set(d->real, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &real.device));
    return told("finalize", d->type, 0, real.finalize(d->real));
}
API cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
    Descriptor *d = (Descriptor *)descriptor;
    if (!d->real) return CUDNN_STATUS_SUCCESS;
    if (d->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) return finish(d);
    HIT("cudnn plan");
    int status;
    if (emu_plan_known(d->key, &status, &d->workspace)) return status;
    status = finish(d);
    int64_t count = 0;
    if (!status && real.get(d->real, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &d->workspace)) return status;
    emu_plan_learned(d->key, status, d->workspace);
    return status;
}
API cudnnStatus_t cudnnBackendInitialize(cudnnBackendDescriptor_t d) { (void)d; return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t wanted, int64_t *count, void *values) {
    Descriptor *d = (Descriptor *)descriptor;
    if (d->real && !d->finished && d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
        if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) {
            if (values && wanted) *(int64_t *)values = d->workspace;
            if (count) *count = 1;
            return CUDNN_STATUS_SUCCESS;
        }
        cudnnStatus_t status = finish(d);
        if (status) return status;
    }
    if (d->real) {
        cudnnBackendDescriptor_t inner[256];
        int nested = type == CUDNN_TYPE_BACKEND_DESCRIPTOR && values;
        for (int64_t i = 0; nested && i < wanted && i < 256; i++) inner[i] = ((Descriptor **)values)[i] ? ((Descriptor **)values)[i]->real : NULL;
        cudnnStatus_t status = told("get", d->type, name, real.get(d->real, name, type, wanted, count, nested ? (void *)inner : values));
        for (int64_t i = 0; nested && i < wanted; i++) {
            Descriptor *part = ((Descriptor **)values)[i];
            int64_t about[] = {name, i};
            if (part) { emu_key(&part->key, &d->key, sizeof d->key); emu_key(&part->key, about, sizeof about); }
        }
        if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE && values && debug()) fprintf(stderr, "emu: a plan's workspace is %lld\n", (long long)*(int64_t *)values);
        return status;
    }
    Attribute *a = find(d, name);
    int64_t n = 0;
    if (a) {
        n = a->count;
        if (values && type != CUDNN_TYPE_BACKEND_DESCRIPTOR) memcpy(values, a->bytes, (wanted < n ? wanted : n) * width(type));
    } else if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS) n = 1; /* the caller's own descriptor stays as it is */
    else if (name == CUDNN_ATTR_ENGINECFG_ENGINE) n = 1;
    else if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE || name == CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE) {
        const char *text = getenv("EMU_CUDNN_WORKSPACE");
        n = 1;
        if (values) *(int64_t *)values = text ? atoll(text) : 0;
    } else if (name == CUDNN_ATTR_ENGINE_GLOBAL_INDEX) { n = 1; if (values) *(int64_t *)values = 0; }
    else if (name == CUDNN_ATTR_ENGINECFG_SHARED_MEMORY_USED) { n = 1; if (values) memset(values, 0, width(type)); }
    if (count) *count = wanted && n > wanted ? wanted : n;
    return CUDNN_STATUS_SUCCESS;
}
API cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
    (void)plan; (void)pack;
    emu_library_call("cudnnBackendExecute", emu_stream_of(handle));
    return CUDNN_STATUS_SUCCESS;
}
API cudnnStatus_t cudnnGetProperty(libraryPropertyType type, int *value) { *value = type == MAJOR_VERSION ? CUDNN_MAJOR : type == MINOR_VERSION ? CUDNN_MINOR : CUDNN_PATCHLEVEL; return CUDNN_STATUS_SUCCESS; }
