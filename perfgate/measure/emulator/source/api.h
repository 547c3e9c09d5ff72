/* An emulated CUDA device: the runtime API (libcudart) and the driver API (libcuda) as torch, Triton and ctypes call them,
 * without a GPU. Here is what every part of them needs. EMU_DEBUG=1 tells what is not there. */
#ifndef EMU_API_H
#define EMU_API_H
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdint.h>

#define API __attribute__((visibility("default")))
#define R(name) API cudaError_t CUDARTAPI name
#define DONE return cudaSuccess
#define D(name) API CUresult CUDAAPI name
#define OK return CUDA_SUCCESS
#define MIB (1ull << 20)
#define GRAIN (2 * MIB)
#define MAX_DEVICES 16

extern pthread_mutex_t lock;                        /* of all lists */
long setting(const char *name, long fallback);      /* a number from the environment */
uint64_t now_ns(void);
cudaError_t failed(cudaError_t error);              /* keeps an error as the thread's last one, and gives it back */

extern __thread int current;                        /* device of the thread */
extern int initialised;
int visible(int *which);                            /* how many devices this process sees, and which */
CUcontext context_of(int device);
#endif
