/* Where the extremes are. Lines: x (outer, n, inner) -> values, indices (outer, inner), n > 0.
 * The first of equal elements; NaN is above (argmax) and below (argmin) all numbers, the first NaN wins.
 * pick: y = x[o, index[o, i], i]; place: y is zero but y[o, index[o, i], i] = dy[o, i]. */
#ifndef ARG_ONCE
#define ARG_ONCE
enum { ARG_WIDTH = 64, ARG_STEP = 256, ARG_ROWS = 16, ARG_UNIT = 1 << 15, ARG_SPAN = 1 << 30 };
#endif

/* What narrows to T's width and counts to ARG_SPAN */
#if BITS == 64
#define place_t int64_t
#else
#define place_t int32_t
#endif

#if PD_REAL
#define IS_NAN(x) ((x) != (x))
#else
#define IS_NAN(x) 0
#endif
/* Whether x takes the place of `best`, which came earlier */
INLINE int N(above)(T x, T best) { return x > best || (IS_NAN(x) && !IS_NAN(best)); }
INLINE int N(below)(T x, T best) { return x < best || (IS_NAN(x) && !IS_NAN(best)); }

typedef struct N(arg_job) {
    const pd_launch *launch;
    const N(reducer) *how;
    size_t tiles, tiles_per_chunk;
    int smallest;
} N(arg_job);

/* The first i < n whose element is `value`, which is there */
static size_t N(arg_search)(const T *x, size_t n, T value) {
    size_t i = 0;
    if (IS_NAN(value)) {
        while (i + 1 < n && !IS_NAN(x[i])) i++;
        return i;
    }
    for (; i + 32 <= n; i += 32) {
        bits_t found = 0;
        for (size_t j = 0; j < 32; j++) found |= (bits_t)(x[i + j] == value);
        if (found) break;
    }
    while (i + 1 < n && x[i] != value) i++;
    return i;
}

/* One long contiguous line: the extreme of every step, four steps at a time, then a search in the step that has it. */
static void N(arg_row)(const N(arg_job) *job, const T *x, T *value, int64_t *index) {
    const size_t n = job->launch->lines.n;
    T best = x[0];
    size_t step = 0;
    for (size_t i = 0; i < n; i += 4 * ARG_STEP) {
        const size_t start = min_size(i, n - 4 * ARG_STEP); /* the last four may look again at what was seen */
        N(acc_t) four[4];
        job->how->runs(x + start, ARG_STEP, 4, ARG_STEP, NULL, four);
        for (size_t s = 0; s < 4; s++) {
            const T here = (T)four[s];
            if (job->smallest ? N(below)(here, best) : N(above)(here, best)) best = here, step = start + s * ARG_STEP;
        }
    }
    *value = best;
    *index = (int64_t)(step + N(arg_search)(x + step, n - step, best));
}

/* Up to four short contiguous lines side by side */
static void N(arg_short_rows)(const N(arg_job) *job, const T *x, size_t rows, T *value, int64_t *index) {
    const size_t n = job->launch->lines.n;
    N(acc_t) best[4];
    job->how->runs(x, (ptrdiff_t)n, rows, n, NULL, best);
    for (size_t s = 0; s < rows; s++) {
        value[s] = (T)best[s];
        index[s] = (int64_t)N(arg_search)(x + s * n, n, value[s]);
    }
}

