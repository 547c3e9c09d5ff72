/* Memory of the devices and of the host. */
#ifndef EMU_MEMORY_H
#define EMU_MEMORY_H
#include "api.h"

typedef struct Range { uintptr_t begin; size_t size; int device; int real; struct Range *next; } Range; /* real: with content */
typedef struct { size_t used, peak, allocations; uintptr_t base, fresh; Range *live, *holes; } Memory;
extern Memory memory[MAX_DEVICES];
extern Range *pinned;
extern size_t pinned_bytes;

size_t total_bytes(void);                           /* of a device */
uintptr_t arena(int device);                        /* where its addresses begin */
Range *range_of(Range *list, const void *p);
int device_of(const void *p);                       /* -1: of none */
int is_real(const void *p);
int reserve(void **result, size_t size, int real);  /* 0: there is no room */
int give_back(void *p);
#endif
