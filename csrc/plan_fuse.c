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
    const uintptr_t offset = (uintptr_t)*pointer - (uintptr_t)e->at;
    e->touches += (uintptr_t)*pointer >= (uintptr_t)e->at && offset < e->bytes;
}

/* Where p lies; touches: 0 where it is memory that the step has not made, of which nothing is known. */
static extent extent_of(const pd_arena *arena, const void *p) {
    const pd_life *const life = pd_life_at(arena, p);
    if (life) return (extent){life->at, life->bytes, life->touches};
    for (size_t i = 0; i < arena->block_count; i++) {
        extent e = {arena->blocks[i].at, arena->blocks[i].bytes, 0};
        void *pointer = (void *)p;
        count_touch(&e, &pointer);
        if (e.touches) return e;
    }
    return (extent){p, 0, 0};
}

static size_t touches_of(pd_entry *entry, extent where) {
    where.touches = 0;
    pd_entry_pointers(entry, count_touch, &where);
    return where.touches;
}

/* Whether `memory` is the whole product: the rows of C one after the other. */
static int is_filled(const pd_launch *product, extent memory) {
    const pd_gemm *g = &product->gemm;
    const size_t element = product->dtype == PD_F32 ? 4 : 8;
    return g->batch_ndim == 0 && (g->c_col == 1 || g->n == 1) && (g->c_row == (ptrdiff_t)g->n || g->m == 1) &&
           product->buf[3] == memory.at && memory.bytes == g->m * g->n * element;
}

static int is_flat(const pd_launch *map, size_t numel) {
    if (map->map.ndim == 0) return numel == 1;
    return map->map.ndim == 1 && map->map.shape[0] == numel && map->map.stride[0][0] == 1 && map->map.stride[1][0] == 1;
}

/* The activation of a product that nobody else sees: the product writes what it gives. */
static int take_activation(pd_plan *plan, const pd_arena *arena, size_t i) {
    pd_launch *const product = &plan->entries[i].launch;
    const pd_life *const sum = pd_life_at(arena, product->buf[3]);
    if (product->gemm.activation != PD_NO_ACTIVATION || product->gemm.accumulate || !sum) return 0;
    const extent from = extent_of(arena, sum->at);
    size_t j = i + 1;
    while (j < plan->count && !touches_of(&plan->entries[j], from)) j++;
    if (j == plan->count || sum->first != i || !is_filled(product, from)) return 0;
    const pd_launch *const map = &plan->entries[j].launch;
    if (activation_of(map->kernel) == PD_NO_ACTIVATION || map->dtype != product->dtype || map->buf[0] != sum->at ||
        !is_flat(map, product->gemm.m * product->gemm.n))
        return 0;
    if (map->buf[1] != sum->at) {
        const extent to = extent_of(arena, map->buf[1]);
        if (sum->touches != 2 || !to.touches) return 0;
        for (size_t k = i; k < j; k++)
            if (touches_of(&plan->entries[k], to)) return 0;
    }
    product->gemm.activation = (pd_activation)activation_of(map->kernel);
    product->buf[3] = map->buf[1];
    plan->entries[j].gone = 1;
    return 1;
}

static void drop_gone(pd_plan *plan) {
    size_t kept = 0;
    for (size_t i = 0; i < plan->count; i++)
        if (!plan->entries[i].gone) plan->entries[kept++] = plan->entries[i];
    plan->count = kept;
}

void pd_plan_fuse(pd_plan *plan, const pd_arena *arena) {
    int changed = 0;
    pd_plan_touches(plan, arena);
    for (size_t i = 0; i < plan->count; i++)
        if (plan->entries[i].launch.run && plan->entries[i].launch.kernel == PD_gemm) changed |= take_activation(plan, arena, i);
    if (changed) drop_gone(plan);
}
