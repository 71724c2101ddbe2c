/* Sums over the pixels of images, class by class: what losses of overlapping regions are made of.
 *   region_sums     x (n, c, p), labels (n, p) int64 -> y (3, n, c): the sum of x where the label is c; of x; how often the label is c
 *   region_spread   dy (3, n, c), labels -> dx (n, c, p) = dy_0 where the label is c, + dy_1; the derivative of y in x, transposed
 * lines: outer n, n c, inner p. Labels of scalar[0] count for nothing: no part in sums, zeros in dx. The others are 0 .. c - 1.
 * Sums: every lane adds up a tile of pixels, tiles are added up in float64, as are the spans of tiles that chunks are made of. */
#ifndef REGION_SUMS_ONCE
#define REGION_SUMS_ONCE
enum { REGION_TILE = 1 << 11, REGION_SPAN = 1 << 14, REGION_FEW = 1 << 15 };
#endif

/* The labels of pixels first .. last of an image as numbers, -1 where they do not count and behind them, up to a whole vector */
static void N(region_labels)(const pd_launch *launch, size_t image, size_t first, size_t last, T *label) {
    const int64_t *from = (const int64_t *)launch->buf[1] + image * launch->lines.inner, ignored = (int64_t)launch->scalar[0];
    size_t i = 0;
    for (; i < last - first; i++) label[i] = from[first + i] == ignored ? -1 : (T)from[first + i];
    for (; i % VL; i++) label[i] = -1;
}

/* chunk: a span of an image */
static void N(region_sums_chunk)(void *context, size_t chunk) {
    const pd_launch *launch = context;
    const pd_lines *g = &launch->lines;
    const size_t spans = ceil_div(g->inner, REGION_SPAN), image = chunk / spans, begin = chunk % spans * REGION_SPAN;
    const size_t end = min_size(g->inner, begin + REGION_SPAN);
    double *part = (double *)launch->workspace + chunk * 3 * g->n;
    _Alignas(64) T label[REGION_TILE];
    memset(part, 0, 3 * g->n * sizeof(double));
    for (size_t first = begin; first < end; first += REGION_TILE) {
        const size_t last = min_size(end, first + REGION_TILE);
        N(region_labels)(launch, image, first, last, label);
        for (size_t c = 0; c < g->n; c++) {
            const T *x = (const T *)launch->buf[0] + (image * g->n + c) * g->inner;
            const vreal own = v_set((T)c), one = v_set(1);
            vreal inside = v_set(0), all = v_set(0), count = v_set(0);
            for (size_t i = first; i < last; i += VL) {
                const vreal at = v_load(label + (i - first)), value = v_keep(at >= 0, v_load_left(x + i, last - i));
                inside += v_keep(at == own, value);
                all += value;
                count += v_keep(at == own, one);
            }
            part[3 * c] += (double)N(merge_lanes)(N(plus_v), inside);
            part[3 * c + 1] += (double)N(merge_lanes)(N(plus_v), all);
            part[3 * c + 2] += (double)N(merge_lanes)(N(plus_v), count);
        }
    }
}

static void N(region_spread_chunk)(void *context, size_t chunk) {
    const pd_launch *launch = context;
    const pd_lines *g = &launch->lines;
    const size_t spans = ceil_div(g->inner, REGION_SPAN), image = chunk / spans, begin = chunk % spans * REGION_SPAN;
    const size_t end = min_size(g->inner, begin + REGION_SPAN);
    const T *inside = (const T *)launch->buf[0] + image * g->n, *all = inside + g->outer * g->n;
    _Alignas(64) T label[REGION_TILE];
    for (size_t first = begin; first < end; first += REGION_TILE) {
        const size_t last = min_size(end, first + REGION_TILE);
        N(region_labels)(launch, image, first, last, label);
        for (size_t c = 0; c < g->n; c++) {
            T *dx = (T *)launch->buf[2] + (image * g->n + c) * g->inner;
            const vreal own = v_set((T)c), base = v_set(all[c]), both = v_set(all[c] + inside[c]);
            for (size_t i = first; i < last; i += VL) {
                const vreal at = v_load(label + (i - first));
                v_store_left(dx + i, v_keep(at >= 0, v_blend(at == own, both, base)), last - i);
            }
        }
    }
}

static void N(region_run)(const pd_launch *launch, pd_task task) {
    const pd_lines *g = &launch->lines;
    const size_t chunks = g->outer * ceil_div(g->inner, REGION_SPAN);
    if (chunks > 1 && g->outer * g->n * g->inner >= REGION_FEW) pd_parallel(chunks, task, (void *)launch);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) task((void *)launch, chunk);
}

static size_t N(region_sums_workspace)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    return g->outer * ceil_div(g->inner, REGION_SPAN) * 3 * g->n * sizeof(double);
}

static void N(region_sums)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    const size_t spans = ceil_div(g->inner, REGION_SPAN);
    T *y = launch->buf[2];
    N(region_run)(launch, N(region_sums_chunk));
    for (size_t i = 0; i < g->outer * g->n; i++)
        for (size_t what = 0; what < 3; what++) {
            const double *part = (const double *)launch->workspace + (i / g->n * spans * g->n + i % g->n) * 3 + what;
            double sum = 0;
            for (size_t span = 0; span < spans; span++) sum += part[span * 3 * g->n];
            y[what * g->outer * g->n + i] = (T)sum;
        }
}

static void N(region_spread)(const pd_launch *launch) { N(region_run)(launch, N(region_spread_chunk)); }
