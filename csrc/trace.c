/* A log of launches, kept while anybody traces. prepare() puts pd_traced in the place of a kernel then, so that a launch
 * costs nothing more while nobody does. One log for all threads, behind one lock. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pydl.h"

int pd_trace_on;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pd_event *events;
static size_t count, room, dropped, tracers, generation;
static pd_cost costs[PD_KERNELS];

/* What this thread is doing: the op whose backward it runs, and its last launch, which the op that made it will claim. */
static _Thread_local int32_t scope = PD_FORWARD;
static _Thread_local struct {
    size_t event, generation;
    void *buf[PD_MAX_BUFS];
} last;

static void lock_log(void) { pthread_mutex_lock(&lock); }
static void unlock_log(void) { pthread_mutex_unlock(&lock); }
static void watch_forks(void) { pthread_atfork(lock_log, unlock_log, unlock_log); }

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- What a launch works on, from its geometry ---- */

/* A rule of another geometry than the kernel's makes nonsense of the sizes, but it does not read beyond them. */
static size_t product(const size_t *sizes, size_t n) {
    size_t p = 1;
    for (size_t i = 0; i < n && i < PD_MAX_DIMS; i++) p *= sizes[i];
    return p;
}

/* Elements of an operand, each counted once however often a stride of zero repeats it. */
static size_t distinct(const size_t *shape, const ptrdiff_t *stride, size_t ndim) {
    size_t p = 1;
    for (size_t d = 0; d < ndim && d < PD_MAX_DIMS; d++)
        if (stride[d]) p *= shape[d];
    return p;
}

static size_t gemm_bytes(const pd_gemm *g, size_t element) {
    const size_t a = distinct(g->batch, g->a_batch, g->batch_ndim), b = distinct(g->batch, g->b_batch, g->batch_ndim);
    return element * (a * g->m * g->k + b * g->k * g->n + product(g->batch, g->batch_ndim) * g->m * g->n);
}

/* Multiply-adds of an output of a convolution */
static size_t window_taps(const pd_window *w) { return product(w->kernel, PD_SPACE) * (w->c / (w->groups ? w->groups : 1)); }

/* Images, weights, images */
static size_t window_bytes(const pd_window *w, size_t element) {
    return element * (w->n * (w->c * product(w->in, PD_SPACE) + w->o * product(w->out, PD_SPACE)) + w->o * window_taps(w));
}

static void measure(pd_event *e, const pd_launch *L, const pd_cost *cost) {
    static const unsigned char element[PD_DTYPES] = {4, 8, 8, 4, 1, 1};
    const size_t own = element[e->dtype];
    size_t items = 0, bytes = 0, lines = 0;
    switch (cost->geometry) {
    case PD_COST_MAP:
        items = product(L->map.shape, L->map.ndim);
        for (size_t o = 0; o < PD_MAX_OPERANDS && cost->each[o]; o++)
            bytes += distinct(L->map.shape, L->map.stride[o], L->map.ndim) * (cost->each[o] == PD_OWN ? own : cost->each[o]);
        e->items = items, e->bytes = bytes;
        return;
    case PD_COST_FLAT: items = product(L->map.shape, L->map.ndim); break;
    case PD_COST_GEMM:
        e->items = product(L->gemm.batch, L->gemm.batch_ndim) * L->gemm.m * L->gemm.n * L->gemm.k;
        e->bytes = gemm_bytes(&L->gemm, own);
        return;
    case PD_COST_CONV:
        e->items = product(L->window.out, PD_SPACE) * L->window.n * L->window.o * window_taps(&L->window);
        e->bytes = window_bytes(&L->window, own);
        return;
    case PD_COST_WINDOW: items = L->window.n * L->window.c * product(L->window.in, PD_SPACE); break;
    case PD_COST_REDUCE:
        items = product(L->reduce.shape, L->reduce.kept + L->reduce.reduced);
        lines = product(L->reduce.shape, L->reduce.kept);
        break;
    case PD_COST_LINES:
        items = L->lines.outer * L->lines.n * L->lines.inner;
        lines = L->lines.outer * L->lines.inner;
        break;
    case PD_COST_N: items = L->lines.n; break;
    case PD_COST_OUTER: items = L->lines.outer; break;
    case PD_COST_ROWS:
        items = L->rows.outer * L->rows.count * L->rows.inner;
        lines = L->rows.count;
        break;
    case PD_COST_STEP:
        for (size_t i = 0; i < L->step.count; i++) items += L->step.sizes[i];
        lines = items; /* room for more operands */
        break;
    default: break;
    }
    for (size_t o = 0; o < PD_MAX_OPERANDS; o++) {
        bytes += items * (cost->each[o] == PD_OWN ? own : cost->each[o]);
        bytes += lines * (cost->line[o] == PD_OWN ? own : cost->line[o]);
    }
    e->items = items, e->bytes = bytes;
}

