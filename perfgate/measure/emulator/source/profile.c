/* Reads the description of the card, once a process. A description that lacks a number ends the process: no figure may
 * come from a card that nobody described. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "profile.h"

static Profile profile;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const char *described(const char *text, const char *key) {
    size_t n = strlen(key);
    while (text && *text) {
        if (!strncmp(text, key, n) && text[n] == '=') return text + n + 1;
        text = strchr(text, ';');
        if (text) text++;
    }
    fprintf(stderr, "perfgate's emulated GPU: EMU_PROFILE does not say %s\n", key);
    abort();
}

static void read_profile(void) {
    const char *text = getenv("EMU_PROFILE");
    const char *name = described(text, "name");
    snprintf(profile.name, sizeof profile.name, "%.*s", (int)strcspn(name, ";"), name);
#define NUMBER(key) profile.key = atol(described(text, #key))
    NUMBER(capability); NUMBER(multiprocessors); NUMBER(memory_mib); NUMBER(reserved_mib); NUMBER(shared_bytes);
    NUMBER(l2_bytes); NUMBER(threads); NUMBER(blocks); NUMBER(clock_mhz); NUMBER(memory_clock_mhz); NUMBER(bus_bits);
    NUMBER(power_w); NUMBER(registers);
}

const Profile *emu_profile(void) {
    pthread_once(&once, read_profile);
    return &profile;
}
