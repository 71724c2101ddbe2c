/* Convolutions of many small images with few channels: VL images side by side, one in each lane. So every lane is of use, however
 * narrow the images are, and the taps that fall on the padding are left out for each target by itself. The source is turned to
 * [element][channel][image] on its way in; targets, a few channels of a band of elements at a time, are turned back on their way out.
 * The gradient of the weight sums over padded planes, [channel][element][image], with the kernel of conv_direct.h, and over lanes in the
 * end. In 1 to 3 dimensions.
 *
 * The source is x, the target y, and the other way round for the gradient of the input; groups of channels are taken one after another. */
#ifndef PD_CONV_BATCH_ONCE
#define PD_CONV_BATCH_ONCE
enum {
    BATCH_OUTS = 8,              /* targets that are summed side by side */
    BATCH_ROOM = 512 << 10,      /* bytes of a turned source, at most */
    BATCH_BAND = 64 << 10,       /* bytes of the targets that are turned back together, about */
    BATCH_SIDE = 1024,           /* elements of a side of the images, at most */
    BATCH_TAPS = 128             /* of the kernel, at most */
};

/* A tap that meets element `at` of the source, and in rows the taps after it that meet the elements after it. Those of the gradient of the
 * input count from the kernel's end. */
typedef struct batch_run {
    size_t tap, at, count;
} batch_run;

/* The taps that targets along one dimension meet inside the source. Those of target p: run[p * kernel] and the next, runs[p] of them. */
typedef struct batch_axis {
    size_t kernel, from, to;
    size_t *runs;
    batch_run *run;
} batch_axis;

/* Taps inside the source, of all targets along dimension d together: there are as many for both passes */
static UNUSED size_t batch_pairs(const pd_window *w, size_t d) {
    const ptrdiff_t stride = (ptrdiff_t)w->stride[d], from = (ptrdiff_t)w->in[d], to = (ptrdiff_t)w->out[d];
    ptrdiff_t pairs = 0;
    for (size_t t = 0; t < w->kernel[d]; t++) {
        const ptrdiff_t shift = (ptrdiff_t)w->pad[d] - (ptrdiff_t)(t * w->dilation[d]);
        const ptrdiff_t low = shift > 0 ? (shift + stride - 1) / stride : 0, high = floor_div(from - 1 + shift, stride);
        const ptrdiff_t last = high < to - 1 ? high : to - 1;
        if (last >= low) pairs += last - low + 1;
    }
    return (size_t)pairs;
}

static UNUSED void batch_axis_fill(batch_axis *axis, const pd_window *w, size_t d, int back) {
    const ptrdiff_t stride = (ptrdiff_t)w->stride[d], dilation = (ptrdiff_t)w->dilation[d], pad = (ptrdiff_t)w->pad[d];
    for (size_t p = 0; p < axis->to; p++) {
        batch_run *run = axis->run + p * axis->kernel;
        size_t n = 0;
        for (size_t t = 0; t < axis->kernel; t++) {
            const ptrdiff_t reach = (ptrdiff_t)(back ? axis->kernel - 1 - t : t) * dilation;
            const ptrdiff_t at = back ? (ptrdiff_t)p + pad - reach : (ptrdiff_t)p * stride - pad + reach;
            if (at < 0 || (back && at % stride != 0)) continue;
            const size_t source = (size_t)(back ? at / stride : at);
            if (source >= axis->from) continue;
            const int goes_on = n > 0 && d == 2 && run[n - 1].tap + run[n - 1].count == t && run[n - 1].at + run[n - 1].count == source;
            if (goes_on) run[n - 1].count++;
            else run[n++] = (batch_run){t, source, 1};
        }
        axis->runs[p] = n;
    }
}
#endif

typedef struct N(batch) {
    const pd_launch *L;
    const pd_window *w;
    int back;
    batch_axis axis[PD_SPACE];
    size_t sources, targets, taps;     /* channels of a group */
    size_t from, to, band, bands;      /* elements of a plane; of a band of the target's */
    size_t units, chunks, blocks;      /* a unit is a block of VL images of a group */
    size_t head, slot, room;           /* bytes of tables and weights; elements of a chunk's room, and of the source in it */
    size_t *place;                     /* of each element of the source */
    real *weight;
    size_t *off, *in;                  /* for the gradient of the weight: of its taps, and of its elements */
    size_t padded;                     /* elements of a padded plane */
} N(batch);

