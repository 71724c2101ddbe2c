/* How every reduction walks: a reducer says what happens to numbers, this file says in which order.
 *
 * k counts kept elements, i counts the n reduced ones in row-major order of the reduced dimensions, whatever their
 * strides. The order is a fixed tree, so that a result has the same bits for any layout and any number of threads:
 *   block    BLOCK consecutive i; element i goes to lane i % LANES, each lane adds its elements one after another
 *   lanes    of a block are merged by halves: lane l with lane l + LANES/2, and so on
 *   blocks   are merged pairwise, as the digits of a binary counter carry
 * The tree is walked in two ways: along rows (the LANES are those of four vectors, so that memory is read in one stream and
 * four chains of additions run at once), or down columns (contiguous kept elements fill the vectors, lane after lane).
 * Pairwise summation: Higham, "The accuracy of floating point summation", 1993. */
#ifndef PD_REDUCE_ONCE
#define PD_REDUCE_ONCE

enum {
    REDUCE_UNIT = 1 << 16,   /* elements in a chunk of work */
    REDUCE_WIDTH = 1024,     /* most kept elements that are treated side by side */
    REDUCE_NARROW = 128,     /* columns that are worth a thread of their own */
    REDUCE_PARTS = 4096,     /* most partial results of a launch */
    REDUCE_LEVELS = 32,      /* of the binary counter */
    REDUCE_RUN = 3,          /* log2 of the blocks that are summed in one call */
    REDUCE_HALVES = 7,       /* log2 of the most LANES there are, and the result */
    REDUCE_ALONE = 1 << 17,  /* fewer elements are not worth a second thread */
};

/* Element number `index` of the row-major shape lies this far from the first. */
static size_t reduce_offset(size_t ndim, const size_t *shape, const ptrdiff_t *stride, size_t index) {
    ptrdiff_t offset = 0;
    for (size_t d = ndim; d-- > 1;) {
        offset += (ptrdiff_t)(index % shape[d]) * stride[d];
        index /= shape[d];
    }
    return (size_t)(ndim ? offset + (ptrdiff_t)index * stride[0] : 0);
}
#endif

#define acc_t N(acc_t)
#define reducer N(reducer)
#define reduce_job N(reduce_job)
#define reduce_counter N(reduce_counter)

#if PD_REAL
typedef T acc_t;
enum { N(REDUCE_LANES) = 4 * VL };
#else
typedef int64_t acc_t;
enum { N(REDUCE_LANES) = 16 };
#endif
#define LANES ((size_t)N(REDUCE_LANES))
#define BLOCK (64 * LANES)
#define RUN (BLOCK << REDUCE_RUN)

/* What is reduced. A shift is a number per kept element that the step may use (a mean, a maximum), or NULL.
 * runs: out[s] = the n <= RUN elements at x + s * apart, their blocks merged pairwise, for s < rows.
 * onto: to[c] = step(... step(step(to[c], x[0][c]), x[1][c]) ...) over `rows` rows x, for c < w; fresh: from the identity.
 * merge: to[c] = to[c] and with[c], the earlier elements first.
 * finish: what becomes of the final accumulators; NULL: they are the output. */
typedef struct reducer {
    acc_t identity;
    void (*runs)(const T *x, ptrdiff_t apart, size_t rows, size_t n, const acc_t *shift, acc_t *out);
    void (*onto)(size_t w, size_t rows, acc_t *to, const T *const *x, const acc_t *shift, int fresh);
    void (*merge)(size_t w, acc_t *to, const acc_t *with);
    void (*finish)(size_t count, const acc_t *from, void *out, size_t at, const double *scalar);
} reducer;

typedef struct reduce_job {
    const pd_launch *launch;
    const reducer *how;
    const acc_t *shift;
    acc_t *parts; /* [segments][kept] */
    void *out;
    size_t kept, n, segment, segments;
    size_t tiles, tiles_per_chunk, width; /* a tile: `width` kept elements, or one of the `pieces` of `inner` columns */
    size_t inner, pieces;
    int down; /* walk down columns */
} reduce_job;

/* The binary counter: `depth` levels of `width` accumulators in use. */
typedef struct reduce_counter {
    size_t width, blocks, depth;
    acc_t *level;
    const reducer *how;
} reduce_counter;

