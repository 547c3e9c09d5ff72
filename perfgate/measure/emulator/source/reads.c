/* What the host reads of the device, where no kernel computes. What was copied or filled since the last kernel is known,
 * and is read as it is. Anything else is assumed, and listed: one truth value after kernels that tell whether all are true
 * is true, everything else is zeros. A step that reads more than EMU_STEP_READS (20,000) assumed values, or launches
 * more than EMU_STEP_LAUNCHES (20,000,000) kernels, is ended: its loop waits for a value that never comes. */
#include <string.h>
#include "emu.h"
#include "kernels.h"
#include "reads.h"

enum { KNOWN = 64, SMALL = 64, KINDS = 256 };
typedef struct { uintptr_t at; size_t size, width; uint64_t epoch; unsigned char unit[SMALL]; } Known;
typedef struct { const char *after; size_t bytes; int truth; uint64_t times; } Kind;
static Known known[KNOWN];
static unsigned next_known;
static Kind kinds[KINDS];
static unsigned n_kinds;
static uint64_t step_reads, launched_before;

static void unknown(const void *at, size_t size) {
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < KNOWN; i++)
        if (known[i].at < (uintptr_t)at + size && (uintptr_t)at < known[i].at + known[i].size) known[i].size = 0;
    pthread_mutex_unlock(&lock);
}

void wrote(const void *at, size_t size, const void *unit, size_t width) {
    unknown(at, size);
    if (!width || width > SMALL) return;
    pthread_mutex_lock(&lock);
    Known *entry = &known[next_known++ % KNOWN];
    entry->at = (uintptr_t)at; entry->size = size; entry->width = width; entry->epoch = epoch;
    memcpy(entry->unit, unit, width);
    pthread_mutex_unlock(&lock);
}

static int recalled(unsigned char *to, uintptr_t from, size_t size) {
    int found = 0;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < KNOWN && !found; i++) {
        const Known *entry = &known[i];
        if (entry->epoch != epoch || from < entry->at || from + size > entry->at + entry->size) continue;
        for (size_t j = 0; j < size; j++) to[j] = entry->unit[(from - entry->at + j) % entry->width];
        found = 1;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

void moved(void *to, const void *from, size_t size) {
    unsigned char bytes[SMALL];
    if (size <= SMALL && recalled(bytes, (uintptr_t)from, size)) wrote(to, size, bytes, size); else unknown(to, size);
}

/* Of all() and isfinite() one truth value is true, also where all() is written as a sum that equals a number. */
static int tells_of_all(void) {
    int counted = strstr(last_kernel, "CompareEqFunctorIlE") && strstr(kernel_before, "sum_functorIlll");
    return counted || strstr(last_kernel, "and_kernel") || strstr(last_kernel, "10MulFunctorIbE");
}

static void assumed(size_t bytes, int truth) {
    pthread_mutex_lock(&lock);
    unsigned i = 0;
    size_t listed = bytes > SMALL ? 0 : bytes; /* all large ones are listed as one kind */
    while (i < n_kinds && (kinds[i].after != last_kernel || kinds[i].bytes != listed || kinds[i].truth != truth)) i++;
    if (i == n_kinds && n_kinds < KINDS) { kinds[i].after = last_kernel; kinds[i].bytes = listed; kinds[i].truth = truth; kinds[i].times = 0; n_kinds++; }
    kinds[i < KINDS ? i : KINDS - 1].times++;
    pthread_mutex_unlock(&lock);
}

cudaError_t read_back(void *to, const void *from, size_t size) {
    static long most = -1;
    if (most < 0) most = setting("EMU_STEP_READS", 20000);
    if (recalled(to, (uintptr_t)from, size)) return cudaSuccess;
    memset(to, 0, size);
    int truth = size == 1 && tells_of_all();
    if (truth) *(char *)to = 1;
    assumed(size, truth);
    if (__atomic_add_fetch(&step_reads, 1, __ATOMIC_RELAXED) <= (uint64_t)most) return cudaSuccess;
    return failed(emu_ends(cudaErrorNotSupported, "the emulated GPU computes no values, and this step has read %ld of them: its loop waits for one that never comes", most));
}

cudaError_t may_go_on(void) {
    static long most = -1;
    if (most < 0) most = setting("EMU_STEP_LAUNCHES", 20000000);
    if (epoch - launched_before <= (uint64_t)most) return cudaSuccess;
    return failed(emu_ends(cudaErrorNotSupported, "the emulated GPU computes no values, and this step has launched %ld kernels: its loop waits for a value that never comes", most));
}

void step_ended(void) { step_reads = 0; launched_before = epoch; }

void write_reads(FILE *file) {
    for (unsigned i = 0; i < n_kinds; i++) {
        fprintf(file, i ? ", {\"after\": " : "{\"after\": ");
        emu_quoted(file, kinds[i].after);
        fprintf(file, ", \"bytes\": %zu, \"true\": %d, \"times\": %llu}", kinds[i].bytes, kinds[i].truth, (unsigned long long)kinds[i].times);
    }
}
void forget_reads(void) { n_kinds = 0; }