static int N(batch_plan)(N(batch) *o, const pd_launch *L, enum conv_pass pass) {
    const pd_window *w = &L->window;
    const int back = pass == CONV_INPUT_GRAD;
    *o = (N(batch)){.L = L, .w = w, .back = back, .sources = (back ? w->o : w->c) / w->groups, .targets = (back ? w->c : w->o) / w->groups,
                    .taps = volume(w->kernel), .from = volume(back ? w->out : w->in), .to = volume(back ? w->in : w->out)};
    if (2 * w->n < VL || o->sources == 0 || o->targets == 0 || o->from == 0 || o->to == 0 || o->taps > BATCH_TAPS) return 0;
    o->padded = 1;
    for (size_t d = 0; d < PD_SPACE; d++) {
        if (w->in[d] > BATCH_SIDE || w->out[d] > BATCH_SIDE || w->dilation[d] > BATCH_SIDE || w->stride[d] > BATCH_SIDE) return 0;
        o->axis[d] = (batch_axis){.kernel = w->kernel[d], .from = (back ? w->out : w->in)[d], .to = (back ? w->in : w->out)[d]};
        o->padded *= (w->out[d] - 1) * w->stride[d] + (w->kernel[d] - 1) * w->dilation[d] + 1;
        if (o->padded > BATCH_ROOM) return 0;
    }
    if ((double)o->sources * (double)(pass == CONV_WEIGHT_GRAD ? o->padded + 1 : o->from) * VBYTES > BATCH_ROOM || o->to > BATCH_ROOM) return 0;
    o->bands = ceil_div(o->to * BATCH_OUTS * VBYTES, BATCH_BAND);
    o->band = ceil_div(o->to, o->bands);
    o->blocks = ceil_div(w->n, VL);
    o->units = o->blocks * w->groups;
    o->chunks = conv_work(w) < CONV_THREAD_WORK ? 1 : min_size(o->units, CONV_CHUNKS);
    if (pass == CONV_WEIGHT_GRAD) { /* the chunks' sums */
        const double bytes = (double)w->o * (double)o->sources * (double)o->taps * VBYTES;
        if (bytes > DIRECT_SUMS) return 0;
        o->chunks = max_size(1, min_size(o->chunks, (size_t)(DIRECT_SUMS / max_real(bytes, 1))));
    }
    return 1;
}

/* Lays out the tables, the weights and the chunks' room -> the bytes of the first two */
static size_t N(batch_place)(N(batch) *o, enum conv_pass pass) {
    const int grad = pass == CONV_WEIGHT_GRAD;
    char *const first = o->L->workspace, *at = first;
    o->place = (size_t *)at, at += o->from * sizeof(size_t);
    if (grad) {
        o->off = (size_t *)at, at += o->sources * o->taps * sizeof(size_t);
        o->in = (size_t *)at, at += o->to * sizeof(size_t);
    }
    for (size_t d = 0; d < PD_SPACE && !grad; d++) {
        o->axis[d].runs = (size_t *)at, at += o->axis[d].to * sizeof(size_t);
        o->axis[d].run = (batch_run *)at, at += o->axis[d].to * o->axis[d].kernel * sizeof(batch_run);
    }
    const size_t weights = o->w->o * (o->w->c / o->w->groups) * o->taps;
    if (!grad) o->weight = (real *)at, at += weights * sizeof(real);
    o->room = o->sources * (grad ? o->padded + 1 : o->from) * VL;
    o->slot = ceil_div(o->room + (grad ? DIRECT_DY * o->to + weights : BATCH_OUTS * o->band) * VL, 16) * 16;
    return ceil_div((size_t)(at - first), 64) * 64;
}

/* ---- Forward, and the gradient of the input. ---- */

INLINE size_t N(batch_together)(size_t left) {
    return left > BATCH_OUTS && left < 2 * BATCH_OUTS ? ceil_div(left, 2) : min_size(left, BATCH_OUTS);
}