/* 2^log2 consecutive blocks of `width` results have just been written to level[depth]. */
static void N(reduce_carry)(reduce_counter *c, size_t log2) {
    c->depth++;
    c->blocks += (size_t)1 << log2;
    for (size_t carry = c->blocks >> log2; !(carry & 1); carry >>= 1) {
        c->depth--;
        c->how->merge(c->width, c->level + (c->depth - 1) * c->width, c->level + c->depth * c->width);
    }
}

static const acc_t *N(reduce_total)(reduce_counter *c) {
    for (; c->depth > 1; c->depth--)
        c->how->merge(c->width, c->level + (c->depth - 2) * c->width, c->level + (c->depth - 1) * c->width);
    return c->level;
}

/* Do the elements of one kept element lie one after another? */
static int N(reduce_in_order)(const pd_reduce *g) { return g->reduced == 1 && g->stride[g->kept] == 1; }

/* `count` elements from number i of one kept element's: where they lie, or a copy of them in `stage`. */
static const T *N(reduce_fetch)(const pd_reduce *g, const T *x, size_t i, size_t count, T *stage) {
    const size_t last = g->kept + g->reduced - 1;
    const ptrdiff_t stride = g->stride[last];
    if (N(reduce_in_order)(g)) return x + i;
    const size_t *shape = g->shape + g->kept, extent = g->shape[last];
    for (size_t done = 0; done < count;) {
        const size_t run = min_size(count - done, extent - (i + done) % extent);
        const T *from = x + (ptrdiff_t)reduce_offset(g->reduced, shape, g->stride + g->kept, i + done);
        if (stride == 1 && run == count) return from;
        if (stride == 1) memcpy(stage + done, from, run * sizeof(T));
        else
            for (size_t j = 0; j < run; j++) stage[done + j] = from[(ptrdiff_t)j * stride];
        done += run;
    }
    return stage;
}

/* Elements first .. last of kept element k. */
static void N(reduce_row)(const reduce_job *job, size_t k, size_t first, size_t last, acc_t *to) {
    const pd_reduce *g = &job->launch->reduce;
    const T *x = (const T *)job->launch->buf[0] + (ptrdiff_t)reduce_offset(g->kept, g->shape, g->stride, k);
    const acc_t *shift = job->shift ? job->shift + k : NULL;
    const size_t log2 = N(reduce_in_order)(g) ? REDUCE_RUN : 0, piece = BLOCK << log2;
    acc_t level[REDUCE_LEVELS + 1];
    reduce_counter counter = {1, 0, 0, level, job->how};
    for (size_t i = first; i < last; i += piece) {
        T stage[BLOCK];
        const size_t count = min_size(piece, last - i);
        job->how->runs(N(reduce_fetch)(g, x, i, count, stage), 0, 1, count, shift, level + counter.depth);
        N(reduce_carry)(&counter, log2);
    }
    *to = *N(reduce_total)(&counter);
}

/* The kept elements k .. end; short ones that lie evenly spaced in one call. */
static void N(reduce_rows)(const reduce_job *job, size_t k, size_t end, size_t first, size_t last, acc_t *to) {
    const pd_reduce *g = &job->launch->reduce;
    if (job->n > RUN || !N(reduce_in_order)(g)) {
        for (; k < end; k++) N(reduce_row)(job, k, first, last, to++);
        return;
    }
    for (size_t rows; k < end; k += rows, to += rows) {
        const T *x = (const T *)job->launch->buf[0] + (ptrdiff_t)reduce_offset(g->kept, g->shape, g->stride, k);
        rows = min_size(end - k, job->inner - k % job->inner);
        job->how->runs(x, g->kept ? g->stride[g->kept - 1] : 0, rows, job->n, job->shift ? job->shift + k : NULL, to);
    }
}

/* A block of `count` rows from row i, `w` columns from x. */
typedef struct N(reduce_block) {
    const reduce_job *job;
    const T *x;
    size_t i, count, w;
    const acc_t *shift;
} N(reduce_block);

