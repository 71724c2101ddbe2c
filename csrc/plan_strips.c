/* Elementwise launches of a plan that follow each other, run strip by strip: what one writes the next reads from the nearest
 * cache, and what only they use is never written to memory at all. An element's bits do not depend on where its row is cut
 * (map.h), so they are those of the launches one after the other. */
#include <string.h>

#include "plan.h"

enum {
    STRIP = 2048,           /* elements of a strip, at most */
    GROUP = 4,              /* strips that one thread takes at a time */
    LEAST = 1 << 13,        /* elements from which strips pay */
    MOST = 16,              /* launches in a chain */
    SLOTS = 4,              /* strips of intermediate results; their numbers from 1 on stand for their addresses */
    SLOT = STRIP * 8 + 320, /* bytes; not all at the same distance from a page's start (alloc.c) */
    THREADED = 1 << 16      /* elements times launches that are worth waking a thread */
};

/* kernels.inc lists the elementwise kernels first. */
size_t pd_operands(const pd_entry *e) {
    const int kernel = e->launch.kernel;
    if (!e->launch.run || kernel >= PD_gemm || kernel == PD_triangle) return 0;
    const pd_cost *const cost = pd_trace_cost_of(kernel);
    size_t n = 0;
    while (cost->geometry == PD_COST_MAP && n < PD_MAX_OPERANDS && cost->each[n]) n++;
    return n;
}

static size_t size_of(const pd_entry *e, size_t operand) {
    static const unsigned char element[PD_DTYPES] = {4, 8, 8, 4, 1, 1};
    const unsigned char size = pd_trace_cost_of(e->launch.kernel)->each[operand];
    return size == PD_OWN ? element[e->launch.dtype] : size;
}

static size_t elements(const pd_map *map) {
    size_t n = 1;
    for (size_t d = 0; d < map->ndim; d++) n *= map->shape[d];
    return n;
}

/* Whether the operand lies row after row, as the elements are counted. */
static int is_dense(const pd_map *map, size_t operand) {
    ptrdiff_t expected = 1;
    for (size_t d = map->ndim; d-- > 0;) {
        if (map->stride[operand][d] != expected) return 0;
        expected *= (ptrdiff_t)map->shape[d];
    }
    return 1;
}

size_t pd_written_by(const pd_entry *e) {
    const size_t operands = pd_operands(e);
    if (operands) return operands - 1;
    if (!e->launch.run || e->arrays) return PD_MAX_BUFS;
    switch (e->launch.kernel) {
    case PD_gemm: case PD_conv_fwd: case PD_conv_input_grad: case PD_conv_weight_grad: return 3;
    case PD_sum: return 1;
    default: return PD_MAX_BUFS;
    }
}

int pd_covers(const pd_entry *e, size_t operand, const pd_life *life) {
    return life && e->launch.buf[operand] == life->at && is_dense(&e->launch.map, operand) &&
           life->bytes == elements(&e->launch.map) * size_of(e, operand);
}

/* The first and the last byte that the operand may touch. */
static void span_of(const pd_entry *e, size_t operand, uintptr_t *first, uintptr_t *last) {
    const pd_map *map = &e->launch.map;
    ptrdiff_t low = 0, high = 0;
    for (size_t d = 0; d < map->ndim; d++) {
        const ptrdiff_t reach = ((ptrdiff_t)map->shape[d] - 1) * map->stride[operand][d];
        if (reach < 0) low += reach;
        else high += reach;
    }
    const ptrdiff_t size = (ptrdiff_t)size_of(e, operand);
    *first = (uintptr_t)e->launch.buf[operand] + (uintptr_t)(low * size);
    *last = (uintptr_t)e->launch.buf[operand] + (uintptr_t)(high * size + size - 1);
}

/* What one of them writes and the other touches must be the same elements in the same order. */
static int may_share(const pd_entry *a, size_t i, const pd_entry *b, size_t j) {
    uintptr_t first, last, other_first, other_last;
    span_of(a, i, &first, &last);
    span_of(b, j, &other_first, &other_last);
    if (last < other_first || other_last < first) return 1;
    return a->launch.buf[i] == b->launch.buf[j] && size_of(a, i) == size_of(b, j) && is_dense(&a->launch.map, i) &&
           is_dense(&b->launch.map, j);
}

/* Whether `next` may run in the strips of the `count` launches from `first` on, and has something to do with them. */
static int joins(const pd_entry *first, size_t count, const pd_entry *next) {
    const size_t operands = pd_operands(next);
    int related = 0;
    if (!operands || elements(&next->launch.map) != elements(&first->launch.map) || !is_dense(&next->launch.map, operands - 1)) return 0;
    for (const pd_entry *e = first; e < first + count; e++) {
        const size_t others = pd_operands(e);
        if (e->launch.map.ndim > 1 && next->launch.map.ndim > 1 &&
            (e->launch.map.ndim != next->launch.map.ndim || memcmp(e->launch.map.shape, next->launch.map.shape, e->launch.map.ndim * sizeof(size_t))))
            return 0;
        for (size_t i = 0; i < others; i++)
            for (size_t j = 0; j < operands; j++) {
                related |= e->launch.buf[i] == next->launch.buf[j];
                if ((i == others - 1 || j == operands - 1) && !may_share(e, i, next, j)) return 0;
            }
    }
    return related;
}

