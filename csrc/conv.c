/* Convolutions: which algorithm computes which shape. x (n, c, in), weight (o, c / groups, kernel), y (n, o, out) as in pd_window,
 * all contiguous; everything is overwritten.
 *
 *   conv_fwd          buf: x, weight, bias (o,) or NULL, y      y = x * weight (cross-correlation) + bias, then the activation
 *   conv_input_grad   buf: dy, weight, bias (c,) or NULL, dx    dx = the transpose of that map, of dy, + bias: also the transposed convolution
 *   conv_weight_grad  buf: dy, x, NULL, dw                      dw = the derivative of sum(y dy) in the weight
 *   conv_pack         buf: weight, to                           what the launch of this window makes of its weight, for use again and again;
 *                                                               scalar[0]: 0 forward, 1 input gradient; its sizer says how much that is
 *
 * An algorithm says what a pass would take it, in multiply-adds at the speed of a large matrix product; the cheapest is taken.
 * That depends on the sizes alone, not on the number of threads: the same bits for any of them. */
#ifndef PD_CONV_ONCE
#define PD_CONV_ONCE
enum conv_pass { CONV_FWD, CONV_INPUT_GRAD, CONV_WEIGHT_GRAD };
enum { CONV_REMEMBERED = 64 };
#endif

#include "conv_gemm.h"
#include "conv_plain.h"
#include "winograd.h"
#include "conv_planes.h"
#include "conv_rows.h"
#include "conv_depthwise.h"
#include "conv_lanes.h"
#include "conv_direct.h"
#include "conv_batch.h"
#include "conv_pointwise.h"
#include "conv_pointwise_grad.h"

typedef struct N(conv_algorithm) {
    double (*cost)(const pd_window *w, enum conv_pass pass);    /* HUGE_VAL where it cannot do that */
    size_t (*room)(const pd_launch *L, enum conv_pass pass);    /* bytes of workspace */
    void (*run)(const pd_launch *L, enum conv_pass pass);
    size_t (*packed)(const pd_window *w, enum conv_pass pass);  /* bytes of packed weights, not for the weight gradient; or NULL ... */
    void (*pack)(const pd_launch *L, enum conv_pass pass);      /* ... where the algorithm takes them as they are */
} N(conv_algorithm);

static const N(conv_algorithm) N(conv_algorithms)[] = {
    {N(conv_gemm_cost), N(conv_gemm_room), N(conv_gemm), N(conv_gemm_packed), N(conv_gemm_pack)},
    {N(conv_plain_cost), N(conv_plain_room), N(conv_plain), NULL, NULL},
    {N(wino_cost), N(wino_room), N(wino), N(wino_packed), N(wino_pack)},
    {N(conv_depthwise_cost), N(conv_depthwise_room), N(conv_depthwise), NULL, NULL},
    {N(conv_lanes_cost), N(conv_lanes_room), N(conv_lanes), NULL, NULL},
    {N(conv_direct_cost), N(conv_direct_room), N(conv_direct), N(conv_direct_packed), N(conv_direct_pack)},
    {N(conv_batch_cost), N(conv_batch_room), N(conv_batch), NULL, NULL},
    {N(conv_pointwise_cost), N(conv_pointwise_room), N(conv_pointwise), NULL, NULL},
};

static const N(conv_algorithm) *N(conv_cheapest)(const pd_window *w, enum conv_pass pass) {
    const N(conv_algorithm) *best = N(conv_algorithms);
    double least = HUGE_VAL;
    for (size_t i = 0; i < sizeof(N(conv_algorithms)) / sizeof(N(conv_algorithms)[0]); i++) {
        const double cost = N(conv_algorithms)[i].cost(w, pass);
        if (cost < least) least = cost, best = &N(conv_algorithms)[i];
    }
    return best;
}

/* To weigh the costs takes half a microsecond: what was chosen last is remembered. */
typedef struct N(conv_memory) {
    pd_window window;
    enum conv_pass pass;
    const N(conv_algorithm) *best;
} N(conv_memory);

static const N(conv_algorithm) *N(conv_choice)(const pd_window *w, enum conv_pass pass) {
    static _Thread_local N(conv_memory) memory[CONV_REMEMBERED];
    const size_t mixed = (((w->n * 31 + w->c) * 31 + w->o) * 31 + w->in[2]) * 31 + w->out[2] * 7 + w->kernel[2] * 3 + (size_t)pass;
    N(conv_memory) *at = &memory[(mixed ^ mixed >> 16) % CONV_REMEMBERED];
    if (at->best && at->pass == pass && memcmp(&at->window, w, sizeof *w) == 0) return at->best;
    *at = (N(conv_memory)){*w, pass, N(conv_cheapest)(w, pass)};
    return at->best;
}

static size_t N(conv_fwd_workspace)(const pd_launch *L) { return N(conv_choice)(&L->window, CONV_FWD)->room(L, CONV_FWD); }
static size_t N(conv_input_grad_workspace)(const pd_launch *L) {
    return N(conv_choice)(&L->window, CONV_INPUT_GRAD)->room(L, CONV_INPUT_GRAD);
}
static size_t N(conv_weight_grad_workspace)(const pd_launch *L) {
    return N(conv_choice)(&L->window, CONV_WEIGHT_GRAD)->room(L, CONV_WEIGHT_GRAD);
}

static void N(conv_fwd)(const pd_launch *L) { N(conv_choice)(&L->window, CONV_FWD)->run(L, CONV_FWD); }
static void N(conv_input_grad)(const pd_launch *L) { N(conv_choice)(&L->window, CONV_INPUT_GRAD)->run(L, CONV_INPUT_GRAD); }
static void N(conv_weight_grad)(const pd_launch *L) { N(conv_choice)(&L->window, CONV_WEIGHT_GRAD)->run(L, CONV_WEIGHT_GRAD); }

static enum conv_pass N(conv_pack_pass)(const pd_launch *L) { return L->scalar[0] != 0 ? CONV_INPUT_GRAD : CONV_FWD; }

static size_t N(conv_pack_workspace)(const pd_launch *L) {
    const enum conv_pass pass = N(conv_pack_pass)(L);
    const N(conv_algorithm) *way = N(conv_choice)(&L->window, pass);
    return way->packed ? way->packed(&L->window, pass) : 0;
}

static void N(conv_pack)(const pd_launch *L) {
    const enum conv_pass pass = N(conv_pack_pass)(L);
    N(conv_choice)(&L->window, pass)->pack(L, pass);
}
