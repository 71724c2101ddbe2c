/* Launches of a plan that follow each other and have nothing to do with each other, such as the gradients of a layer's input,
 * weight and bias: on several threads at once, where each is too small to be shared out itself. */
#include "plan.h"

enum { LEAST = 1 << 18, MOST_WORK = 1 << 20, MOST = 8 }; /* multiply-adds of a product that pays, and of one that shares itself out */

/* Multiply-adds; a product of one row is bound by memory. */
static size_t work_of(const pd_entry *e) {
    const pd_gemm *g = &e->launch.gemm;
    return e->launch.kernel == PD_gemm && g->batch_ndim == 0 && g->m > 1 && g->n > 1 ? g->m * ((g->n + 15) / 16 * 16) * g->k : 0;
}

/* The buffer that the launch writes, all others being read; PD_MAX_BUFS: of another launch nothing is known. */
static size_t written_by(const pd_entry *e) {
    if (!e->launch.run || e->arrays || e->together > 1) return PD_MAX_BUFS;
    return e->launch.kernel == PD_gemm ? 3 : e->launch.kernel == PD_sum ? 1 : PD_MAX_BUFS;
}

static int meets(const pd_arena *arena, const void *p, const void *q) {
    const pd_life *const life = pd_life_at(arena, p);
    return life ? pd_life_at(arena, q) == life : p == q;
}

/* Whether neither writes what the other touches. What one writes is memory that the step has made. */
static int is_free_of(const pd_arena *arena, const pd_entry *a, const pd_entry *b) {
    const size_t out = written_by(a), other = written_by(b);
    if (!pd_life_at(arena, a->launch.buf[out]) || !pd_life_at(arena, b->launch.buf[other])) return 0;
    for (size_t i = 0; i < PD_MAX_BUFS; i++) {
        if (b->launch.buf[i] && meets(arena, a->launch.buf[out], b->launch.buf[i])) return 0;
        if (a->launch.buf[i] && meets(arena, b->launch.buf[other], a->launch.buf[i])) return 0;
    }
    return 1;
}

void pd_plan_beside(pd_plan *plan, const pd_arena *arena) {
    for (size_t i = 0, count; i < plan->count; i += count) {
        pd_entry *const first = &plan->entries[i];
        size_t paying = 0, largest = 0;
        for (count = 0; count < MOST && i + count < plan->count && written_by(first + count) < PD_MAX_BUFS; count++) {
            int joins = 1;
            for (size_t k = 0; k < count && joins; k++) joins = is_free_of(arena, first + k, first + count);
            if (!joins) break;
            const size_t work = work_of(first + count);
            paying += work >= LEAST;
            largest = work > largest ? work : largest;
        }
        if (count > 1 && paying > 1 && largest < MOST_WORK) first->beside = count;
        if (count == 0) count = 1;
    }
}

static void run_one(void *context, size_t index) {
    const pd_entry *const e = (const pd_entry *)context + index;
    (pd_trace_on ? pd_traced : e->launch.run)(&e->launch);
}

void pd_beside_run(const pd_entry *first) { pd_parallel(first->beside, run_one, (void *)first); }
