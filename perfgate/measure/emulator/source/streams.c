/* Streams and events: everything is done as soon as it is asked for. */
#include <pthread.h>
#include <stdlib.h>
#include "emu.h"
#include "api.h"
#include "memory.h"
#include "streams.h"

static Stream standard[2] = {{.id = 1}, {.id = 2, .next = standard}}; /* the legacy one and that of a thread */
static Stream *streams = &standard[1];
static uint64_t next_stream = 13;
int captures;

Stream *stream_at(void *stream) {
    uintptr_t value = (uintptr_t)stream;
    return value == 0 || value == 1 ? &standard[0] : value == 2 ? &standard[1] : (Stream *)stream;
}

/* Whether a capture goes on; its graph may be gone if it does not. */
static int goes_on(const Graph *graph, uint64_t id) {
    int found = 0;
    pthread_mutex_lock(&lock);
    for (Stream *at = streams; at && graph; at = at->next) found |= at->capturing == graph && at->capture_id == id;
    pthread_mutex_unlock(&lock);
    return found;
}

void capture_ended(Graph *graph) {
    pthread_mutex_lock(&lock);
    for (Stream *at = streams; at && graph; at = at->next) if (at->capturing == graph) at->capturing = NULL;
    pthread_mutex_unlock(&lock);
}

static void event_record(Event *event, void *stream) {
    HIT("event record");
    Stream *of = stream_at(stream);
    event->capturing = captures ? of->capturing : NULL;
    event->capture_id = of->capture_id;
    event->at_ns = now_ns();
    event->recorded = 1;
}

static void stream_wait(void *stream, Event *event) {
    HIT("stream wait event");
    if (!stream_at(stream)->capturing && goes_on(event->capturing, event->capture_id)) { /* a fork joins the capture */
        stream_at(stream)->capturing = event->capturing;
        stream_at(stream)->capture_id = event->capture_id;
    }
}

