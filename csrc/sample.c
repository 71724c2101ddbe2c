/* Permutations and draws from discrete distributions; buf[0] is the generator's state (philox.h). Serial but for counts: each draw
 * depends on those before it. */
#ifndef PD_SAMPLE_ONCE
#define PD_SAMPLE_ONCE

/* Words one after another: two at a time, 32 pairs a group. */
typedef struct word_pairs {
    uint64_t state[2];
    size_t group, pair;
    uint32_t w[WORDS];
} word_pairs;

enum { PAIRS = WORDS / 2, SAMPLE_BLOCK = 16 };

static UNUSED const uint32_t *next_pair(word_pairs *from) {
    if (from->pair == PAIRS) {
        philox_group(from->state, from->group++, from->w);
        from->pair = 0;
    }
    const size_t i = from->pair++;
    return from->w + i / BLOCKS * 2 * BLOCKS + i % BLOCKS;
}

static UNUSED double next_unit(word_pairs *from) {
    const uint32_t *pair = next_pair(from);
    return unit53(pair[0], pair[BLOCKS]);
}

typedef struct keyed {
    double key;
    int64_t index;
} keyed;

static UNUSED int comes_after(keyed a, keyed b) { return a.key > b.key || (a.key == b.key && a.index > b.index); }

/* Moves heap[at] down in a heap of n whose root comes last. */
static UNUSED void sift_down(keyed *heap, size_t at, size_t n) {
    const keyed moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && comes_after(heap[child + 1], heap[child])) child++;
        if (!comes_after(heap[child], moved)) break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

/* The first k of n by key, sorted, to the front of `items`. */
static UNUSED void select_first(keyed *items, size_t n, size_t k) {
    for (size_t i = k / 2; i-- > 0;) sift_down(items, i, k);
    for (size_t i = k; i < n; i++)
        if (comes_after(items[0], items[i])) {
            items[0] = items[i];
            sift_down(items, 0, k);
        }
    for (size_t end = k; end-- > 1;) {
        const keyed last = items[0];
        items[0] = items[end];
        items[end] = last;
        sift_down(items, 0, end);
    }
}

/* ---- How often: Poisson and binomial counts, element by element. A chunk of COUNT_CHUNK elements has a stream of its own, of
 * COUNT_GROUPS groups: rejection takes as many numbers as it needs, and threads do not matter. ---- */
typedef struct unit_stream {
    uint64_t state[2];
    size_t group, next;
    double unit[PAIRS]; /* above 0, below 1 */
} unit_stream;

static UNUSED double open_unit(unit_stream *from) {
    if (from->next == PAIRS) {
        uint32_t w[WORDS];
        philox_group(from->state, from->group++, w);
        for (size_t i = 0; i < BLOCKS; i++) {
            from->unit[i] = unit53(w[i], w[i + BLOCKS]) + 0x1p-54;
            from->unit[i + BLOCKS] = unit53(w[i + 2 * BLOCKS], w[i + 3 * BLOCKS]) + 0x1p-54;
        }
        from->next = 0;
    }
    return from->unit[from->next++];
}

/* log(k!) - (k + 1/2) log(k + 1) + k + 1 - log(2 pi) / 2 (Stirling) */
static UNUSED double stirling_rest(double k) {
    static const double first[] = {0.08106146679532726, 0.04134069595540929, 0.02767792568499834, 0.02079067210376509,
                                   0.01664469118982119, 0.01387612882307075, 0.01189670994589177, 0.01041126526197209,
                                   0.009255462182712733, 0.008330563433362871};
    if (k < 10) return first[(size_t)k];
    const double n = k + 1, square = n * n;
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / n;
}