/* ---- The log ---- */

/* Adds an event, or counts one that there is no memory for; the lock is held. Returns whether it is there. */
static int append(const pd_event *e) {
    if (count == room) {
        const size_t larger = room ? 2 * room : 1024;
        pd_event *moved = realloc(events, larger * sizeof(pd_event));
        if (!moved) {
            dropped++;
            return 0;
        }
        events = moved, room = larger;
    }
    events[count++] = *e;
    return 1;
}

void pd_traced(const pd_launch *L) {
    pd_event e = {.thread = (uint64_t)(uintptr_t)pthread_self(), .kernel = L->kernel, .dtype = L->dtype,
                  .op = scope >= 0 ? scope : PD_NO_OP, .backward = scope != PD_FORWARD};
    measure(&e, L, &costs[L->kernel]); /* before it runs: it may free or change what the geometry points at */
    memcpy(last.buf, L->buf, sizeof(last.buf));
    e.start = now();
    pd_isa_in_use()->kernel[L->kernel][L->dtype](L);
    e.end = now();
    lock_log();
    last.generation = tracers && append(&e) ? generation : 0;
    last.event = count - 1;
    unlock_log();
}

/* Whether this thread's last launch was given this memory, and is in the log; NULL is no memory. */
static int is_last(const void *output) {
    if (!output || last.generation != generation || last.event >= count) return 0;
    for (size_t i = 0; i < PD_MAX_BUFS; i++)
        if (last.buf[i] == output) return 1;
    return 0;
}

void pd_trace_name(int32_t op, const void *output) {
    if (scope != PD_FORWARD) return;
    lock_log();
    if (tracers && is_last(output)) events[last.event].op = op;
    else if (tracers) {
        const int64_t time = now();
        append(&(pd_event){.start = time, .end = time, .thread = (uint64_t)(uintptr_t)pthread_self(), .op = op,
                           .kernel = PD_NO_KERNEL});
    }
    last.generation = 0;
    unlock_log();
}

int32_t pd_trace_scope(int32_t op) {
    const int32_t outer = scope;
    scope = op;
    return outer;
}

void pd_trace_measure(const pd_launch *L, pd_event *to) {
    *to = (pd_event){.op = PD_NO_OP, .kernel = L->kernel, .dtype = (uint8_t)L->dtype};
    measure(to, L, &costs[L->kernel]);
}

void pd_trace_cost(int kernel, const pd_cost *cost) { costs[kernel] = *cost; }

const pd_cost *pd_trace_cost_of(int kernel) { return &costs[kernel]; }

size_t pd_trace_start(void) {
    pthread_once(&once, watch_forks);
    lock_log();
    if (tracers++ == 0) generation++, count = dropped = 0;
    pd_trace_on = 1;
    const size_t at = count;
    unlock_log();
    return at;
}

void pd_trace_stop(void) {
    lock_log();
    if (--tracers == 0) {
        pd_trace_on = 0;
        free(events);
        events = NULL;
        count = room = 0;
    }
    unlock_log();
}

size_t pd_trace_count(void) {
    lock_log();
    const size_t n = count;
    unlock_log();
    return n;
}

size_t pd_trace_read(size_t from, size_t most, pd_event *to) {
    lock_log();
    const size_t n = from >= count ? 0 : count - from < most ? count - from : most;
    if (n) memcpy(to, events + from, n * sizeof(pd_event));
    unlock_log();
    return n;
}

size_t pd_trace_dropped(void) {
    lock_log();
    const size_t n = dropped;
    unlock_log();
    return n;
}