/* `rows` <= BLOCK / LANES rows of the block onto `to`, from row `first` and LANES apart: what one lane adds. */
static void N(reduce_lane)(const N(reduce_block) *b, size_t first, size_t rows, size_t w, acc_t *to) {
    const pd_reduce *g = &b->job->launch->reduce;
    const T *row[BLOCK / LANES];
    for (size_t r = 0; r < rows; r++)
        row[r] = b->x + (ptrdiff_t)reduce_offset(g->reduced, g->shape + g->kept, g->stride + g->kept, b->i + first + r * LANES);
    b->job->how->onto(w, rows, to, row, b->shift, 1);
}

/* Lanes `lane`, lane + apart, lane + 2 apart ..., merged. A lane without a row is left out: merging the identity changes no bit.
 * spare: room for one more result at each of the levels below. */
static void N(reduce_lanes)(const N(reduce_block) *b, size_t lane, size_t apart, acc_t *to, acc_t *spare) {
    if (apart == LANES) {
        N(reduce_lane)(b, lane, ceil_div(b->count - lane, LANES), b->w, to);
        return;
    }
    N(reduce_lanes)(b, lane, 2 * apart, to, spare);
    if (lane + apart >= min_size(LANES, b->count)) return;
    N(reduce_lanes)(b, lane + apart, 2 * apart, spare, spare + b->w);
    b->job->how->merge(b->w, to, spare);
}

/* The same where rows follow one another in memory and are short: LANES of them are one wide row. */
static void N(reduce_wide)(const N(reduce_block) *b, acc_t *to, acc_t *acc) {
    const size_t w = b->w, groups = b->count / LANES, rest = b->count % LANES;
    size_t lanes = min_size(LANES, b->count);
    if (groups) N(reduce_lane)(b, 0, groups, LANES * w, acc);
    if (rest) { /* one more row for the first lanes */
        const T *row = b->x + (b->i + groups * LANES) * w;
        b->job->how->onto(rest * w, 1, acc, &row, NULL, groups == 0);
    }
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        if (lanes > half) b->job->how->merge((lanes - half) * w, acc, acc + half * w);
        lanes = min_size(lanes, half);
    }
    memcpy(to, acc, w * sizeof(acc_t));
}

/* Columns k .. k + w - 1 (neighbours in memory), rows first .. last. */
static void N(reduce_columns)(const reduce_job *job, size_t k, size_t w, size_t first, size_t last, acc_t *to) {
    const pd_reduce *g = &job->launch->reduce;
    const T *x = (const T *)job->launch->buf[0] + (ptrdiff_t)reduce_offset(g->kept, g->shape, g->stride, k);
    acc_t acc[REDUCE_HALVES * REDUCE_WIDTH], level[(REDUCE_LEVELS + 1) * REDUCE_WIDTH];
    reduce_counter counter = {w, 0, 0, level, job->how};
    const int wide = g->reduced == 1 && g->stride[g->kept] == (ptrdiff_t)w && !job->shift && LANES * w <= REDUCE_HALVES * REDUCE_WIDTH;
    for (size_t i = first; i < last; i += BLOCK) {
        const N(reduce_block) block = {job, x, i, min_size(BLOCK, last - i), w, job->shift ? job->shift + k : NULL};
        if (wide) N(reduce_wide)(&block, level + counter.depth * w, acc);
        else N(reduce_lanes)(&block, 0, 1, level + counter.depth * w, acc);
        N(reduce_carry)(&counter, 0);
    }
    memcpy(to, N(reduce_total)(&counter), w * sizeof(acc_t));
}

static void N(reduce_tile)(const reduce_job *job, size_t tile, size_t first, size_t last, acc_t *parts) {
    acc_t buffer[REDUCE_WIDTH];
    size_t k = tile * job->width, end = min_size(k + job->width, job->kept);
    if (job->down) {
        const size_t piece = tile % job->pieces, start = tile / job->pieces * job->inner;
        k = start + job->inner * piece / job->pieces;
        end = start + job->inner * (piece + 1) / job->pieces;
    }
    acc_t *to = parts ? parts + k : buffer;
    if (job->down) N(reduce_columns)(job, k, end - k, first, last, to);
    else N(reduce_rows)(job, k, end, first, last, to);
    if (!parts) job->how->finish(end - k, buffer, job->out, k, job->launch->scalar);
}

