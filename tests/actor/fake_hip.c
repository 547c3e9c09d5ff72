/* A HIP runtime and its compiler, of two multiprocessors, that keep their books on the host, for tests of what calls
 * them. Both are one library here. FAKE_HIP_FAIL=NAME lets that call fail for want of memory. */
#include <stdlib.h>
#include <string.h>

int empty_launches, copies, waits;
static char nothing, arithmetic, module, program, stamps[8];
static int events;

static int answer(const char *name) {
    const char *failing = getenv("FAKE_HIP_FAIL");
    return failing && !strcmp(failing, name) ? 2 : 0;
}

const char *hipGetErrorName(int code) { return code == 2 ? "hipErrorOutOfMemory" : NULL; }
const char *hipGetErrorString(int code) { return code == 2 ? "out of memory" : NULL; }
int hipInit(unsigned int flags) { return flags ? 1 : answer("hipInit"); }
int hipGetDeviceCount(int *count) {
    *count = getenv("FAKE_HIP_TWO") ? 2 : 1;
    return answer("hipGetDeviceCount");
}
int hipDeviceGet(int *device, int ordinal) {
    *device = 7;
    return ordinal ? 101 : answer("hipDeviceGet");
}
int hipDeviceGetAttribute(int *value, int attribute, int device) {
    *value = 2;
    return attribute == 63 && device == 7 ? answer("hipDeviceGetAttribute") : 1;
}
int hipDeviceSynchronize(void) {
    waits++;
    return answer("hipDeviceSynchronize");
}
int hiprtcCreateProgram(void **made, const char *source, const char *name, int headers, void *texts, void *names) {
    *made = &program;
    return strstr(source, "__global__ void arithmetic(") && name && !headers && !texts && !names
               ? answer("hiprtcCreateProgram") : 1;
}
int hiprtcCompileProgram(void *made, int options, void *texts) {
    return made == &program && !options && !texts ? answer("hiprtcCompileProgram") : 1;
}
int hiprtcGetCodeSize(void *made, size_t *size) {
    *size = 5;
    return made == &program ? answer("hiprtcGetCodeSize") : 1;
}
int hiprtcGetCode(void *made, char *code) {
    memcpy(code, "\177ELF", 5);
    return made == &program ? answer("hiprtcGetCode") : 1;
}
int hipModuleLoadData(void **found, const char *image) {
    *found = &module;
    return strcmp(image, "\177ELF") ? 209 : answer("hipModuleLoadData");
}
int hipModuleGetFunction(void **found, void *from, const char *name) {
    *found = !strcmp(name, "nothing") ? &nothing : !strcmp(name, "arithmetic") ? &arithmetic : NULL;
    return *found && from == &module ? answer("hipModuleGetFunction") : 500;
}
int hipMalloc(void **address, size_t size) {
    *address = malloc(size);
    return answer("hipMalloc");
}
int hipMemcpyDtoDAsync(void *target, void *source, size_t size, void *stream) {
    copies++;
    return target && source && size == 1 << 27 && !stream ? answer("hipMemcpyDtoDAsync") : 1;
}
int hipMemcpyDtoH(void *target, void *source, size_t size) {
    memcpy(target, source, size);
    return answer("hipMemcpyDtoH");
}
int hipModuleLaunchKernel(void *function, unsigned int x, unsigned int y, unsigned int z, unsigned int block_x,
                          unsigned int block_y, unsigned int block_z, unsigned int shared, void *stream,
                          void **arguments, void **extra) {
    if (y != 1 || z != 1 || block_y != 1 || block_z != 1 || shared || stream || extra) return 1;
    empty_launches += function == &nothing;
    if (function == &arithmetic)
        for (unsigned int thread = 0; thread < x * block_x; thread++) (*(float **)arguments[0])[thread] = 4;
    return answer("hipModuleLaunchKernel");
}
int hipEventCreateWithFlags(void **event, unsigned int flags) {
    *event = &stamps[++events % 8];
    return flags ? 1 : answer("hipEventCreateWithFlags");
}
int hipEventRecord(void *event, void *stream) { return event && !stream ? answer("hipEventRecord") : 400; }
int hipEventSynchronize(void *event) { return event ? answer("hipEventSynchronize") : 400; }
int hipEventElapsedTime(float *span_ms, char *begin, char *end) {
    *span_ms = 1.5f * (end - begin);
    return answer("hipEventElapsedTime");
}
