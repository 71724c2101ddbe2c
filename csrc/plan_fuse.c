/* Launches of a plan that another one does on the way, without a bit of difference. */
#include "plan.h"

static int activation_of(int kernel) {
    switch (kernel) {
    case PD_relu_fwd: return PD_RELU;
    case PD_sigmoid_fwd: return PD_SIGMOID;
    case PD_tanh_fwd: return PD_TANH;
    case PD_gelu_fwd: return PD_GELU;
    case PD_silu_fwd: return PD_SILU;
    default: return PD_NO_ACTIVATION;
    }
}

/* Memory that is one tensor's alone while it lives. */
typedef struct extent {
    const char *at;
    size_t bytes;
    size_t touches;
} extent;

static void count_touch(void *context, void **pointer) {
    extent *e = context;
    e->touches += (size_t)pd_within(*pointer, e->at, e->bytes);
}

/* Where p lies; touches: 0 where it is memory that the step has not made, of which nothing is known. */
static extent extent_of(const pd_arena *arena, const void *p) {
    const pd_life *const life = pd_life_at(arena, p);
    if (life) return (extent){life->at, life->bytes, life->touches};
    for (size_t i = 0; i < arena->block_count; i++) {
        const pd_block *const block = &arena->blocks[i];
        if (pd_within(p, block->at, block->bytes)) return (extent){block->at, block->bytes, 1};
    }
    return (extent){p, 0, 0};
}

static size_t touches_of(pd_entry *entry, extent where) {
    where.touches = 0;
    pd_entry_pointers(entry, count_touch, &where);
    return where.touches;
}

static int is_product(const pd_launch *L) { return L->run && (L->kernel == PD_gemm || L->kernel == PD_conv_fwd); }

static size_t numel_of(const pd_launch *product) {
    const pd_window *w = &product->window;
    if (product->kernel == PD_gemm) return product->gemm.m * product->gemm.n;
    return w->n * w->o * w->out[0] * w->out[1] * w->out[2];
}

/* Where the product says what it makes of its sums, or NULL where it adds to what is there. */
static pd_activation *choice_of(pd_launch *product) {
    if (product->kernel == PD_conv_fwd) return &product->window.activation;
    return product->gemm.accumulate ? NULL : &product->gemm.activation;
}

/* Whether a product of that kernel can do what the elementwise kernel `map` does. */
static int is_known(int product, int map) {
    return activation_of(map) != PD_NO_ACTIVATION || (product == PD_gemm && map == PD_relu_bwd);
}

/* Whether `memory` is the whole product: the rows of C one after the other. */
static int is_filled(const pd_launch *product, extent memory) {
    const pd_gemm *g = &product->gemm;
    const size_t element = product->dtype == PD_F32 ? 4 : 8;
    if (product->buf[3] != memory.at || memory.bytes != numel_of(product) * element) return 0;
    return product->kernel != PD_gemm ||
           (g->batch_ndim == 0 && (g->c_col == 1 || g->n == 1) && (g->c_row == (ptrdiff_t)g->n || g->m == 1));
}

static int is_flat(const pd_launch *map, int operands, size_t numel) {
    if (map->map.ndim == 0) return numel == 1;
    for (int o = 0; o < operands; o++)
        if (map->map.stride[o][0] != 1) return 0;
    return map->map.ndim == 1 && map->map.shape[0] == numel;
}

/* Whether no launch from `first` on, before `last`, touches what p is part of; 0 also where nothing is known of that. */
static int is_untouched(pd_plan *plan, const pd_arena *arena, const void *p, size_t first, size_t last) {
    const extent where = extent_of(arena, p);
    if (!where.touches) return 0;
    for (size_t k = first; k < last; k++)
        if (touches_of(&plan->entries[k], where)) return 0;
    return 1;
}

/* Whether the gate of launch j holds already when product i runs, and only products read it until then. */
static int is_open(pd_plan *plan, const pd_arena *arena, size_t i, size_t j) {
    extent gate = extent_of(arena, plan->entries[j].launch.buf[0]);
    if (!gate.touches) gate.bytes = plan->entries[i].launch.gemm.m * plan->entries[i].launch.gemm.n * sizeof(double);
    for (size_t k = i; k < j; k++) {
        const pd_launch *const between = &plan->entries[k].launch;
        if (!touches_of(&plan->entries[k], gate)) continue;
        if (between->kernel != PD_gemm || pd_within(between->buf[3], gate.at, gate.bytes)) return 0;
    }
    return 1;
}