/* The weights of each group and block of targets: [tap][source][target] */
static void N(batch_weights)(N(batch) *o) {
    const pd_window *w = o->w;
    const real *from = o->L->buf[1];
    real *to = o->weight;
    const size_t source = o->back ? (w->c / w->groups) * o->taps : o->taps, target = o->back ? o->taps : (w->c / w->groups) * o->taps;
    for (size_t q = 0; q < w->groups; q++, from += o->sources * o->targets * o->taps)
        for (size_t first = 0, outs; first < o->targets; first += outs) {
            outs = N(batch_together)(o->targets - first);
            for (size_t t = 0; t < o->taps; t++)
                for (size_t c = 0; c < o->sources; c++)
                    for (size_t i = 0; i < outs; i++)
                        *to++ = from[(first + i) * target + c * source + (o->back ? o->taps - 1 - t : t)];
        }
}

typedef struct N(batch_job) {
    const real *from, *weight, *bias;
    real *to;
    size_t begin, end, ld; /* targets of a plane; elements from one channel's to the next */
    int relu;
} N(batch_job);

/* acc[i] += the sum over n steps of source and weight */
INLINE void N(batch_run)(const size_t outs, vreal *acc, const real *from, const real *weight, size_t n) {
    for (const real *end = from + n * VL; from < end; from += VL, weight += outs) {
        vreal x = v_load(from);
        V_HOLD(x);
        UNROLL for (size_t i = 0; i < outs; i++) acc[i] = v_fma(v_set(weight[i]), x, acc[i]);
    }
}

/* Targets begin ... end of `outs` channels, each a vector */
INLINE void N(batch_targets)(const size_t outs, const N(batch) *o, const N(batch_job) *job) {
    const batch_axis *z = &o->axis[0], *y = &o->axis[1], *x = &o->axis[2];
    size_t pz = job->begin / (y->to * x->to), py = job->begin / x->to % y->to, px = job->begin % x->to;
    real *to = job->to;
    for (size_t p = job->begin; p < job->end; p++, to += VL) {
        const batch_run *deep = z->run + pz * z->kernel, *down = y->run + py * y->kernel, *across = x->run + px * x->kernel;
        vreal acc[BATCH_OUTS];
        UNROLL for (size_t i = 0; i < outs; i++) acc[i] = v_set(job->bias ? job->bias[i] : 0);
        for (size_t a = 0; a < z->runs[pz]; a++)
            for (size_t b = 0; b < y->runs[py]; b++)
                for (size_t c = 0; c < x->runs[px]; c++) {
                    const size_t tap = (deep[a].tap * y->kernel + down[b].tap) * x->kernel + across[c].tap;
                    const size_t at = (deep[a].at * y->from + down[b].at) * x->from + across[c].at;
                    N(batch_run)(outs, acc, job->from + at * o->sources * VL, job->weight + tap * o->sources * outs, across[c].count * o->sources);
                }
        if (job->relu)
            UNROLL for (size_t i = 0; i < outs; i++) acc[i] = N(relu_fwd_at)(acc[i], NULL);
        UNROLL for (size_t i = 0; i < outs; i++) v_store(to + i * job->ld, acc[i]);
        if (++px == x->to) {
            px = 0;
            if (++py == y->to) py = 0, pz++;
        }
    }
}

static void N(batch_targets_of)(size_t outs, const N(batch) *o, const N(batch_job) *job) {
    switch (outs) {
#define BATCH_CASE(n) case n: N(batch_targets)(n, o, job); break;
    BATCH_CASE(1) BATCH_CASE(2) BATCH_CASE(3) BATCH_CASE(4) BATCH_CASE(5) BATCH_CASE(6) BATCH_CASE(7) BATCH_CASE(8)
#undef BATCH_CASE
    default: break;
    }
}

