/* Convolution for any shape: implicit matrix products (conv_product.h, conv_weight_grad.h). */
#include "conv_product.h"
#include "conv_weight_grad.h"

#ifndef PD_CONV_GEMM_ONCE
#define PD_CONV_GEMM_ONCE
enum { CONV_WORK_NS = 53 }; /* multiply-adds of a large product in a nanosecond */
static UNUSED double max_real(double a, double b) { return a > b ? a : b; }
#endif

static size_t N(conv_gemm_room)(const pd_launch *L, enum conv_pass pass) {
    return pass == CONV_WEIGHT_GRAD ? N(conv_sums_room)(L) : N(conv_product_room)(L, pass == CONV_INPUT_GRAD);
}

static void N(conv_gemm)(const pd_launch *L, enum conv_pass pass) {
    if (pass == CONV_WEIGHT_GRAD) N(conv_sum)(L);
    else N(conv_product)(L, pass == CONV_INPUT_GRAD);
}

static size_t N(conv_gemm_packed)(const pd_window *w, enum conv_pass pass) {
    const pd_launch L = {.window = *w};
    const N(conv_op) op = N(conv_plan)(&L, pass == CONV_INPUT_GRAD);
    return w->groups * op.panels * op.panel * sizeof(real);
}

static void N(conv_gemm_pack)(const pd_launch *L, enum conv_pass pass) {
    pd_launch from = *L;
    from.buf[1] = L->buf[0], from.workspace = L->buf[1];
    N(conv_op) op = N(conv_plan)(&from, pass == CONV_INPUT_GRAD);
    conv_share(op.w, op.w->groups * op.panels, N(conv_pack_panel), &op);
}

/* Multiply-adds of lanes, also of empty ones, and what else takes time, in ns; the numbers are measured. Lanes hold destination channels,
 * or for the weight gradient the source's. */
static double N(conv_gemm_cost)(const pd_window *w, enum conv_pass pass) {
    const int back = pass == CONV_INPUT_GRAD;
    N(conv_box) b = N(conv_box_of)(w, back);
    if (!N(conv_box_fits)(&b)) return HUGE_VAL;
    const double taps = (double)volume(w->kernel), images = (double)w->n, groups = (double)w->groups;
    const size_t lanes = (pass == CONV_FWD ? w->o : w->c) / w->groups;
    const double inputs = images * (double)(w->c * volume(w->in)), outputs = images * (double)(w->o * volume(w->out));
    const double weights = (double)(w->o * (w->c / w->groups)) * taps;
    const double phases = back ? (double)volume(w->stride) : 1;
    const double work = back ? inputs * (double)b.channels * max_real(taps / phases, 1) : conv_work(w);
    const double panels = groups * (double)ceil_div(lanes, TN), rows = images * panels * (double)(b.to[0] * b.to[1]) * (double)b.to_step[2];
    const double runs = rows * (double)ceil_div(b.places[2], MR) * max_real(taps / phases, 1);
    const double ns = 0.3 * (inputs + outputs) + 200 * rows + 5 * runs + 0.4 * weights;
    return work * (double)(ceil_div(lanes, VL) * VL) / (double)max_size(lanes, 1) + CONV_WORK_NS * ns;
}