/* Elements in a step along the first dimension of those that have several: all strips begin at a multiple of it. */
static size_t row_of(const pd_entry *first, size_t count) {
    for (const pd_entry *e = first; e < first + count; e++)
        if (e->launch.map.ndim > 1) return elements(&e->launch.map) / e->launch.map.shape[0];
    return 1;
}

/* The last launch of the chain that touches `at`, or `count` where others do, too. */
static size_t last_user(const pd_entry *first, size_t count, const pd_life *life) {
    size_t last = 0, uses = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t o = 0; o < pd_operands(first + i); o++)
            if (first[i].launch.buf[o] == life->at) last = i, uses++;
    return uses == life->touches ? last : count;
}

/* Results that only the chain uses get a slot until their last use, as long as there is one. */
static void use_slots(pd_entry *first, size_t count, const pd_arena *arena) {
    size_t until[SLOTS] = {0}; /* the launch from which on the slot is free */
    for (size_t i = 0; i < count; i++) {
        const void *const at = first[i].launch.buf[pd_operands(first + i) - 1];
        const pd_life *const life = pd_life_at(arena, at);
        const size_t last = life && life->at == at && !life->moves ? last_user(first, count, life) : count;
        size_t slot = 0;
        while (slot < SLOTS && until[slot] > i) slot++;
        if (last == count || slot == SLOTS) continue;
        until[slot] = last + 1;
        for (size_t k = i; k <= last; k++)
            for (size_t o = 0; o < pd_operands(first + k); o++)
                if (first[k].launch.buf[o] == at) first[k].launch.buf[o] = (void *)(uintptr_t)(slot + 1);
    }
}

void pd_plan_strips(pd_plan *plan, const pd_arena *arena) {
    pd_plan_touches(plan, arena);
    for (size_t i = 0, count; i < plan->count; i += count) {
        pd_entry *const first = &plan->entries[i];
        const size_t operands = pd_operands(first);
        count = 1;
        if (!operands || elements(&first->launch.map) < LEAST || !is_dense(&first->launch.map, operands - 1)) continue;
        while (count < MOST && i + count < plan->count && joins(first, count, first + count)) count++;
        if (count == 1 || row_of(first, count) > STRIP) {
            count = 1;
            continue;
        }
        first->together = count;
        use_slots(first, count, arena);
    }
}

/* ---- The run ---- */

typedef struct strips {
    const pd_entry *first;
    size_t count, numel, row, length; /* elements: of all, of a row, of a strip */
} strips;

/* Operand o of launch e in the strip from element `start` on. */
static void *operand_at(const pd_entry *e, size_t o, size_t start, char (*slot)[SLOT]) {
    const uintptr_t at = (uintptr_t)e->launch.buf[o];
    if (at && at <= SLOTS) return slot[at - 1];
    return (char *)at + (ptrdiff_t)start * e->launch.map.stride[o][0] * (ptrdiff_t)size_of(e, o);
}

static void run_strips(void *context, size_t chunk) {
    const strips *s = context;
    _Alignas(64) char slot[SLOTS][SLOT];
    pd_launch part[MOST];
    for (size_t k = 0; k < s->count; k++) part[k] = s->first[k].launch;
    for (size_t strip = chunk * GROUP; strip < (chunk + 1) * GROUP && strip * s->length < s->numel; strip++) {
        const size_t start = strip * s->length, n = s->numel - start < s->length ? s->numel - start : s->length;
        for (size_t k = 0; k < s->count; k++) {
            const pd_entry *const e = s->first + k;
            const size_t row = e->launch.map.ndim > 1 ? s->row : 1, operands = pd_operands(e);
            part[k].map.shape[0] = n / row;
            for (size_t o = 0; o < operands; o++) part[k].buf[o] = operand_at(e, o, start / row, slot);
            (pd_trace_on ? pd_traced : part[k].run)(&part[k]);
        }
    }
}

void pd_strips_run(const pd_entry *first) {
    strips s = {first, first->together, elements(&first->launch.map), row_of(first, first->together), 0};
    s.length = STRIP / s.row * s.row;
    const size_t chunks = (s.numel + GROUP * s.length - 1) / (GROUP * s.length);
    if (s.numel * s.count >= THREADED) pd_parallel(chunks, run_strips, &s);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) run_strips(&s, chunk);
}
