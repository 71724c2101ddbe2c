/* Weights that a captured step only reads: kept in the form in which small products want them (gemm_pack), and made anew when
 * the caller says that they have changed. */
#include <stdlib.h>

#include "plan.h"

enum { MOST_ROWS = 31, WIDEST_PANEL = 32 }; /* more rows pay for packing themselves */

/* Of entry i, the matrix that packing would spare, its first byte and its size; 0 where there is none. */
size_t pd_plan_constant_matrix(const pd_plan *plan, size_t i, const void **at) {
    const pd_launch *const L = &plan->entries[i].launch;
    const pd_gemm *const g = &L->gemm;
    if (!L->run || L->kernel != PD_gemm || g->b_packed || g->batch_ndim || g->m < 2 || g->m > MOST_ROWS || g->n < 2 || g->k < 2) return 0;
    if (g->b_col < 2 || g->b_row < 1) return 0;
    *at = L->buf[1];
    return (size_t)((ptrdiff_t)(g->n - 1) * g->b_col + (ptrdiff_t)(g->k - 1) * g->b_row + 1) * (L->dtype == PD_F32 ? 4 : 8);
}

static void put(pd_plan *plan, const pd_packed *packed, int use) {
    pd_launch *const product = &plan->entries[packed->entry].launch;
    product->buf[1] = use ? packed->pack.buf[1] : packed->pack.buf[0];
    product->gemm.b_packed = use;
}

int pd_plan_keep_packed(pd_plan *plan, size_t i) {
    const pd_launch *const product = &plan->entries[i].launch;
    const pd_isa *const isa = pd_isa_in_use();
    pd_packed *moved = realloc(plan->packed, (plan->packed_count + 1) * sizeof(pd_packed));
    if (!moved) return -1;
    plan->packed = moved;
    pd_packed *const new = &moved[plan->packed_count];
    *new = (pd_packed){.entry = i, .pack = *product, .bytes = (product->gemm.n + WIDEST_PANEL) * product->gemm.k * (product->dtype == PD_F32 ? 4 : 8)};
    new->pack.run = isa->kernel[PD_gemm_pack][product->dtype];
    new->pack.kernel = PD_gemm_pack;
    new->pack.workspace = NULL;
    new->pack.buf[0] = product->buf[1];
    new->pack.buf[2] = new->pack.buf[3] = NULL;
    pd_launch with = *product;
    with.gemm.b_packed = 1;
    if (isa->sizer[PD_gemm][product->dtype](&with) > plan->entries[i].workspace) return -1;
    new->pack.buf[1] = pd_alloc(new->bytes);
    if (!new->pack.buf[1]) return -1;
    return (int)plan->packed_count++;
}

void pd_plan_pack_again(pd_plan *plan, size_t number) {
    const pd_packed *const packed = &plan->packed[number];
    (pd_trace_on ? pd_traced : packed->pack.run)(&packed->pack);
    put(plan, packed, 1);
}

void pd_plan_unpack(pd_plan *plan, size_t number) { put(plan, &plan->packed[number], 0); }