/* The elementwise launch after product i that alone sees its result, as its operand number `operand`; else 0. */
static size_t follower(pd_plan *plan, const pd_arena *arena, size_t i, int *operand) {
    pd_launch *const product = &plan->entries[i].launch;
    const pd_activation *const does = choice_of(product);
    const pd_life *const sum = pd_life_at(arena, product->buf[3]);
    if (!does || *does != PD_NO_ACTIVATION || !sum) return 0;
    const extent from = extent_of(arena, sum->at);
    size_t j = i + 1;
    while (j < plan->count && !touches_of(&plan->entries[j], from)) j++;
    if (j == plan->count || sum->first != i || !is_filled(product, from)) return 0;
    const pd_launch *const map = &plan->entries[j].launch;
    *operand = map->kernel == PD_relu_bwd;
    if (map->dtype != product->dtype || map->buf[*operand] != sum->at) return 0;
    if (!is_known(product->kernel, map->kernel) || (*operand && (map->scalar[0] != 0 || map->buf[0] == sum->at))) return 0;
    if (!is_flat(map, *operand + 2, numel_of(product))) return 0;
    void *const to = map->buf[*operand + 1];
    if ((sum->moves && to != sum->at) || (*operand && !is_open(plan, arena, i, j))) return 0;
    return to == sum->at || (sum->touches == 2 && is_untouched(plan, arena, to, i, j)) ? j : 0;
}

/* The product writes what that launch makes of it. */
static void take_follower(pd_plan *plan, const pd_arena *arena, size_t i) {
    int operand = 0;
    const size_t j = follower(plan, arena, i, &operand);
    if (!j) return;
    pd_launch *const product = &plan->entries[i].launch;
    const pd_launch *const map = &plan->entries[j].launch;
    *choice_of(product) = operand ? PD_RELU_BWD : (pd_activation)activation_of(map->kernel);
    product->buf[4] = operand ? map->buf[0] : NULL;
    product->buf[3] = map->buf[operand + 1];
    plan->entries[j].gone = 1;
}

static void forget_touch(void *context, void **pointer) {
    pd_life *const life = pd_life_at(context, *pointer);
    if (life) life->touches--;
}

/* Whether no other launch sees what this one has at `pointer`, and nobody beside the plan does */
static int is_unread(const pd_entry *e, const pd_arena *arena, const void *pointer) {
    const pd_life *const life = pd_life_at(arena, pointer);
    return life && !life->moves && life->touches == touches_of(e, extent_of(arena, life->at));
}

/* Launches whose result nobody reads, from the last one on: what only they read is read by nobody, too. The places of maxima, which only
 * a backward reads, are left away where there is none. */
static void leave_unread(pd_plan *plan, const pd_arena *arena) {
    for (size_t i = plan->count; i-- > 0;) {
        pd_entry *const e = &plan->entries[i];
        pd_launch *const L = &e->launch;
        if (L->run && L->kernel == PD_max_pool_fwd && is_unread(e, arena, L->buf[2])) {
            forget_touch((void *)arena, &L->buf[2]);
            L->buf[2] = NULL;
        }
        const size_t out = pd_written_by(e);
        if (out == PD_MAX_BUFS || !is_unread(e, arena, L->buf[out])) continue;
        pd_entry_pointers(e, forget_touch, (void *)arena);
        e->gone = 1;
    }
}

static void drop_gone(pd_plan *plan) {
    size_t kept = 0;
    for (size_t i = 0; i < plan->count; i++)
        if (!plan->entries[i].gone) plan->entries[kept++] = plan->entries[i];
    plan->count = kept;
}

void pd_plan_fuse(pd_plan *plan, const pd_arena *arena) {
    pd_plan_touches(plan, arena);
    leave_unread(plan, arena);
    drop_gone(plan);
    pd_plan_touches(plan, arena);
    for (size_t i = 0; i < plan->count; i++)
        if (is_product(&plan->entries[i].launch)) take_follower(plan, arena, i);
    drop_gone(plan);
}
