/* Places in ascending sequences, and how often values occur.
 * searchsorted   sequences (outer, n), values (outer, count) -> places: the first i with sequence[i] >= value, where scalar[0] > value
 *                (a NaN: n; those of a sequence come last). One sequence (outer 1) serves all. int64, or int32 where scalar[1].
 * histogram      x (n,) -> counts (bins + 1,) int64, the last of what falls outside. Integers: x itself is the bin. Floats: bins = scalar[0]
 *                of equal width from scalar[1] to scalar[2], the upper end belonging to the last; NaN falls outside.
 *                scratch: (bins + 1) x 8 bytes for each of HISTOGRAM_SEGMENTS where bins <= HISTOGRAM_BINS and n is large. */
#ifndef PD_SEARCH_ONCE
#define PD_SEARCH_ONCE
enum { SEARCH_SIDE = 8, SEARCH_COUNTED = 24, SEARCH_GRAIN = 1 << 11, HISTOGRAM_BINS = 1 << 12, HISTOGRAM_SEGMENTS = 16, HISTOGRAM_LARGE = 1 << 17, HISTOGRAM_EXACT = 1 << 24, HISTOGRAM_STAGE = 64 };
#endif

#define BELOW(at, value) (right ? (at) <= (value) : (at) < (value)) /* right: a constant */
/* SEARCH_SIDE values side by side. Short sequences are counted through, in vectors; in others the steps depend on n alone, so that
 * nothing waits for a comparison but its own next one (the barrier keeps them scalar: vectors would gather, which is slower). */
INLINE void N(search_some)(const T *x, size_t n, const T *values, size_t *low, const int right) {
    if (n <= SEARCH_COUNTED) {
        bits_t count[SEARCH_SIDE] = {0};
        for (size_t i = 0; i < n; i++)
            for (size_t s = 0; s < SEARCH_SIDE; s++) count[s] += (bits_t)BELOW(x[i], values[s]);
        for (size_t s = 0; s < SEARCH_SIDE; s++) low[s] = (size_t)count[s];
        return;
    }
    size_t at[SEARCH_SIDE] = {0};
    while (n > 1) {
        const size_t half = n / 2;
        V_UNROLL for (size_t s = 0; s < SEARCH_SIDE; s++) {
            size_t step = half & (0 - (size_t)BELOW(x[at[s] + half - 1], values[s])); /* no branch: it could not be foreseen */
            __asm__("" : "+r"(step));
            at[s] += step;
        }
        n -= half;
    }
    V_UNROLL for (size_t s = 0; s < SEARCH_SIDE; s++) low[s] = at[s] + BELOW(x[at[s]], values[s]);
}
#undef BELOW

static void N(search_chunk)(void *context, size_t chunk) {
    const pd_launch *launch = context;
    const pd_rows *g = &launch->rows;
    const size_t per_line = ceil_div(g->count, SEARCH_GRAIN), line = chunk / per_line, first = chunk % per_line * SEARCH_GRAIN;
    const size_t last = min_size(first + SEARCH_GRAIN, g->count);
    const T *x = (const T *)launch->buf[0] + (g->outer > 1 ? line * g->n : 0), *values = (const T *)launch->buf[1] + line * g->count;
    const int right = launch->scalar[0] != 0, narrow = launch->scalar[1] != 0;
    size_t length = g->n; /* without NaN */
#if PD_REAL
    while (length && x[length - 1] != x[length - 1]) length--;
#endif
    for (size_t i = first; i < last; i += SEARCH_SIDE) {
        const size_t n = min_size(SEARCH_SIDE, last - i), at = line * g->count + i;
        T some[SEARCH_SIDE] = {0};
        size_t places[SEARCH_SIDE];
        memcpy(some, values + i, n * sizeof(T));
        if (right) N(search_some)(x, length, some, places, 1);
        else N(search_some)(x, length, some, places, 0);
        for (size_t s = 0; s < n; s++) {
#if PD_REAL
            if (some[s] != some[s]) places[s] = g->n;
#endif
            if (narrow) ((int32_t *)launch->buf[2])[at + s] = (int32_t)places[s];
            else ((int64_t *)launch->buf[2])[at + s] = (int64_t)places[s];
        }
    }
}
static void N(searchsorted)(const pd_launch *launch) {
    const size_t chunks = launch->rows.outer * ceil_div(launch->rows.count, SEARCH_GRAIN);
    if (launch->rows.outer * launch->rows.count > SEARCH_GRAIN) pd_parallel(chunks, N(search_chunk), (void *)launch);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(search_chunk)((void *)launch, chunk);
}