static cudaError_t new_stream(void *result, int flags, int priority) {
    Stream *stream = calloc(1, sizeof *stream);
    stream->id = __atomic_fetch_add(&next_stream, 1, __ATOMIC_RELAXED);
    stream->flags = flags; stream->priority = priority;
    pthread_mutex_lock(&lock);
    stream->next = streams; streams = stream;
    pthread_mutex_unlock(&lock);
    *(void **)result = stream;
    HIT("stream create");
    DONE;
}
R(cudaStreamCreate)(cudaStream_t *s) { return new_stream(s, 0, 0); }
R(cudaStreamCreateWithFlags)(cudaStream_t *s, unsigned flags) { return new_stream(s, flags, 0); }
R(cudaStreamCreateWithPriority)(cudaStream_t *s, unsigned flags, int priority) { return new_stream(s, flags, priority); }
R(cudaStreamDestroy)(cudaStream_t s) {
    if ((uintptr_t)s <= 2) DONE;
    pthread_mutex_lock(&lock);
    for (Stream **at = &streams; *at; at = &(*at)->next) if (*at == (Stream *)s) { *at = (*at)->next; break; }
    pthread_mutex_unlock(&lock);
    free(s);
    DONE;
}
R(cudaStreamGetPriority)(cudaStream_t s, int *priority) { *priority = stream_at(s)->priority; DONE; }
R(cudaStreamGetFlags)(cudaStream_t s, unsigned *flags) { *flags = stream_at(s)->flags; DONE; }
R(cudaStreamGetId)(cudaStream_t s, unsigned long long *id) { *id = stream_at(s)->id; DONE; }
R(cudaStreamGetDevice)(cudaStream_t s, int *device) { (void)s; *device = current; DONE; }
R(cudaStreamSynchronize)(cudaStream_t s) { (void)s; HIT("stream synchronize"); DONE; }
R(cudaStreamQuery)(cudaStream_t s) { (void)s; HIT("stream query"); DONE; }
R(cudaStreamWaitEvent)(cudaStream_t s, cudaEvent_t e, unsigned flags) { (void)flags; stream_wait(s, (Event *)e); DONE; }
R(cudaStreamAddCallback)(cudaStream_t s, cudaStreamCallback_t f, void *data, unsigned flags) { (void)flags; f(s, cudaSuccess, data); DONE; }
R(cudaLaunchHostFunc)(cudaStream_t s, cudaHostFn_t f, void *data) { HIT("host function"); if (!(captures && stream_at(s)->capturing)) f(data); DONE; }
R(cudaEventCreateWithFlags)(cudaEvent_t *e, unsigned flags) { (void)flags; HIT("event create"); *e = calloc(1, sizeof(Event)); DONE; }
R(cudaEventCreate)(cudaEvent_t *e) { return cudaEventCreateWithFlags(e, 0); }
R(cudaEventDestroy)(cudaEvent_t e) { free(e); DONE; }
R(cudaEventRecord)(cudaEvent_t e, cudaStream_t s) { event_record((Event *)e, s); DONE; }
R(cudaEventRecordWithFlags)(cudaEvent_t e, cudaStream_t s, unsigned flags) { (void)flags; event_record((Event *)e, s); DONE; }
R(cudaEventQuery)(cudaEvent_t e) { (void)e; HIT("event query"); DONE; }
R(cudaEventSynchronize)(cudaEvent_t e) { (void)e; HIT("event synchronize"); DONE; }
R(cudaEventElapsedTime)(float *ms, cudaEvent_t a, cudaEvent_t b) {
    Event *from = (Event *)a, *to = (Event *)b;
    if (!from->recorded || !to->recorded) return failed(cudaErrorInvalidResourceHandle);
    *ms = to->at_ns > from->at_ns ? (to->at_ns - from->at_ns) / 1e6f : 0.0005f;
    DONE;
}
R(cudaIpcGetEventHandle)(cudaIpcEventHandle_t *h, cudaEvent_t e) { (void)h; (void)e; return failed(emu_missing("cudaIpcGetEventHandle", cudaErrorNotSupported)); }
R(cudaIpcOpenEventHandle)(cudaEvent_t *e, cudaIpcEventHandle_t h) { (void)h; (void)e; return failed(emu_missing("cudaIpcOpenEventHandle", cudaErrorNotSupported)); }
R(cudaIpcGetMemHandle)(cudaIpcMemHandle_t *h, void *p) { (void)h; (void)p; return failed(emu_missing("cudaIpcGetMemHandle", cudaErrorNotSupported)); }
R(cudaIpcOpenMemHandle)(void **p, cudaIpcMemHandle_t h, unsigned f) { (void)h; (void)p; (void)f; return failed(emu_missing("cudaIpcOpenMemHandle", cudaErrorNotSupported)); }
R(cudaIpcCloseMemHandle)(void *p) { (void)p; return failed(emu_missing("cudaIpcCloseMemHandle", cudaErrorNotSupported)); }
D(cuStreamCreate)(CUstream *s, unsigned flags) { new_stream(s, flags, 0); OK; }
D(cuStreamDestroy)(CUstream s) { cudaStreamDestroy(s); OK; }
D(cuStreamSynchronize)(CUstream s) { (void)s; HIT("stream synchronize"); OK; }
D(cuStreamWaitEvent)(CUstream s, CUevent e, unsigned f) { (void)f; stream_wait(s, (Event *)e); OK; }
D(cuEventCreate)(CUevent *e, unsigned flags) { cudaEventCreateWithFlags((cudaEvent_t *)e, flags); OK; }
D(cuEventDestroy)(CUevent e) { free(e); OK; }
D(cuEventRecord)(CUevent e, CUstream s) { event_record((Event *)e, s); OK; }
D(cuEventSynchronize)(CUevent e) { (void)e; HIT("event synchronize"); OK; }
D(cuEventQuery)(CUevent e) { (void)e; OK; }
#undef cuEventElapsedTime
D(cuEventElapsedTime)(float *ms, CUevent a, CUevent b) { return cudaEventElapsedTime(ms, (cudaEvent_t)a, (cudaEvent_t)b) ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS; }
D(cuEventElapsedTime_v2)(float *ms, CUevent a, CUevent b) { return cuEventElapsedTime(ms, a, b); }
