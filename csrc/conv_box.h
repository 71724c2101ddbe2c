/* Boxes of images with their channels last. A convolution by implicit matrix products works on a box of places q of its output
 * at a time. What that reads of the source is copied to [d][h][w][pitch]: zeros where the padding is, channels neighbours, so that a tap
 * is a shift, rows of a tile are a fixed distance apart, and nothing is copied once for each tap.
 *
 * Forward, the place q reads source q * stride + t * dilation - pad. For the input gradient the destination is i = q * stride + f,
 * with a phase f in [0, stride): it reads dy at q + (f + pad - t * dilation) / stride for those taps t for which that is whole. */

typedef struct N(conv_box) {
    size_t channels;                        /* of the source, in a group */
    size_t from[PD_SPACE], to[PD_SPACE];    /* sizes of source and destination */
    size_t from_step[PD_SPACE], to_step[PD_SPACE];
    size_t places[PD_SPACE];                /* ceil(to / to_step) */
    size_t box[PD_SPACE], boxes[PD_SPACE];  /* places in a box, boxes */
    ptrdiff_t low[PD_SPACE];                /* the copy of a box that begins with q begins with source q * from_step + low ... */
    size_t reach[PD_SPACE], copy[PD_SPACE]; /* ... one place needs `reach`, the box `copy` of it */
    size_t pitch;                           /* from pixel to pixel of the copy */
} N(conv_box);

/* Elements of its copy: as a double where they may be more than an address can count */
static double N(conv_box_size)(const N(conv_box) *b) { return (double)b->copy[0] * (double)b->copy[1] * (double)b->copy[2] * (double)b->pitch; }
static size_t N(conv_box_elements)(const N(conv_box) *b) { return volume(b->copy) * b->pitch; }

static void N(conv_box_measure)(N(conv_box) *b) {
    for (size_t d = 0; d < PD_SPACE; d++) {
        b->boxes[d] = ceil_div(b->places[d], b->box[d]);
        b->box[d] = ceil_div(b->places[d], b->boxes[d]);
        b->copy[d] = (b->box[d] - 1) * b->from_step[d] + b->reach[d];
    }
}

/* Cuts the places into boxes whose copies have at most `room` elements, where that can be; and where there would be less than `least` boxes
 * of all `images` together, into smaller ones. */
static void N(conv_box_cut)(N(conv_box) *b, size_t room, size_t images, size_t least) {
    for (size_t d = 0; d < PD_SPACE; d++) b->box[d] = b->places[d];
    for (;;) {
        N(conv_box_measure)(b);
        const int large = N(conv_box_size)(b) > (double)room, few = images * volume(b->boxes) < least;
        if (b->box[0] > 1 && (large || few)) b->box[0] = ceil_div(b->box[0], 2);
        else if (b->box[1] > 1 && (large || (few && b->box[1] > 4))) b->box[1] = ceil_div(b->box[1], 2);
        else if (b->box[2] > max_size(8 * MR, b->reach[2]) && (large || few)) b->box[2] = ceil_div(b->box[2], 2);
        else return;
    }
}

static N(conv_box) N(conv_box_of)(const pd_window *w, int input_grad) {
    N(conv_box) b = {.channels = (input_grad ? w->o : w->c) / w->groups};
    for (size_t d = 0; d < PD_SPACE; d++) {
        const ptrdiff_t pad = (ptrdiff_t)w->pad[d], span = (ptrdiff_t)(w->dilation[d] * (w->kernel[d] - 1)), stride = (ptrdiff_t)w->stride[d];
        b.from[d] = input_grad ? w->out[d] : w->in[d];
        b.to[d] = input_grad ? w->in[d] : w->out[d];
        b.from_step[d] = input_grad ? 1 : w->stride[d];
        b.to_step[d] = input_grad ? w->stride[d] : 1;
        b.places[d] = ceil_div(b.to[d], b.to_step[d]);
        b.low[d] = input_grad ? -floor_div(span - pad, stride) : -pad;
        b.reach[d] = (size_t)((input_grad ? (pad + stride - 1) / stride : span - pad) - b.low[d] + 1);
    }
    b.pitch = ceil_div(b.channels, 16) * 16;
    if (b.pitch % 128 == 0) b.pitch += 16; /* rows of a tile a large power of two apart fall on few sets of the cache */
    return b;
}

/* Whether the copies of boxes are of a size that the source explains: a kernel may reach far beyond a small image. */
static int N(conv_box_fits)(N(conv_box) *b) {
    N(conv_box_cut)(b, 1, 1, 1);
    const double copy = N(conv_box_size)(b), source = (double)volume(b->from) * (double)b->pitch;
    return copy <= 1 << 20 || copy <= 4 * source;
}

/* One row of `count` pixels of the copy from source pixel x on; `from` is the source's row, channels `plane` apart; what is read ends before `end`. */
static void N(conv_copy_row)(const N(conv_box) *b, real *to, const real *from, size_t plane, ptrdiff_t x, size_t count, const real *end) {
    const ptrdiff_t width = (ptrdiff_t)b->from[2];
    const size_t first = x < 0 ? min_size((size_t)-x, count) : 0;
    const size_t last = max_size(first, x >= width ? 0 : min_size(count, (size_t)(width - x)));
    memset(to, 0, first * b->pitch * sizeof(real));
    memset(to + last * b->pitch, 0, (count - last) * b->pitch * sizeof(real));
    for (size_t c = 0; c < b->channels; c += VL) {
        const size_t lines = min_size(VL, b->channels - c);
        for (size_t i = first; i < last; i += VL) {
            const real *at = from + c * plane + (x + (ptrdiff_t)i);
            const size_t pixels = min_size(VL, last - i);
            vreal t[VL];
            if ((size_t)(end - at) >= (lines - 1) * plane + VL) N(turn)(t, at, (ptrdiff_t)plane, lines);
            else
                for (size_t p = 0; p < pixels; p++) {
                    t[p] = (vreal){0};
                    for (size_t l = 0; l < lines; l++) t[p][l] = at[l * plane + p];
                }
            for (size_t p = 0; p < pixels; p++) v_store(to + (i + p) * b->pitch + c, t[p]);
        }
    }
}

/* Row (z, y) of the copy of the box that begins with place q. */
static void N(conv_copy_line)(const N(conv_box) *b, real *copy, const real *source, const ptrdiff_t *q, size_t z, size_t y, const real *end) {
    const ptrdiff_t d = q[0] * (ptrdiff_t)b->from_step[0] + b->low[0] + (ptrdiff_t)z;
    const ptrdiff_t h = q[1] * (ptrdiff_t)b->from_step[1] + b->low[1] + (ptrdiff_t)y;
    real *to = copy + (z * b->copy[1] + y) * b->copy[2] * b->pitch;
    if (d < 0 || d >= (ptrdiff_t)b->from[0] || h < 0 || h >= (ptrdiff_t)b->from[1]) {
        memset(to, 0, b->copy[2] * b->pitch * sizeof(real));
        return;
    }
    N(conv_copy_row)(b, to, source + ((size_t)d * b->from[1] + (size_t)h) * b->from[2], volume(b->from),
                     q[2] * (ptrdiff_t)b->from_step[2] + b->low[2], b->copy[2], end);
}
