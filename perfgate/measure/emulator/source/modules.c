/* Modules and libraries of the driver: nothing is loaded, and a kernel is known by its name. */
#include <stdlib.h>
#include "emu.h"
#include "api.h"
#include "memory.h"

R(cudaLibraryLoadData)(cudaLibrary_t *l, const void *code, enum cudaJitOption *a, void **b, unsigned c, enum cudaLibraryOption *d, void **e, unsigned f) {
    (void)code; (void)a; (void)b; (void)c; (void)d; (void)e; (void)f; HIT("module load"); *l = malloc(1); DONE;
}
R(cudaLibraryGetKernel)(cudaKernel_t *k, cudaLibrary_t l, const char *name) { (void)l; *k = (cudaKernel_t)emu_kernel(name); DONE; }
R(cudaLibraryUnload)(cudaLibrary_t l) { free(l); DONE; }
static CUresult load(CUmodule *m) { HIT("module load"); *m = malloc(1); OK; }
D(cuModuleLoad)(CUmodule *m, const char *file) { (void)file; return load(m); }
D(cuModuleLoadData)(CUmodule *m, const void *image) { (void)image; return load(m); }
D(cuModuleLoadDataEx)(CUmodule *m, const void *image, unsigned n, CUjit_option *o, void **v) { (void)image; (void)n; (void)o; (void)v; return load(m); }
D(cuModuleUnload)(CUmodule m) { free(m); OK; }
D(cuModuleGetFunction)(CUfunction *f, CUmodule m, const char *name) { (void)m; *f = (CUfunction)emu_kernel(name); OK; }
D(cuModuleGetGlobal)(CUdeviceptr *p, size_t *n, CUmodule m, const char *name) { (void)m; (void)name; if (n) *n = 4096; return reserve((void **)p, 4096, 1) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY; }
D(cuLibraryLoadData)(CUlibrary *l, const void *code, CUjit_option *a, void **b, unsigned c, CUlibraryOption *d, void **e, unsigned f) {
    (void)code; (void)a; (void)b; (void)c; (void)d; (void)e; (void)f; HIT("module load"); *l = malloc(1); OK;
}
D(cuLibraryUnload)(CUlibrary l) { free(l); OK; }
D(cuLibraryGetKernel)(CUkernel *k, CUlibrary l, const char *name) { (void)l; *k = (CUkernel)emu_kernel(name); OK; }
D(cuLibraryGetModule)(CUmodule *m, CUlibrary l) { (void)l; *m = malloc(1); OK; }
D(cuKernelGetFunction)(CUfunction *f, CUkernel k) { *f = (CUfunction)k; OK; }
D(cuLinkCreate)(unsigned n, CUjit_option *o, void **v, CUlinkState *s) { (void)n; (void)o; (void)v; (void)s; return emu_missing("cuLinkCreate", CUDA_ERROR_NOT_SUPPORTED); }
D(cuLinkAddData)(CUlinkState s, CUjitInputType t, void *d, size_t n, const char *x, unsigned c, CUjit_option *o, void **v) { (void)s; (void)t; (void)d; (void)n; (void)x; (void)c; (void)o; (void)v; return emu_missing("cuLinkAddData", CUDA_ERROR_NOT_SUPPORTED); }
D(cuLinkComplete)(CUlinkState s, void **c, size_t *n) { (void)s; (void)c; (void)n; return emu_missing("cuLinkComplete", CUDA_ERROR_NOT_SUPPORTED); }
