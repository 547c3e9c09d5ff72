/* What the host reads of the device. */
#ifndef EMU_READS_H
#define EMU_READS_H
#include <stdio.h>
#include "api.h"

void wrote(const void *at, size_t size, const void *unit, size_t width); /* a range holds a unit again and again */
void moved(void *to, const void *from, size_t size); /* within the device */
cudaError_t read_back(void *to, const void *from, size_t size);
cudaError_t may_go_on(void);                       /* whether the step may still launch */
void step_ended(void);                             /* the host waits for the whole device */
void write_reads(FILE *file);
void forget_reads(void);
#endif
