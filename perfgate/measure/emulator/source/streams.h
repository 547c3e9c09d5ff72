/* Streams, events and graphs. */
#ifndef EMU_STREAMS_H
#define EMU_STREAMS_H
#include "emu.h"

typedef struct Graph { Kernel **kernels; unsigned n, room; uint64_t copies; } Graph;
typedef struct Stream { uint64_t id; int priority, flags; Graph *capturing; uint64_t capture_id; struct Stream *next; } Stream;
typedef struct { uint64_t at_ns; int recorded; Graph *capturing; uint64_t capture_id; } Event;
extern int captures;                                /* streams in capture mode: nothing is looked up while there is none */
Stream *stream_at(void *stream);
void capture_ended(Graph *graph);                   /* for all streams that took part */
void note(Graph *graph, Kernel *kernel);            /* keeps a captured kernel */
#endif
