/* Weights that a captured step only reads: kept in the form in which small products want them (gemm_pack), and made anew when
 * the caller says that they have changed. */
#include <stdlib.h>

#include "plan.h"

enum { MOST_ROWS = 31, WIDEST_PANEL = 32, /* more rows pay for packing themselves */
       MOST_PIXELS = 4096 };              /* and so do more pixels, of all images */

static size_t element_of(const pd_launch *L) { return L->dtype == PD_F32 ? 4 : 8; }

static size_t volume(const size_t *sizes) { return sizes[0] * sizes[1] * sizes[2]; }

static int is_convolution(const pd_launch *L) { return L->kernel == PD_conv_fwd || L->kernel == PD_conv_input_grad; }

/* The launch that packs the weights of product L; what it packs is its buf[0], the place where to its buf[1]. */
static pd_launch packing_of(const pd_launch *L) {
    const int kernel = is_convolution(L) ? PD_conv_pack : PD_gemm_pack;
    pd_launch pack = *L;
    pack.run = pd_isa_in_use()->kernel[kernel][L->dtype];
    pack.kernel = (int16_t)kernel;
    pack.workspace = NULL;
    pack.scalar[0] = L->kernel == PD_conv_input_grad;
    pack.buf[0] = L->buf[1];
    pack.buf[1] = pack.buf[2] = pack.buf[3] = NULL;
    return pack;
}

static size_t packed_bytes(const pd_launch *L) {
    const pd_launch pack = packing_of(L);
    if (is_convolution(L)) return pd_isa_in_use()->sizer[PD_conv_pack][L->dtype](&pack);
    return (L->gemm.n + WIDEST_PANEL) * L->gemm.k * element_of(L);
}

static size_t constant_filters(const pd_launch *L, const void **at) {
    const pd_window *const w = &L->window;
    if (w->packed || w->n * volume(L->kernel == PD_conv_fwd ? w->out : w->in) > MOST_PIXELS || packed_bytes(L) == 0) return 0;
    *at = L->buf[1];
    return w->o * (w->c / w->groups) * volume(w->kernel) * element_of(L);
}

/* Of entry i, the matrix or the filters that packing would spare, the first byte and the size; 0 where there are none. */
size_t pd_plan_constant_matrix(const pd_plan *plan, size_t i, const void **at) {
    const pd_launch *const L = &plan->entries[i].launch;
    const pd_gemm *const g = &L->gemm;
    if (L->run && is_convolution(L)) return constant_filters(L, at);
    if (!L->run || L->kernel != PD_gemm || g->b_packed || g->batch_ndim || g->m < 2 || g->m > MOST_ROWS || g->n < 2 || g->k < 2) return 0;
    if (g->b_col < 2 || g->b_row < 1) return 0;
    *at = L->buf[1];
    return (size_t)((ptrdiff_t)(g->n - 1) * g->b_col + (ptrdiff_t)(g->k - 1) * g->b_row + 1) * element_of(L);
}

static void use_packed(pd_launch *product, int use) {
    if (is_convolution(product)) product->window.packed = use;
    else product->gemm.b_packed = use;
}

static void put(pd_plan *plan, const pd_packed *packed, int use) {
    pd_launch *const product = &plan->entries[packed->entry].launch;
    product->buf[1] = use ? packed->pack.buf[1] : packed->pack.buf[0];
    use_packed(product, use);
}

int pd_plan_keep_packed(pd_plan *plan, size_t i) {
    const pd_launch *const product = &plan->entries[i].launch;
    pd_packed *moved = realloc(plan->packed, (plan->packed_count + 1) * sizeof(pd_packed));
    if (!moved) return -1;
    plan->packed = moved;
    pd_packed *const new = &moved[plan->packed_count];
    *new = (pd_packed){.entry = i, .pack = packing_of(product), .bytes = packed_bytes(product)};
    pd_launch with = *product;
    use_packed(&with, 1);
    if (pd_isa_in_use()->sizer[product->kernel][product->dtype](&with) > plan->entries[i].workspace) return -1;
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