/* rate < 10: how many uniform numbers have a product above e^-rate (Knuth, TAOCP 2, 3.4.1); else transformed rejection, PTRS (Hoermann, Insurance: Mathematics and Economics 12, 1993). */
static UNUSED double poisson_count(double rate, unit_stream *units) {
    if (rate < 10) {
        const double end = fixed_exp(-rate);
        double k = 0;
        for (double product = open_unit(units); product > end; k++) product *= open_unit(units);
        return k;
    }
    const double root = sqrt(rate), b = 0.931 + 2.53 * root, a = -0.059 + 0.02483 * b, alpha = 1.1239 + 1.1328 / (b - 3.4);
    const double sure = 0.9277 - 3.6224 / (b - 2);
    for (;;) {
        const double u = open_unit(units) - 0.5, v = open_unit(units), s = 0.5 - fabs(u), k = floor((2 * a / s + b) * u + rate + 0.43);
        if (s >= 0.07 && v <= sure) return k;
        if (k < 0 || (s < 0.013 && v > s)) continue;
        const double factorial = stirling_rest(k) + 0.91893853320467274178 + (k + 0.5) * fixed_log(k + 1) - (k + 1);
        if (fixed_log(v * alpha / (a / (s * s) + b)) <= k * fixed_log(rate) - rate - factorial) return k;
    }
}

/* p <= 1/2. n p < 10: gaps between successes; else transformed rejection, BTRS (Hoermann, J. Stat. Comput. Simul. 46, 1993). */
static UNUSED double binomial_count(double n, double p, unit_stream *units) {
    if (!(p > 0)) return 0;
    if (n * p < 10) {
        const double fail = p < 1e-5 ? -p * (1 + p * (0.5 + p / 3)) : fixed_log(1 - p); /* log1p(-p): 1 - p may be 1 */
        double k = -1, at = 0;
        for (; at <= n; k++) at += fmax(1, ceil(fixed_log(open_unit(units)) / fail));
        return k;
    }
    const double spread = sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * spread, a = -0.0873 + 0.0248 * b + 0.01 * p, ratio = p / (1 - p);
    const double alpha = (2.83 + 5.1 / b) * spread, sure = 0.92 - 4.2 / b, m = floor((n + 1) * p), rest = n - m + 1;
    for (;;) {
        const double u = open_unit(units) - 0.5, v = open_unit(units), s = 0.5 - fabs(u), k = floor((2 * a / s + b) * u + n * p + 0.5);
        if (s >= 0.07 && v <= sure) return k;
        if (k < 0 || k > n) continue;
        const double bound = (m + 0.5) * fixed_log((m + 1) / (ratio * rest)) + (n + 1) * fixed_log(rest / (n - k + 1)) +
                             (k + 0.5) * fixed_log(ratio * (n - k + 1) / (k + 1)) + stirling_rest(m) + stirling_rest(n - m) -
                             stirling_rest(k) - stirling_rest(n - k);
        if (fixed_log(v * alpha / (a / (s * s) + b)) <= bound) return k;
    }
}

enum { COUNT_CHUNK = 1 << 10, COUNT_GROUPS = 1 << 16 };


#endif

#if !PD_REAL

/* y = a random order of 0 .. lines.n - 1 (Fisher & Yates; Durstenfeld 1964). */
static void N(permutation)(const pd_launch *launch) {
    const size_t n = launch->lines.n;
    T *y = launch->buf[1];
    word_pairs words = {.pair = PAIRS};
    take_blocks(launch->buf[0], ceil_div(n, PAIRS), words.state);
    for (size_t i = 0; i < n; i++) y[i] = (T)i;
    for (size_t i = 0; i + 1 < n; i++) {
        const uint32_t *pair = next_pair(&words);
        const size_t j = i + (size_t)below64(pair[0], pair[BLOCKS], n - i);
        const T swapped = y[i];
        y[i] = y[j];
        y[j] = swapped;
    }
}

#else

/* With replacement: the first category whose cumulated weight exceeds u times the whole. Weights are summed by blocks of
 * SAMPLE_BLOCK, whose sums are cumulated; a draw finds its block first, then its place there. */
