/* Convolution by Winograd's minimal filtering, F(4 x 4, 3 x 3) (Lavin & Gray 2016): 36 matrix products, one for each pair of points, of
 * the transformed tiles (tiles x channels) and the transformed weights (channels x outputs): a quarter of the multiplications.
 *
 * A map from one set of images to another, by which the forward pass and the input gradient are the same thing: the input gradient reads
 * dy and writes dx, with the taps the other way round. Strides and kernels of up to 3 taps a stride come by phases: of a convolution of
 * stride s the pixels y s + q of the input, for each q < s, are an image of its own, which meets the taps q, q + s, ...; its products add
 * up in one sum, as if they were further channels. The input gradient writes such phases instead of reading them, each with its own taps.
 * A phase whose first (last) of three taps is missing needs no product for the point 0 (infinity).
 *
 *   U [phase written][plane][panel of TN outputs][phases read x channels][TN]     transformed weights
 *   V [plane][tile][phases read x channels]                                       transformed tiles
 *   M [phase written][plane][tile][TN]                                            sums, for one panel
 *
 * Planes lie an odd number of cache lines apart. Tiles are worked off in groups that keep V and M in the cache; no result depends on the
 * grouping. An infinity or a NaN in the input makes the outputs of every 4 x 4 tile that reads it NaN. */
#ifndef PD_WINO_ONCE
#define PD_WINO_ONCE
enum {
    WINO_PHASES = 4,
    WINO_STRIDE = 2,            /* the largest */
    WINO_CHANNELS = 1 << 20,    /* at most */
    WINO_WIDE = 16,             /* tiles side by side in a unit, at most */
    WINO_MOST = 128,            /* tiles of a group, at most */
    WINO_GROUPS = 16,           /* of them at least, if they have MR tiles */
    WINO_CACHE = 640 << 10,     /* bytes of V and M of a group */
    WINO_SHARED = 3 << 20,      /* bytes of both factors of the weight gradient */
    WINO_TERMS = 256,           /* tiles of a group there, at most ... */
    WINO_LEAST = 64,            /* ... and at least, whatever that takes */
    WINO_SLOTS = 16,            /* threads at most, fewer where their rooms have more bytes than that in all, but four */
    WINO_ROOM = 12 << 20,
    WINO_THREAD_WORK = 1 << 21, /* multiply-adds below which threads cost more than they bring */
    WINO_COST_READ = 420, WINO_COST_WRITE = 340, WINO_COST_WEIGHT = 420, WINO_COST_STEP = 1 << 18
};
typedef struct wino_image {   /* one channel of one image, `plane` elements from the next */
    size_t height, width, plane;
} wino_image;
typedef struct wino_phase {   /* of one axis */
    ptrdiff_t shift;          /* the element that the first tile reads first */
    size_t tap[3];            /* WINO_NONE: absent */
} wino_phase;
#endif

#include "winograd_transform.h"
#include "winograd_images.h"
#include "winograd_plan.h"
#include "winograd_run.h"
#include "winograd_weight_grad.h"

/* The tiles of an image that need plane p */
static double N(wino_image_tiles)(const wino_plan *plan, size_t p) {
    const size_t rows = plan->rows - !wino_point(p / WINO_POINTS, plan->last[0]);
    return (double)rows * (double)(plan->columns - !wino_point(p % WINO_POINTS, plan->last[1]));
}

/* In multiply-adds of a matrix product; the numbers are measured. A tile's transforms, 36 planes each, for a channel and an output, a
 * weight's, and the steps that threads wait between. */
static double N(wino_cost)(const pd_window *w, enum conv_pass pass) {
    wino_plan plan;
    if (!wino_shape(&plan, w, pass == CONV_INPUT_GRAD)) return HUGE_VAL;
    const size_t channels = ceil_div(plan.channels, VL) * VL, outputs = ceil_div(plan.outputs, VL) * VL;
    const double tiles = (double)(plan.images * plan.rows * plan.columns);
    const double pairs = (double)(pass == CONV_WEIGHT_GRAD ? plan.outputs * channels : plan.channels * outputs); /* lanes are whole vectors */
    double products = 0;
    for (size_t f = 0; f < plan.reads * plan.writes; f++)
        for (size_t p = 0; p < WINO_PLANES; p++) products += wino_active(&plan, f, p) * (double)plan.images * N(wino_image_tiles)(&plan, p);
    const double transforms = WINO_COST_READ * (double)(plan.reads * channels) + WINO_COST_WRITE * (double)(plan.writes * outputs);
    const double weights = WINO_COST_WEIGHT * (double)(plan.reads * plan.writes) * pairs;
    return (double)plan.groups * (products * pairs + tiles * transforms + weights + WINO_COST_STEP);
}

static size_t N(wino_room)(const pd_launch *L, enum conv_pass pass) {
    return pass == CONV_WEIGHT_GRAD ? N(wino_grad_room)(L) : N(wino_conv_room)(L, pass);
}

static void N(wino)(const pd_launch *L, enum conv_pass pass) {
    if (pass == CONV_WEIGHT_GRAD) N(wino_grad)(L);
    else N(wino_conv)(L, pass);
}
