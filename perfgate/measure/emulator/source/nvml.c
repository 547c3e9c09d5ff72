/* The management library (NVML): the emulated devices, idle and cool. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <unistd.h>
#include <time.h>
#include "profile.h"
#define API __attribute__((visibility("default")))
#define N(name) API int name
enum { FINE, UNSUPPORTED = 3, NOT_FOUND = 6, SMALL = 7 };
extern const char *emu_uuid(int);
extern int emu_all_devices(void);
static char handles[16];
static int at(void *h) { return (int)((char *)h - handles); }
static int put(char *text, unsigned size, const char *what) { if (strlen(what) >= size) return SMALL; strcpy(text, what); return FINE; }

N(nvmlInit_v2)(void) { return FINE; }
N(nvmlInit)(void) { return FINE; }
N(nvmlInitWithFlags)(unsigned f) { (void)f; return FINE; }
N(nvmlShutdown)(void) { return FINE; }
API const char *nvmlErrorString(int e) { return e == UNSUPPORTED ? "Not Supported" : e ? "Emulated Error" : "Success"; }
N(nvmlSystemGetDriverVersion)(char *t, unsigned n) { return put(t, n, "580.95.05"); }
N(nvmlSystemGetNVMLVersion)(char *t, unsigned n) { return put(t, n, "13.580.95.05"); }
N(nvmlSystemGetCudaDriverVersion)(int *v) { *v = 13000; return FINE; }
N(nvmlSystemGetCudaDriverVersion_v2)(int *v) { *v = 13000; return FINE; }
N(nvmlDeviceGetCount_v2)(unsigned *n) { *n = emu_all_devices(); return FINE; }
N(nvmlDeviceGetCount)(unsigned *n) { *n = emu_all_devices(); return FINE; }
N(nvmlDeviceGetHandleByIndex_v2)(unsigned i, void **h) { if ((int)i >= emu_all_devices()) return 2; *h = &handles[i]; return FINE; }
N(nvmlDeviceGetHandleByIndex)(unsigned i, void **h) { return nvmlDeviceGetHandleByIndex_v2(i, h); }
N(nvmlDeviceGetHandleByUUID)(const char *u, void **h) { for (int i = 0; i < emu_all_devices(); i++) if (!strcmp(u, emu_uuid(i))) { *h = &handles[i]; return FINE; } return NOT_FOUND; }
N(nvmlDeviceGetHandleByPciBusId_v2)(const char *b, void **h) { (void)b; *h = &handles[0]; return FINE; }
N(nvmlDeviceGetHandleByPciBusId)(const char *b, void **h) { (void)b; *h = &handles[0]; return FINE; }
N(nvmlDeviceGetName)(void *h, char *t, unsigned n) { (void)h; return put(t, n, emu_profile()->name); }
N(nvmlDeviceGetUUID)(void *h, char *t, unsigned n) { return put(t, n, emu_uuid(at(h))); }
N(nvmlDeviceGetIndex)(void *h, unsigned *i) { *i = at(h); return FINE; }
N(nvmlDeviceGetMinorNumber)(void *h, unsigned *i) { *i = at(h); return FINE; }
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory2;
N(nvmlDeviceGetMemoryInfo)(void *h, Memory *m) { (void)h; m->total = (unsigned long long)emu_profile()->memory_mib << 20; m->used = 600ull << 20; m->free = m->total - m->used; return FINE; }
N(nvmlDeviceGetMemoryInfo_v2)(void *h, Memory2 *m) { (void)h; m->total = (unsigned long long)emu_profile()->memory_mib << 20; m->used = 129ull << 20; m->reserved = (unsigned long long)emu_profile()->reserved_mib << 20; m->free = m->total - m->used - m->reserved; return FINE; }
N(nvmlDeviceGetEnforcedPowerLimit)(void *h, unsigned *mw) { (void)h; *mw = (unsigned)emu_profile()->power_w * 1000; return FINE; }
N(nvmlDeviceGetPowerManagementLimit)(void *h, unsigned *mw) { (void)h; *mw = (unsigned)emu_profile()->power_w * 1000; return FINE; }
N(nvmlDeviceGetPowerUsage)(void *h, unsigned *mw) { (void)h; *mw = 100000; return FINE; }
N(nvmlDeviceGetTotalEnergyConsumption)(void *h, unsigned long long *mj) { (void)h; struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); *mj = t.tv_sec * 100000ull + t.tv_nsec / 10000; return FINE; }
N(nvmlDeviceGetClockInfo)(void *h, int kind, unsigned *mhz) { (void)h; (void)kind; *mhz = (unsigned)emu_profile()->clock_mhz; return FINE; }
N(nvmlDeviceGetMaxClockInfo)(void *h, int kind, unsigned *mhz) { (void)h; (void)kind; *mhz = (unsigned)emu_profile()->clock_mhz; return FINE; }
N(nvmlDeviceGetTemperature)(void *h, int kind, unsigned *c) { (void)h; (void)kind; *c = 35; return FINE; }
typedef struct { unsigned gpu, memory; } Utilization;
N(nvmlDeviceGetUtilizationRates)(void *h, Utilization *u) { (void)h; u->gpu = u->memory = 0; return FINE; }
N(nvmlDeviceGetCurrentClocksEventReasons)(void *h, unsigned long long *r) { (void)h; *r = 0; return FINE; }
N(nvmlDeviceGetCurrentClocksThrottleReasons)(void *h, unsigned long long *r) { (void)h; *r = 0; return FINE; }
N(nvmlDeviceGetEccMode)(void *h, int *now, int *later) { (void)h; *now = *later = 1; return FINE; }
N(nvmlDeviceGetMigMode)(void *h, unsigned *now, unsigned *later) { (void)h; *now = *later = 0; return FINE; }
N(nvmlDeviceGetMaxMigDeviceCount)(void *h, unsigned *n) { (void)h; *n = 0; return FINE; }
N(nvmlDeviceGetPersistenceMode)(void *h, int *on) { (void)h; *on = 1; return FINE; }
N(nvmlDeviceGetCudaComputeCapability)(void *h, int *major, int *minor) { (void)h; *major = (int)emu_profile()->capability / 10; *minor = (int)emu_profile()->capability % 10; return FINE; }
N(nvmlDeviceGetComputeRunningProcesses_v3)(void *h, unsigned *n, void *i) { (void)h; (void)i; *n = 0; return FINE; }
N(nvmlDeviceGetComputeRunningProcesses)(void *h, unsigned *n, void *i) { (void)h; (void)i; *n = 0; return FINE; }
N(nvmlDeviceGetGraphicsRunningProcesses_v3)(void *h, unsigned *n, void *i) { (void)h; (void)i; *n = 0; return FINE; }
typedef struct { unsigned field, scope; long long stamp, latency; int type, result; union { double d; unsigned long long u; } value; } Field;
N(nvmlDeviceGetFieldValues)(void *h, int n, Field *f) {
    (void)h;
    for (int i = 0; i < n; i++) { f[i].type = 3; f[i].value.u = 0; f[i].result = f[i].field == 74 || (f[i].field >= 269 && f[i].field <= 271) ? FINE : UNSUPPORTED; }
    return FINE;
}
typedef struct { unsigned long long reference, violation; } Violation;
N(nvmlDeviceGetViolationStatus)(void *h, int p, Violation *v) { (void)h; (void)p; v->reference = v->violation = 0; return FINE; }
N(nvmlDeviceGetNvLinkRemoteDeviceType)(void *h, unsigned l, unsigned *t) { (void)h; (void)l; (void)t; return UNSUPPORTED; }
N(nvmlDeviceGetNvLinkRemotePciInfo_v2)(void *h, unsigned l, void *t) { (void)h; (void)l; (void)t; return UNSUPPORTED; }
N(nvmlDeviceGetGpuFabricInfoV)(void *h, void *i) { (void)h; (void)i; return UNSUPPORTED; }
N(nvmlDeviceGetP2PStatus)(void *a, void *b, int i, int *s) { (void)a; (void)b; (void)i; *s = 0; return FINE; }
