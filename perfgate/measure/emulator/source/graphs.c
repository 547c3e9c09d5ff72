/* Graphs: a capture keeps its kernels, and a launch of the graph counts them. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "emu.h"
#include "api.h"
#include "kernels.h"
#include "streams.h"

static uint64_t next_capture = 1;
static __thread enum cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;

void note(Graph *graph, Kernel *kernel) {
    pthread_mutex_lock(&lock);
    if (graph->n == graph->room) {
        graph->room = graph->room ? 2 * graph->room : 256;
        graph->kernels = realloc(graph->kernels, graph->room * sizeof *graph->kernels);
    }
    graph->kernels[graph->n++] = kernel;
    pthread_mutex_unlock(&lock);
}
R(cudaThreadExchangeStreamCaptureMode)(enum cudaStreamCaptureMode *mode) { enum cudaStreamCaptureMode was = capture_mode; capture_mode = *mode; *mode = was; DONE; }

static void begin_capture(void *stream, Graph *graph) {
    HIT("graph capture");
    Stream *at = stream_at(stream);
    at->capturing = graph;
    at->capture_id = __atomic_fetch_add(&next_capture, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&captures, 1, __ATOMIC_RELAXED);
}
R(cudaStreamBeginCapture)(cudaStream_t s, enum cudaStreamCaptureMode mode) { (void)mode; begin_capture(s, calloc(1, sizeof(Graph))); DONE; }
R(cudaStreamBeginCaptureToGraph)(cudaStream_t s, cudaGraph_t g, const cudaGraphNode_t *d, const cudaGraphEdgeData *e, size_t n, enum cudaStreamCaptureMode mode) {
    (void)d; (void)e; (void)n; (void)mode; begin_capture(s, (Graph *)g); DONE;
}
R(cudaStreamEndCapture)(cudaStream_t s, cudaGraph_t *g) {
    Stream *at = stream_at(s);
    *g = (cudaGraph_t)at->capturing;
    capture_ended(at->capturing);
    __atomic_fetch_sub(&captures, 1, __ATOMIC_RELAXED);
    DONE;
}
R(cudaStreamIsCapturing)(cudaStream_t s, enum cudaStreamCaptureStatus *status) {
    *status = captures && stream_at(s)->capturing ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone; DONE;
}
R(cudaStreamGetCaptureInfo)(cudaStream_t s, enum cudaStreamCaptureStatus *status, unsigned long long *id, cudaGraph_t *g, const cudaGraphNode_t **deps, const cudaGraphEdgeData **edges, size_t *n) {
    Stream *at = stream_at(s);
    int on = captures && at->capturing;
    if (status) *status = on ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    if (id) *id = at->capture_id;
    if (g) *g = on ? (cudaGraph_t)at->capturing : NULL;
    if (deps) *deps = NULL;
    if (edges) *edges = NULL;
    if (n) *n = 0;
    DONE;
}
R(cudaStreamUpdateCaptureDependencies)(cudaStream_t s, cudaGraphNode_t *d, const cudaGraphEdgeData *e, size_t n, unsigned f) { (void)s; (void)d; (void)e; (void)n; (void)f; DONE; }
R(cudaGraphInstantiateWithFlags)(cudaGraphExec_t *x, cudaGraph_t g, unsigned long long flags) {
    (void)flags;
    Graph *of = (Graph *)g, *exec = calloc(1, sizeof *exec);
    exec->n = exec->room = of->n; exec->copies = of->copies;
    exec->kernels = malloc(of->n * sizeof *exec->kernels + 1);
    memcpy(exec->kernels, of->kernels, of->n * sizeof *exec->kernels);
    *x = (cudaGraphExec_t)exec;
    DONE;
}
R(cudaGraphInstantiate)(cudaGraphExec_t *x, cudaGraph_t g, unsigned long long flags) { return cudaGraphInstantiateWithFlags(x, g, flags); }
R(cudaGraphUpload)(cudaGraphExec_t x, cudaStream_t s) { (void)x; (void)s; DONE; }
R(cudaGraphLaunch)(cudaGraphExec_t x, cudaStream_t s) {
    HIT("graph launch");
    __atomic_fetch_add(&epoch, 1, __ATOMIC_RELAXED); /* its copies write as well */
    Graph *exec = (Graph *)x;
    const unsigned one[3] = {1, 1, 1};
    for (unsigned i = 0; i < exec->n; i++) {
        ran(exec->kernels[i]);
        began(exec->kernels[i]);
        HIT("launch in a graph");
        if (emu_activities) emu_activity(EMU_KERNEL, exec->kernels[i]->name, s, one, one, 0, 0);
    }
    DONE;
}
R(cudaGraphDestroy)(cudaGraph_t g) { Graph *of = (Graph *)g; if (of) { free(of->kernels); free(of); } DONE; }
R(cudaGraphExecDestroy)(cudaGraphExec_t x) { return cudaGraphDestroy((cudaGraph_t)x); }
R(cudaGraphGetNodes)(cudaGraph_t g, cudaGraphNode_t *nodes, size_t *n) { (void)nodes; *n = ((Graph *)g)->n + ((Graph *)g)->copies; DONE; }
R(cudaGraphRetainUserObject)(cudaGraph_t g, cudaUserObject_t o, unsigned c, unsigned f) { (void)g; (void)o; (void)c; (void)f; DONE; }
R(cudaUserObjectCreate)(cudaUserObject_t *o, void *p, cudaHostFn_t f, unsigned c, unsigned g) { (void)p; (void)f; (void)c; (void)g; *o = malloc(1); DONE; }
R(cudaUserObjectRelease)(cudaUserObject_t o, unsigned c) { (void)o; (void)c; DONE; }
R(cudaGraphNodeGetDependencies)(cudaGraphNode_t node, cudaGraphNode_t *d, cudaGraphEdgeData *e, size_t *n) { (void)node; (void)d; (void)e; *n = 0; DONE; }
R(cudaGraphAddNode)(cudaGraphNode_t *node, cudaGraph_t g, const cudaGraphNode_t *d, const cudaGraphEdgeData *e, size_t n, struct cudaGraphNodeParams *p) {
    (void)node; (void)g; (void)d; (void)e; (void)n; (void)p; return failed(emu_missing("cudaGraphAddNode", cudaErrorNotSupported));
}
R(cudaGraphConditionalHandleCreate)(cudaGraphConditionalHandle *h, cudaGraph_t g, unsigned v, unsigned f) { (void)h; (void)g; (void)v; (void)f; return failed(emu_missing("cudaGraphConditionalHandleCreate", cudaErrorNotSupported)); }
D(cuStreamIsCapturing)(CUstream s, CUstreamCaptureStatus *status) { *status = captures && stream_at(s)->capturing ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE; OK; }