#if PD_REAL
/* The same where T cannot hold what lies between: halves of the numbers, in double. */
static UNUSED void N(histogram_wide)(const T *x, size_t first, size_t last, size_t bins, T low, T high, int64_t *count) {
    const double from = 0.5 * (double)low, width = 0.5 * (double)high - from;
    for (size_t i = first; i < last; i++) {
        const int inside = (x[i] >= low) & (x[i] <= high);
        const double share = inside && width > 0 ? (0.5 * (double)x[i] - from) / width : 0.5;
        const size_t at = share < 1 ? (size_t)(share * (double)bins) : bins;
        count[!inside ? bins : min_size(at, bins - 1)]++;
    }
}
#endif

static void N(histogram_part)(const pd_launch *launch, size_t first, size_t last, int64_t *count) {
    const T *x = launch->buf[0];
#if PD_REAL
    const size_t bins = (size_t)launch->scalar[0];
    const T low = (T)launch->scalar[1], high = (T)launch->scalar[2], width = high - low;
    if (!(width > 0 && width * (T)bins < (T)INFINITY && bins < HISTOGRAM_EXACT)) {
        N(histogram_wide)(x, first, last, bins, low, high, count);
        return;
    }
    for (size_t i = first; i < last; i += HISTOGRAM_STAGE) {
        const size_t n = min_size(HISTOGRAM_STAGE, last - i);
        bits_t place[HISTOGRAM_STAGE];
        for (size_t j = 0; j < n; j++) {
            const T v = x[i + j];
            const int inside = (v >= low) & (v <= high);
            const bits_t at = (bits_t)((inside ? v - low : 0) * (T)bins / width);
            place[j] = !inside ? (bits_t)bins : at >= (bits_t)bins ? (bits_t)bins - 1 : at;
        }
        for (size_t j = 0; j < n; j++) count[place[j]]++;
    }
#else
    for (size_t i = first; i < last; i++) count[x[i]]++;
#endif
}

static void N(histogram_chunk)(void *context, size_t chunk) {
    const pd_launch *launch = context;
    const size_t n = launch->lines.n, segment = ceil_div(n, HISTOGRAM_SEGMENTS), bins = (size_t)launch->scalar[0] + 1;
    int64_t *count = (int64_t *)launch->buf[2] + chunk * bins;
    memset(count, 0, bins * sizeof *count);
    N(histogram_part)(launch, min_size(chunk * segment, n), min_size((chunk + 1) * segment, n), count);
}
static void N(histogram)(const pd_launch *launch) {
    const size_t bins = (size_t)launch->scalar[0] + 1;
    int64_t *count = launch->buf[1];
    memset(count, 0, bins * sizeof *count);
    if (bins > HISTOGRAM_BINS || launch->lines.n < HISTOGRAM_LARGE) {
        N(histogram_part)(launch, 0, launch->lines.n, count);
        return;
    }
    pd_parallel(HISTOGRAM_SEGMENTS, N(histogram_chunk), (void *)launch);
    for (size_t s = 0; s < HISTOGRAM_SEGMENTS; s++)
        for (size_t b = 0; b < bins; b++) count[b] += ((const int64_t *)launch->buf[2])[s * bins + b];
}
