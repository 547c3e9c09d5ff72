/* In place of cuda_fp16.h and cuda_bf16.h, which need headers that no wheel of torch's has: the types alone. */
#ifndef EMU_HALVES_H
#define EMU_HALVES_H
#define __CUDA_FP16_H__
#define __CUDA_BF16_H__
typedef struct { unsigned short x; } __half;
typedef struct { unsigned short x, y; } __half2;
typedef struct { unsigned short x; } __nv_bfloat16;
typedef struct { unsigned short x, y; } __nv_bfloat162;
#endif