static void N(batch_chunk)(void *context, size_t chunk) {
    const N(batch) *o = context;
    const pd_window *w = o->w;
    const size_t source = o->sources * w->groups * o->from, target = o->targets * w->groups * o->to; /* of an image */
    const pd_activation activation = o->back ? PD_NO_ACTIVATION : w->activation;
    real *buffer = (real *)((char *)o->L->workspace + o->head) + chunk * o->slot;
    N(batch_job) job = {.from = buffer, .to = buffer + o->room, .ld = o->band * VL, .relu = activation == PD_RELU};
    for (size_t u = chunk * o->units / o->chunks; u < (chunk + 1) * o->units / o->chunks; u++) {
        const size_t q = u / o->blocks, n = u % o->blocks * VL, lines = min_size(VL, w->n - n);
        for (size_t c = 0; c < o->sources; c++)
            N(lanes_in)(buffer + c * VL, o->place, (const real *)o->L->buf[0] + n * source + (q * o->sources + c) * o->from, source, lines, o->from);
        for (size_t first = 0, outs; first < o->targets; first += outs) {
            outs = N(batch_together)(o->targets - first);
            job.weight = o->weight + (q * o->targets + first) * o->sources * o->taps;
            job.bias = o->L->buf[2] ? (const real *)o->L->buf[2] + q * o->targets + first : NULL;
            real *to = (real *)o->L->buf[3] + n * target + (q * o->targets + first) * o->to;
            for (job.begin = 0; job.begin < o->to; job.begin = job.end) {
                job.end = min_size(job.begin + o->band, o->to);
                N(batch_targets_of)(outs, o, &job);
                for (size_t i = 0; i < outs; i++) {
                    real *out = job.to + i * job.ld;
                    if (activation != PD_NO_ACTIVATION && !job.relu) N(gemm_activate)(activation, out, (job.end - job.begin) * VL);
                    N(lanes_out)(to + i * o->to + job.begin, out, target, lines, job.end - job.begin);
                }
            }
        }
    }
}

/* ---- The gradient of the weight. ---- */

/* Where the buffer has the taps, the places that they go over, and the elements of the source: those that no tap meets at its end */
static void N(batch_places)(N(batch) *o) {
    const pd_window *w = o->w;
    size_t side[PD_SPACE];
    for (size_t d = 0; d < PD_SPACE; d++) side[d] = (w->out[d] - 1) * w->stride[d] + (w->kernel[d] - 1) * w->dilation[d] + 1;
    for (size_t t = 0; t < o->sources * o->taps; t++) {
        const size_t c = t / o->taps, z = t / (w->kernel[1] * w->kernel[2]) % w->kernel[0], y = t / w->kernel[2] % w->kernel[1], x = t % w->kernel[2];
        const size_t at = (z * w->dilation[0] * side[1] + y * w->dilation[1]) * side[2] + x * w->dilation[2];
        o->off[t] = (c * (o->padded + 1) + at) * VL;
    }
    for (size_t p = 0; p < o->to; p++) {
        const size_t z = p / (w->out[1] * w->out[2]), y = p / w->out[2] % w->out[1], x = p % w->out[2];
        o->in[p] = ((z * w->stride[0] * side[1] + y * w->stride[1]) * side[2] + x * w->stride[2]) * VL;
    }
    for (size_t p = 0; p < o->from; p++) {
        const size_t z = p / (w->in[1] * w->in[2]) + w->pad[0], y = p / w->in[2] % w->in[1] + w->pad[1], x = p % w->in[2] + w->pad[2];
        o->place[p] = (z < side[0] && y < side[1] && x < side[2] ? (z * side[1] + y) * side[2] + x : o->padded) * VL;
    }
}

/* Lanes without an image, of n vectors */
static void N(batch_clear)(real *x, size_t n, size_t lines) {
    for (size_t i = 0; lines < VL && i < n; i++)
        for (size_t l = lines; l < VL; l++) x[i * VL + l] = 0;
}

