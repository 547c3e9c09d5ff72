/* What cuDNN answered about execution plans, kept from process to process. */
#ifndef PLANS_H
#define PLANS_H
#include <stddef.h>
#include <stdint.h>

typedef struct { uint64_t a, b; } Key;              /* of everything that a descriptor was made of */

void emu_key(Key *key, const void *bytes, size_t count); /* takes these bytes into a key */
int emu_plan_known(Key key, int *status, int64_t *workspace);
void emu_plan_learned(Key key, int status, int64_t workspace);
#endif