/* `w` <= ARG_WIDTH neighbouring lines at once */
static void N(arg_columns)(const N(arg_job) *job, const T *x, size_t w, T *value, int64_t *index) {
    const size_t n = job->launch->lines.n, inner = job->launch->lines.inner;
    T best[ARG_WIDTH];
    memcpy(best, x, w * sizeof(T));
    for (size_t c = 0; c < w; c++) index[c] = 0;
    for (size_t base = 0; base < n; base += ARG_SPAN) {
        place_t place[ARG_WIDTH];
        const size_t rows = min_size(ARG_SPAN, n - base);
        for (size_t c = 0; c < w; c++) place[c] = -1;
        for (size_t i = 0; i < rows; i++) {
            const T *row = x + (base + i) * inner;
            if (job->smallest)
                for (size_t c = 0; c < w; c++) {
                    const int better = N(below)(row[c], best[c]);
                    best[c] = better ? row[c] : best[c];
                    place[c] = better ? (place_t)i : place[c];
                }
            else
                for (size_t c = 0; c < w; c++) {
                    const int better = N(above)(row[c], best[c]);
                    best[c] = better ? row[c] : best[c];
                    place[c] = better ? (place_t)i : place[c];
                }
        }
        for (size_t c = 0; c < w; c++)
            if (place[c] >= 0) index[c] = (int64_t)base + place[c];
    }
    memcpy(value, best, w * sizeof(T));
}

static void N(arg_chunk)(void *context, size_t chunk) {
    const N(arg_job) *job = context;
    const pd_lines *g = &job->launch->lines;
    const T *x = job->launch->buf[0];
    T *values = job->launch->buf[1];
    int64_t *indices = job->launch->buf[2];
    const size_t first = chunk * job->tiles_per_chunk, last = min_size(first + job->tiles_per_chunk, job->tiles);
    for (size_t tile = first; tile < last; tile++) {
        if (g->inner == 1) {
            const size_t end = min_size((tile + 1) * ARG_ROWS, g->outer);
            for (size_t o = tile * ARG_ROWS; o < end; o += g->n < 4 * ARG_STEP ? 4 : 1) {
                if (g->n >= 4 * ARG_STEP) N(arg_row)(job, x + o * g->n, values + o, indices + o);
                else N(arg_short_rows)(job, x + o * g->n, min_size(4, end - o), values + o, indices + o);
            }
        } else {
            const size_t pieces = ceil_div(g->inner, ARG_WIDTH), o = tile / pieces, c = tile % pieces * ARG_WIDTH;
            N(arg_columns)(job, x + o * g->n * g->inner + c, min_size(ARG_WIDTH, g->inner - c), values + o * g->inner + c,
                           indices + o * g->inner + c);
        }
    }
}

static void N(arg_run)(const pd_launch *launch, const N(reducer) *how, int smallest) {
    const pd_lines *g = &launch->lines;
    const size_t tiles = g->inner == 1 ? ceil_div(g->outer, ARG_ROWS) : g->outer * ceil_div(g->inner, ARG_WIDTH);
    const size_t lines = g->inner == 1 ? ARG_ROWS : min_size(g->inner, ARG_WIDTH);
    N(arg_job) job = {launch, how, tiles, max_size(1, ARG_UNIT / (g->n * lines)), smallest};
    const size_t chunks = ceil_div(job.tiles, job.tiles_per_chunk);
    if (chunks > 1 && g->outer * g->n * g->inner >= 4 * ARG_UNIT) pd_parallel(chunks, N(arg_chunk), &job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(arg_chunk)(&job, chunk);
}

static void N(argmax)(const pd_launch *launch) { N(arg_run)(launch, &N(amax_reducer), 0); }
static void N(argmin)(const pd_launch *launch) { N(arg_run)(launch, &N(amin_reducer), 1); }

static void N(pick)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    const T *x = launch->buf[0];
    const int64_t *index = launch->buf[1];
    T *y = launch->buf[2];
    for (size_t o = 0; o < g->outer; o++)
        for (size_t i = 0; i < g->inner; i++)
            y[o * g->inner + i] = x[(o * g->n + (size_t)index[o * g->inner + i]) * g->inner + i];
}

static void N(place)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    const T *dy = launch->buf[0];
    const int64_t *index = launch->buf[1];
    T *y = launch->buf[2];
    memset(y, 0, g->outer * g->n * g->inner * sizeof(T));
    for (size_t o = 0; o < g->outer; o++)
        for (size_t i = 0; i < g->inner; i++)
            y[(o * g->n + (size_t)index[o * g->inner + i]) * g->inner + i] = dy[o * g->inner + i];
}

#undef place_t
#undef IS_NAN
