/* Kernels and their launches. */
#ifndef EMU_KERNELS_H
#define EMU_KERNELS_H
#include "emu.h"

extern Kernel *touched;                             /* those that ran, a list */
extern uint64_t launches;
extern __thread const char *last_kernel, *kernel_before; /* the last two of the thread */
extern uint64_t epoch;                              /* how many kernels ran, ever */
Kernel *kernel_at(const void *host);                /* by its host function; NULL if there is none */
Kernel *kernel_of(const void *f);                   /* by its host function or as a library's kernel */
void began(const Kernel *kernel);
void ran(Kernel *kernel);
#endif
