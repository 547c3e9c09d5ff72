/* Entry points of the driver by name: the symbol with the highest version suffix that is here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include "emu.h"
#include "api.h"

API void *emu_symbol(const char *name) {
    char text[256];
    static void *self;
    if (!self) { Dl_info info; dladdr((void *)emu_symbol, &info); self = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD); }
    for (int version = 4; version >= 1; version--) {
        if (version > 1) snprintf(text, sizeof text, "%s_v%d", name, version); else snprintf(text, sizeof text, "%s", name);
        void *found = dlsym(self, text);
        Dl_info info, own;
        if (found && dladdr(found, &info) && dladdr((void *)emu_symbol, &own) && info.dli_fbase == own.dli_fbase) return found;
    }
    if (setting("EMU_DEBUG", 0)) fprintf(stderr, "emu: no driver function %s\n", name);
    return NULL;
}
R(cudaGetDriverEntryPointByVersion)(const char *name, void **f, unsigned version, unsigned long long flags, enum cudaDriverEntryPointQueryResult *result) {
    (void)version; (void)flags;
    *f = emu_symbol(name);
    if (result) *result = *f ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    DONE;
}
R(cudaGetDriverEntryPoint)(const char *name, void **f, unsigned long long flags, enum cudaDriverEntryPointQueryResult *result) { return cudaGetDriverEntryPointByVersion(name, f, 0, flags, result); }
#undef cuGetProcAddress
D(cuGetProcAddress_v2)(const char *name, void **f, int version, cuuint64_t flags, CUdriverProcAddressQueryResult *result) {
    (void)version; (void)flags;
    *f = emu_symbol(name);
    if (result) *result = *f ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return *f ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
