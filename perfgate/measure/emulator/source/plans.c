/* What cuDNN answered about execution plans, kept from process to process: to finish a plan it compiles kernels, which
 * takes up to a second, and a generation has another plan for each length of its cache. EMU_PLANS names the file, with a
 * line for each plan. A line is written in one piece, and what is not whole is not taken. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "plans.h"

#define LINE "%016lx %016lx %d %ld %016lx\n"
#define MOST 200000 /* the most plans to keep */

typedef struct { Key key; int status; int64_t workspace; } Plan;
static struct { int read; size_t count, room; Plan *plans; } known;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t mixed(uint64_t state, uint64_t word) {
    state ^= word;
    state *= 0xff51afd7ed558ccdULL;
    state ^= state >> 33;
    state *= 0xc4ceb9fe1a85ec53ULL;
    return state ^ (state >> 29);
}

void emu_key(Key *key, const void *bytes, size_t count) {
    const uint8_t *from = bytes;
    key->a = mixed(key->a + 0x9e3779b97f4a7c15ULL, count);
    key->b = mixed(key->b + 0xc2b2ae3d27d4eb4fULL, count);
    for (size_t at = 0; at < count; at += 8) {
        uint64_t word = 0;
        memcpy(&word, from + at, count - at < 8 ? count - at : 8);
        key->a = mixed(key->a, word);
        key->b = mixed(key->b ^ 0x165667b19e3779f9ULL, word);
    }
}

static uint64_t check(const Plan *plan) {
    Key sum = plan->key;
    emu_key(&sum, &plan->status, sizeof plan->status);
    emu_key(&sum, &plan->workspace, sizeof plan->workspace);
    return sum.a;
}

static void keep(Plan plan) {
    if (known.count == known.room) {
        size_t room = known.room ? 2 * known.room : 256;
        Plan *more = realloc(known.plans, room * sizeof *more);
        if (!more) return;
        known.plans = more;
        known.room = room;
    }
    known.plans[known.count++] = plan;
}

static void read_once(void) {
    const char *path = getenv("EMU_PLANS");
    FILE *file = known.read || !path ? NULL : fopen(path, "r");
    known.read = 1;
    if (!file) return;
    char line[128];
    while (known.count < MOST && fgets(line, sizeof line, file)) {
        Plan plan;
        uint64_t sum;
        char end;
        if (sscanf(line, "%16lx %16lx %d %ld %16lx%c", &plan.key.a, &plan.key.b, &plan.status, &plan.workspace, &sum, &end) == 6
            && end == '\n' && sum == check(&plan)) keep(plan);
    }
    fclose(file);
}

int emu_plan_known(Key key, int *status, int64_t *workspace) {
    int found = 0;
    pthread_mutex_lock(&lock);
    read_once();
    for (size_t i = 0; i < known.count && !found; i++) {
        if (known.plans[i].key.a != key.a || known.plans[i].key.b != key.b) continue;
        *status = known.plans[i].status;
        *workspace = known.plans[i].workspace;
        found = 1;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

void emu_plan_learned(Key key, int status, int64_t workspace) {
    Plan plan = {key, status, workspace};
    pthread_mutex_lock(&lock);
    keep(plan);
    const char *path = getenv("EMU_PLANS");
    int file = path && known.count < MOST ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file >= 0) {
        char line[128];
        int size = snprintf(line, sizeof line, LINE, key.a, key.b, status, (long)workspace, check(&plan));
        if (write(file, line, size) < 0) perror(path); /* it is asked again next time */
        close(file);
    }
    pthread_mutex_unlock(&lock);
}