static void N(batch_grad_chunk)(void *context, size_t chunk) {
    const N(batch) *o = context;
    const pd_window *w = o->w;
    const size_t source = w->c * o->from, target = w->o * o->to, taps = o->sources * o->taps, weights = w->o * taps, ld = o->to * VL;
    real *buffer = (real *)((char *)o->L->workspace + o->head) + chunk * o->slot, *dy = buffer + o->room, *sums = dy + DIRECT_DY * ld;
    real *to = o->chunks > 1 ? (real *)((char *)o->L->workspace + o->head) + o->chunks * o->slot + chunk * weights : o->L->buf[3];
    const N(direct_job) job = {.from = buffer, .off = o->off, .in = o->in, .taps = taps, .strips = o->to};
    memset(buffer, 0, o->room * sizeof(real));
    memset(sums, 0, weights * VL * sizeof(real));
    for (size_t u = chunk * o->units / o->chunks; u < (chunk + 1) * o->units / o->chunks; u++) {
        const size_t q = u / o->blocks, n = u % o->blocks * VL, lines = min_size(VL, w->n - n);
        for (size_t c = 0; c < o->sources; c++)
            N(lanes_in)(buffer + c * (o->padded + 1) * VL, o->place, (const real *)o->L->buf[1] + n * source + (q * o->sources + c) * o->from,
                        source, lines, o->from);
        N(batch_clear)(buffer, o->sources * (o->padded + 1), lines);
        for (size_t first = 0, outs; first < o->targets; first += outs) {
            outs = o->targets - first >= DIRECT_DY ? DIRECT_DY : 1;
            for (size_t i = 0; i < outs; i++)
                N(lanes_in)(dy + i * ld, NULL, (const real *)o->L->buf[0] + n * target + (q * o->targets + first + i) * o->to, target, lines, o->to);
            N(batch_clear)(dy, outs * o->to, lines);
            real *sum = sums + (q * o->targets + first) * taps * VL;
            if (outs == 1) N(direct_products_of)(1, &job, dy, sum);
            else N(direct_products_of)(DIRECT_DY, &job, dy, sum);
        }
    }
    for (size_t i = 0; i < weights; i++) to[i] = N(lane_sum)(sums + i * VL);
}

/* ---- The algorithm. ---- */

/* Vectors of products, and in their measure what it takes to turn one, to begin a target or a run of taps, to sort a weight, or to keep sums
 * for it in the cache and to add up their lanes. Fewer than four sums side by side wait for one another. */
static double N(conv_batch_cost)(const pd_window *w, enum conv_pass pass) {
    N(batch) o;
    const pd_launch L = {.window = *w};
    if (!N(batch_plan)(&o, &L, pass)) return HUGE_VAL;
    const double units = (double)o.units, weights = (double)(w->o * (w->c / w->groups) * o.taps);
    const double pairs = (double)(o.sources * o.targets), turned = 8 * (double)(o.sources * o.from + o.targets * o.to);
    const double waits = max_real(1, 4 / (double)o.targets);
    if (pass == CONV_WEIGHT_GRAD)
        return VL * (units * (1.05 * waits * pairs * (double)(o.to * o.taps) + turned) + weights * (4 * (double)o.blocks + 14 * (double)o.chunks));
    const double lines = (double)(batch_pairs(w, 0) * batch_pairs(w, 1)), across = (double)batch_pairs(w, 2);
    const double starts = (double)ceil_div(o.targets, BATCH_OUTS) * (20 * (double)o.to + 8 * lines * (double)o.axis[2].to);
    return VL * units * (1.05 * waits * pairs * lines * across + turned + starts) + 3 * weights;
}

static size_t N(conv_batch_room)(const pd_launch *L, enum conv_pass pass) {
    N(batch) o;
    if (!N(batch_plan)(&o, L, pass)) return 0;
    const size_t sums = pass == CONV_WEIGHT_GRAD && o.chunks > 1 ? o.chunks * (size_t)L->window.o * o.sources * o.taps : 0;
    return N(batch_place)(&o, pass) + (o.chunks * o.slot + sums) * sizeof(real);
}

static void N(conv_batch)(const pd_launch *L, enum conv_pass pass) {
    N(batch) o;
    if (!N(batch_plan)(&o, L, pass)) return;
    o.head = N(batch_place)(&o, pass);
    if (pass == CONV_WEIGHT_GRAD) {
        N(batch_places)(&o);
        pd_parallel(o.chunks, N(batch_grad_chunk), &o);
        if (o.chunks > 1) N(conv_add_up)(L->buf[3], (const real *)((char *)L->workspace + o.head) + o.chunks * o.slot, o.chunks,
                                         L->window.o * o.sources * o.taps);
        return;
    }
    for (size_t d = 0; d < PD_SPACE; d++) batch_axis_fill(&o.axis[d], o.w, d, o.back);
    for (size_t p = 0; p < o.from; p++) o.place[p] = p * o.sources * VL;
    N(batch_weights)(&o);
    pd_parallel(o.chunks, N(batch_chunk), &o);
}
