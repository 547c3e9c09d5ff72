/* The books of what was called, and what was called and is not implemented.
 * EMU_REPORT is a file for the books at exit, in which %p is the process. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "emu.h"
#include "api.h"
#include "kernels.h"
#include "memory.h"
#include "reads.h"

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Counter *counters;
static char missing[256];

void emu_hit(Counter *counter) {
    if (__atomic_fetch_add(&counter->n, 1, __ATOMIC_RELAXED)) return;
    pthread_mutex_lock(&lock);
    Counter *seen = counters;
    while (seen && seen != counter) seen = seen->next;
    if (!seen) { counter->next = counters; counters = counter; }
    pthread_mutex_unlock(&lock);
}

int emu_missing(const char *name, int status) {
    pthread_mutex_lock(&lock);
    if (!strstr(missing, name)) fprintf(stderr, "perfgate's emulated GPU does not implement %s, which was called\n", name);
    snprintf(missing, sizeof missing, "the emulated GPU does not implement %s", name);
    pthread_mutex_unlock(&lock);
    return status;
}
int emu_ends(int status, const char *sentence, long number) {
    pthread_mutex_lock(&lock);
    snprintf(missing, sizeof missing, sentence, number);
    pthread_mutex_unlock(&lock);
    return status;
}
const char *emu_why(void) { return missing; }

long setting(const char *name, long fallback) {
    const char *text = getenv(name);
    return text && *text ? atol(text) : fallback;
}

uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

void emu_quoted(FILE *file, const char *text) {
    fputc('"', file);
    for (; *text; text++) { if (*text == '"' || *text == '\\') fputc('\\', file); fputc(*text, file); }
    fputc('"', file);
}

static void write_report(FILE *file) {
    pthread_mutex_lock(&lock);
    fprintf(file, "{\"pid\": %d, \"launches\": %llu, \"device_used\": %zu, \"device_peak\": %zu, \"allocations\": %zu, \"pinned\": %zu, \"api\": {",
            getpid(), (unsigned long long)launches, memory[0].used, memory[0].peak, memory[0].allocations, pinned_bytes);
    int first = 1;
    for (Counter *c = counters; c; c = c->next) if (c->n) {
        fprintf(file, first ? "" : ", "); first = 0;
        emu_quoted(file, c->name);
        fprintf(file, ": %llu", (unsigned long long)c->n);
    }
    fprintf(file, "}, \"kernels\": {");
    first = 1;
    for (Kernel *k = touched; k; k = k->next) if (k->n) {
        fprintf(file, first ? "" : ", "); first = 0;
        emu_quoted(file, k->name);
        fprintf(file, ": %llu", (unsigned long long)k->n);
    }
    fprintf(file, "}, \"assumed\": [");
    write_reads(file);
    fprintf(file, "]}\n");
    pthread_mutex_unlock(&lock);
}

API char *emu_report(void) { /* to be freed by nobody: one buffer a call */
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    write_report(file);
    fclose(file);
    return text;
}

API void emu_reset(void) {
    pthread_mutex_lock(&lock);
    launches = 0;
    for (Counter *c = counters; c; c = c->next) c->n = 0;
    for (Kernel *k = touched; k; k = k->next) k->n = 0;
    memory[0].peak = memory[0].used;
    memory[0].allocations = 0;
    forget_reads();
    pthread_mutex_unlock(&lock);
}

__attribute__((destructor)) static void at_exit(void) {
    const char *path = getenv("EMU_REPORT");
    if (!path || !*path || !launches) return;
    char name[4096];
    const char *mark = strstr(path, "%p");
    if (mark) snprintf(name, sizeof name, "%.*s%d%s", (int)(mark - path), path, getpid(), mark + 2);
    else snprintf(name, sizeof name, "%s", path);
    FILE *file = fopen(name, "w");
    if (file) { write_report(file); fclose(file); }
}
