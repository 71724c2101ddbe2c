/* Convolution for any shape: implicit matrix products (conv_product.h, conv_weight_grad.h). */
#include "conv_product.h"
#include "conv_weight_grad.h"

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

/* Lanes hold destination channels, or for the weight gradient the source's: few of them leave lanes empty. */
static double N(conv_gemm_cost)(const pd_window *w, enum conv_pass pass) {
    N(conv_box) b = N(conv_box_of)(w, pass == CONV_INPUT_GRAD);
    if (!N(conv_box_fits)(&b)) return HUGE_VAL;
    const size_t lanes = (pass == CONV_FWD ? w->o : w->c) / w->groups;
    return conv_work(w) * (double)(ceil_div(lanes, VL) * VL) / (double)max_size(lanes, 1);
}
