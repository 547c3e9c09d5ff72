/* Contexts of the driver: each device has its primary one. */
#include "emu.h"
#include "api.h"
#include "memory.h"
#include "reads.h"

static char primary[MAX_DEVICES];
static __thread CUcontext contexts[16];
static __thread unsigned context_depth;
CUcontext context_of(int device) { return (CUcontext)&primary[device]; }
D(cuDevicePrimaryCtxRetain)(CUcontext *c, CUdevice d) { *c = (CUcontext)&primary[d]; OK; }
D(cuDevicePrimaryCtxRelease)(CUdevice d) { (void)d; OK; }
D(cuDevicePrimaryCtxGetState)(CUdevice d, unsigned *flags, int *active) { (void)d; if (flags) *flags = 0; if (active) *active = memory[d].base != 0 || initialised; OK; }
D(cuCtxGetCurrent)(CUcontext *c) { *c = context_depth ? contexts[context_depth - 1] : initialised ? (CUcontext)&primary[current] : NULL; OK; }
D(cuCtxSetCurrent)(CUcontext c) { if (!context_depth) context_depth = 1; contexts[context_depth - 1] = c; if (c) current = (int)((char *)c - primary); OK; }
D(cuCtxPushCurrent)(CUcontext c) { if (context_depth < 16) contexts[context_depth++] = c; OK; }
D(cuCtxPopCurrent)(CUcontext *c) { CUcontext was = context_depth ? contexts[--context_depth] : NULL; if (c) *c = was; OK; }
D(cuCtxGetDevice)(CUdevice *d) { *d = current; OK; }
D(cuCtxSynchronize)(void) { HIT("device synchronize"); step_ended(); OK; }
D(cuStreamGetCtx)(CUstream s, CUcontext *c) { (void)s; *c = (CUcontext)&primary[current]; OK; }