static double N(block_weight)(const real *weights, size_t n) {
    double lane[4] = {0, 0, 0, 0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t l = 0; l < 4; l++) lane[l] += (double)weights[i + l];
    for (size_t l = 0; i < n; i++, l++) lane[l] += (double)weights[i];
    return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

static void N(draw_again)(const real *weights, int64_t *y, const pd_lines *lines, double *cumulated, word_pairs *words) {
    const size_t n = lines->n, blocks = ceil_div(n, SAMPLE_BLOCK);
    double sum = 0;
    size_t top = n - 1; /* the last category that can be drawn */
    while (top > 0 && !(weights[top] > 0)) top--;
    for (size_t b = 0; b < blocks; b++) {
        const size_t first = b * SAMPLE_BLOCK;
        cumulated[b] = sum += N(block_weight)(weights + first, min_size(SAMPLE_BLOCK, n - first));
    }
    for (size_t s = 0; s < lines->inner; s++) {
        const double at = next_unit(words) * sum;
        size_t low = 0, high = top / SAMPLE_BLOCK;
        while (low < high) {
            const size_t middle = low + (high - low) / 2;
            if (cumulated[middle] > at) high = middle;
            else low = middle + 1;
        }
        size_t i = low * SAMPLE_BLOCK, last = min_size(i + SAMPLE_BLOCK - 1, top);
        while (!(weights[last] > 0)) last--; /* a block that is chosen has weight; rounding must not lead past it */
        for (double passed = low ? cumulated[low - 1] : 0; i < last; i++)
            if ((passed += (double)weights[i]) > at) break;
        y[s] = (int64_t)i;
    }
}

/* Without: the smallest of exponential variables with the weights as rates come first (Efraimidis & Spirakis 2006). */
static void N(draw_once)(const real *weights, int64_t *y, const pd_lines *lines, keyed *items, word_pairs *words) {
    for (size_t i = 0; i < lines->n; i++) {
        const double wait = -fixed_log(next_unit(words) + 0x1p-53);
        items[i].key = weights[i] > 0 ? wait / (double)weights[i] : INFINITY;
        items[i].index = (int64_t)i;
    }
    select_first(items, lines->n, lines->inner);
    for (size_t s = 0; s < lines->inner; s++) y[s] = items[s].index;
}

/* y (outer, inner) int64: categories drawn by the weights (outer, n), finite, not negative, not all zero; scalar[0] says
 * whether a category may come twice. buf: state, weights, y. */
static size_t N(multinomial_workspace)(const pd_launch *launch) { return launch->lines.n * sizeof(keyed); }
static void N(multinomial)(const pd_launch *launch) {
    const pd_lines *lines = &launch->lines;
    const int again = launch->scalar[0] != 0;
    const size_t groups = ceil_div(again ? lines->inner : lines->n, PAIRS);
    uint64_t state[2];
    take_blocks(launch->buf[0], groups * lines->outer, state);
    for (size_t row = 0; row < lines->outer; row++) {
        word_pairs words = {.state = {state[0], state[1]}, .group = row * groups, .pair = PAIRS};
        const real *weights = (const real *)launch->buf[1] + row * lines->n;
        int64_t *y = (int64_t *)launch->buf[2] + row * lines->inner;
        if (again) N(draw_again)(weights, y, lines, launch->workspace, &words);
        else N(draw_once)(weights, y, lines, launch->workspace, &words);
    }
}

static void N(counts_chunk)(void *context, size_t chunk) {
    const fill_job *job = context;
    const real *rate = job->launch->buf[1], *p = job->launch->buf[3];
    real *y = job->launch->buf[2];
    unit_stream units = {.state = {job->state[0], job->state[1]}, .group = chunk * COUNT_GROUPS, .next = PAIRS};
    const size_t last = min_size((chunk + 1) * COUNT_CHUNK, job->launch->lines.n);
    for (size_t i = chunk * COUNT_CHUNK; i < last; i++) {
        const double n = (double)rate[i], q = p ? (double)p[i] : 0;
        if (!p) y[i] = (real)poisson_count(n, &units);
        else y[i] = (real)(q > 0.5 ? n - binomial_count(n, 1 - q, &units) : binomial_count(n, q, &units));
    }
}

/* y = Poisson counts of the rates; with p, binomial counts of so many trials: buf state, rates, y, p or NULL. */
static void N(counts)(const pd_launch *launch) {
    fill_job job = {.launch = launch};
    const size_t chunks = ceil_div(launch->lines.n, COUNT_CHUNK);
    take_blocks(launch->buf[0], chunks * COUNT_GROUPS, job.state);
    if (chunks == 1) N(counts_chunk)(&job, 0);
    else if (chunks > 1) pd_parallel(chunks, N(counts_chunk), &job);
}

#endif