static void N(reduce_chunk)(void *context, size_t chunk) {
    const reduce_job *job = context;
    const size_t segment = chunk % job->segments, from = chunk / job->segments * job->tiles_per_chunk;
    const size_t first = segment * job->segment, last = min_size(first + job->segment, job->n);
    const size_t end = min_size(from + job->tiles_per_chunk, job->tiles);
    for (size_t tile = from; tile < end; tile++)
        N(reduce_tile)(job, tile, first, last, job->parts ? job->parts + segment * job->kept : NULL);
}

/* How the work is cut. Segments of the reduced elements are powers of two of BLOCK, so that the tree of the segments
 * continues the tree of the blocks; where kept elements are cut changes no bit, so that may depend on the threads.
 * Returns the number of chunks. */
static size_t N(reduce_plan)(reduce_job *job) {
    const pd_reduce *g = &job->launch->reduce;
    const int dense_rows = g->stride[g->kept + g->reduced - 1] == 1;
    job->inner = g->kept ? g->shape[g->kept - 1] : 1;
    job->down = g->kept && g->stride[g->kept - 1] == 1 && job->inner > 1 && !dense_rows;
    size_t segment = job->down ? BLOCK : 4 * BLOCK, across = job->down ? min_size(job->inner, REDUCE_WIDTH) : 1;
    while (segment < job->n &&
           (segment * across < REDUCE_UNIT || ceil_div(job->n, segment) * job->kept > REDUCE_PARTS))
        segment *= 2;
    job->segment = segment;
    job->segments = ceil_div(job->n, segment);
    job->pieces = ceil_div(job->inner, REDUCE_WIDTH);
    if (job->down && job->kept / job->inner * job->pieces * job->segments < pd_num_threads())
        job->pieces = max_size(job->pieces, min_size(pd_num_threads(), job->inner / REDUCE_NARROW));
    if (job->down) across = ceil_div(job->inner, job->pieces);
    const size_t length = min_size(segment, job->n);
    job->width = min_size(REDUCE_WIDTH, max_size(1, REDUCE_UNIT / length));
    job->tiles = job->down ? job->kept / job->inner * job->pieces : ceil_div(job->kept, job->width);
    job->tiles_per_chunk = max_size(1, REDUCE_UNIT / (length * (job->down ? across : job->width)));
    return ceil_div(job->tiles, job->tiles_per_chunk) * job->segments;
}

/* Reduces buf[0] by the launch's geometry (at least one reduced dimension) into `out`, one element per kept element. */
static void N(reduce_run)(const pd_launch *launch, const reducer *how, const acc_t *shift, void *out) {
    const pd_reduce *g = &launch->reduce;
    reduce_job job = {.launch = launch, .how = how, .shift = shift, .out = out, .kept = 1, .n = 1};
    acc_t parts[REDUCE_PARTS];
    for (size_t d = 0; d < g->kept; d++) job.kept *= g->shape[d];
    for (size_t d = 0; d < g->reduced; d++) job.n *= g->shape[g->kept + d];
    if (job.kept == 0) return;
    if (job.n == 0) {
        for (size_t k = 0; k < job.kept; k++) {
            if (how->finish) how->finish(1, &how->identity, out, k, launch->scalar);
            else ((acc_t *)out)[k] = how->identity;
        }
        return;
    }
    const size_t chunks = N(reduce_plan)(&job);
    if (job.segments > 1) job.parts = parts;
    else if (!how->finish) job.parts = out;
    if (chunks > 1 && job.kept * job.n >= REDUCE_ALONE) pd_parallel(chunks, N(reduce_chunk), &job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(reduce_chunk)(&job, chunk);
    if (job.segments == 1) return;
    for (size_t step = 1; step < job.segments; step *= 2)
        for (size_t s = 0; s + step < job.segments; s += 2 * step)
            how->merge(job.kept, parts + s * job.kept, parts + (s + step) * job.kept);
    if (how->finish) how->finish(job.kept, parts, out, 0, launch->scalar);
    else memcpy(out, parts, job.kept * sizeof(acc_t));
}
