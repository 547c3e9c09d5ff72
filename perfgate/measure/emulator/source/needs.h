/* What a kernel takes of a multiprocessor. */
#ifndef EMU_NEEDS_H
#define EMU_NEEDS_H
#include "emu.h"

enum { ASSUMED_REGISTERS = 32 };
typedef struct { int registers, shared_bytes, known; } Needs; /* known: read from the program, and not assumed */
Needs emu_needs(const Kernel *kernel);
#endif
