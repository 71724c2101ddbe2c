/* The k-th smallest element of a line, without sorting it: buf x (outer, n) contiguous, values (outer,), index (outer,), scratch.
 * Keys as in sort.c: NaN above everything. Of equal elements the one that a stable sort would put in place k.
 * scalar[0]: k from 0; scalar[1]: SELECT_KTH, SELECT_MEDIAN (place (n - 1) / 2; the first NaN where there is one), or
 * SELECT_NANMEDIAN (the same of the elements that are no NaN; the first NaN where there is nothing else).
 *   n <= SELECT_SMALL   the rank of one element after the other, all compared with it
 *   otherwise           by the highest digit first: count, keep the bucket that holds place k (a radix sort that follows one bucket)
 * A line of SELECT_LARGE elements is counted in SELECT_SEGMENTS segments, spread over threads.
 * scratch: 8 n bytes for each chunk of lines (at most SELECT_CHUNKS), for a large line 8 n and SELECT_SEGMENTS x SELECT_BUCKETS x 4. */
#ifndef PD_SELECT_ONCE
#define PD_SELECT_ONCE
enum { SELECT_KTH, SELECT_MEDIAN, SELECT_NANMEDIAN };
enum { SELECT_SMALL = 160, SELECT_LARGE = 1 << 16, SELECT_SEGMENTS = 16, SELECT_DIGIT = 11, SELECT_BUCKETS = 1 << SELECT_DIGIT };
enum { SELECT_CHUNKS = 16, SELECT_GRAIN = 1 << 14, SELECT_SCAN = 64 };
#endif

#define key_t N(key_t)
#define select_job N(select_job)
#if BITS == 8
enum { N(SELECT_TOP) = 0 };
#else
enum { N(SELECT_TOP) = BITS - SELECT_DIGIT }; /* the shift of the highest digit */
#endif

/* The key at place *k of n <= SELECT_SMALL; *k becomes its place among those equal to it. What lies beyond a key that was
 * tried is not tried any more. */
static key_t N(select_small)(const key_t *keys, size_t n, size_t *k) {
    key_t low = 0, high = ~(key_t)0;
    for (size_t i = 0;; i++) {
        const key_t one = keys[i];
        if (one < low || one > high) continue;
        key_t less = 0, same = 0;
        for (size_t j = 0; j < n; j++) less += keys[j] < one, same += keys[j] == one;
        if (*k < less) high = one - 1;
        else if (*k >= less + same) low = one + 1;
        else {
            *k -= less;
            return one;
        }
    }
}

/* The bucket that holds place *k; *k becomes the place within it. */
static size_t N(select_bucket)(const uint32_t *count, size_t *k) {
    size_t b = 0;
    for (; *k >= count[b]; b++) *k -= count[b];
    return b;
}

/* The same for keys that agree above bit `shift + SELECT_DIGIT`, which are overwritten. */
static key_t N(select_key)(key_t *keys, size_t n, size_t *k, unsigned bits) {
    while (n > SELECT_SMALL && bits) {
        uint32_t count[SELECT_BUCKETS] = {0};
        const unsigned shift = bits > SELECT_DIGIT ? bits - SELECT_DIGIT : 0, mask = (1u << (bits - shift)) - 1;
        for (size_t i = 0; i < n; i++) count[keys[i] >> shift & mask]++;
        const size_t bucket = N(select_bucket)(count, k);
        size_t kept = 0;
        if (count[bucket] != n)
            for (size_t i = 0; i < n; i++) {
                const key_t key = keys[i];
                keys[kept] = key;
                kept += (key >> shift & mask) == bucket;
            }
        n = count[bucket], bits = shift;
    }
    return n > SELECT_SMALL ? keys[0] : N(select_small)(keys, n, k);
}

/* Where the r-th of the elements with this key is. */
static size_t N(select_place)(const T *x, size_t n, key_t key, size_t r) {
    size_t i = 0;
    for (; i + SELECT_SCAN <= n; i += SELECT_SCAN) {
        key_t here = 0;
        for (size_t j = i; j < i + SELECT_SCAN; j++) here += N(key_of)(x[j], 0) == key;
        if (here > r) break;
        r -= here;
    }
    for (;; i++)
        if (N(key_of)(x[i], 0) == key && r-- == 0) return i;
}

/* ---- a large line ---- */
typedef struct select_job {
    const T *x;
    key_t *keys;
    uint32_t (*count)[SELECT_BUCKETS]; /* per segment */
    size_t n, segment, bucket;
} select_job;

static void N(select_count_chunk)(void *context, size_t chunk) {
    select_job *job = context;
    const size_t first = chunk * job->segment, last = min_size(first + job->segment, job->n);
    uint32_t *count = job->count[chunk];
    memset(count, 0, sizeof job->count[chunk]);
    for (size_t i = first; i < last; i++) count[N(key_of)(job->x[i], 0) >> N(SELECT_TOP)]++;
}
static void N(select_keep_chunk)(void *context, size_t chunk) {
    select_job *job = context;
    const size_t first = chunk * job->segment, last = min_size(first + job->segment, job->n);
    key_t *to = job->keys + first, *const end = to + job->count[chunk][job->bucket];
    for (size_t i = first; i < last && to < end; i++) {
        const key_t key = N(key_of)(job->x[i], 0);
        *to = key;
        to += key >> N(SELECT_TOP) == job->bucket;
    }
}

static key_t N(select_large)(select_job *job, size_t *k) {
    uint32_t total[SELECT_BUCKETS] = {0};
    job->segment = ceil_div(job->n, SELECT_SEGMENTS);
    pd_parallel(SELECT_SEGMENTS, N(select_count_chunk), job);
    for (size_t s = 0; s < SELECT_SEGMENTS; s++)
        for (size_t b = 0; b < SELECT_BUCKETS; b++) total[b] += job->count[s][b];
    job->bucket = N(select_bucket)(total, k);
    pd_parallel(SELECT_SEGMENTS, N(select_keep_chunk), job);
    size_t kept = 0;
    for (size_t s = 0; s < SELECT_SEGMENTS; s++) {
        memmove(job->keys + kept, job->keys + s * job->segment, job->count[s][job->bucket] * sizeof(key_t));
        kept += job->count[s][job->bucket];
    }
    return N(select_key)(job->keys, kept, k, N(SELECT_TOP));
}

/* How many NaN, and the first of them */
static size_t N(select_nans)(const T *x, size_t n, size_t *first) {
    size_t count = 0;
    *first = 0;
#if PD_REAL
    for (size_t i = 0; i < n; i += SELECT_SCAN) {
        const size_t stop = min_size(i + SELECT_SCAN, n);
        bits_t here = 0;
        for (size_t j = i; j < stop; j++) here += x[j] != x[j];
        if (here && !count) for (*first = i; x[*first] == x[*first]; ++*first);
        count += (size_t)here;
    }
#else
    (void)x, (void)n;
#endif
    return count;
}

static void N(select_line)(const pd_launch *launch, size_t line, void *scratch) {
    const size_t n = launch->lines.n;
    const int how = (int)launch->scalar[1];
    const T *x = (const T *)launch->buf[0] + line * n;
    key_t *keys = scratch, key;
    size_t k = (size_t)launch->scalar[0], place = 0;
    const size_t nans = how == SELECT_KTH ? 0 : N(select_nans)(x, n, &place);
    if (how == SELECT_MEDIAN) k = (n - 1) / 2;
    if (how == SELECT_NANMEDIAN && nans < n) k = (n - nans - 1) / 2;
    if (nans == 0 || (how == SELECT_NANMEDIAN && nans < n)) {
        if (n >= SELECT_LARGE) {
            select_job job = {.x = x, .keys = keys, .count = (uint32_t(*)[SELECT_BUCKETS])((char *)scratch + 8 * n), .n = n};
            key = N(select_large)(&job, &k);
        } else {
            for (size_t i = 0; i < n; i++) keys[i] = N(key_of)(x[i], 0);
            key = N(select_key)(keys, n, &k, BITS);
        }
        place = N(select_place)(x, n, key, k);
    }
    ((T *)launch->buf[1])[line] = x[place];
    ((int64_t *)launch->buf[2])[line] = (int64_t)place;
}

static void N(select_chunk)(void *context, size_t chunk) {
    const N(lines_job) *job = context;
    const size_t last = min_size((chunk + 1) * job->per_chunk, job->launch->lines.outer);
    char *scratch = (char *)job->launch->buf[3] + 8 * chunk * job->launch->lines.n;
    for (size_t line = chunk * job->per_chunk; line < last; line++) N(select_line)(job->launch, line, scratch);
}

static void N(kth)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    N(lines_job) job = {launch, max_size(ceil_div(g->outer, SELECT_CHUNKS), max_size(1, SELECT_GRAIN / g->n))};
    if (g->n >= SELECT_LARGE)
        for (size_t line = 0; line < g->outer; line++) N(select_line)(launch, line, launch->buf[3]);
    else if (g->outer <= job.per_chunk) N(select_chunk)(&job, 0);
    else pd_parallel(ceil_div(g->outer, job.per_chunk), N(select_chunk), &job);
}

/* ---- The most frequent element of a line, the smallest of several, and the last place of it. buf: x (outer, n), values, index, order.
 * order, and x ascending, where scalar[0] (runs are looked for); without, n <= SELECT_SMALL (all are compared). A NaN equals nothing. ---- */
static void N(mode_chunk)(void *context, size_t chunk) {
    const N(lines_job) *job = context;
    const pd_launch *launch = job->launch;
    const size_t n = launch->lines.n, last = min_size((chunk + 1) * job->per_chunk, launch->lines.outer);
    const int sorted = launch->scalar[0] != 0;
    for (size_t line = chunk * job->per_chunk; line < last; line++) {
        const T *x = (const T *)launch->buf[0] + line * n;
        size_t best = 0, most = 0, run = 0;
        for (size_t i = 0; i < n; i++) {
            if (sorted) run = i && x[i] == x[i - 1] ? run + 1 : 1;
            else {
                key_t same = 0;
                for (size_t j = 0; j < n; j++) same += x[j] == x[i];
                run = max_size(1, (size_t)same);
            }
            const int better = run > most || (!sorted && run == most && (x[i] == x[best] || N(key_of)(x[i], 0) < N(key_of)(x[best], 0)));
            if (better) best = i, most = run;
        }
        ((T *)launch->buf[1])[line] = x[best];
        ((int64_t *)launch->buf[2])[line] = sorted ? ((const int64_t *)launch->buf[3])[line * n + best] : (int64_t)best;
    }
}

static void N(mode)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    N(lines_job) job = {launch, max_size(1, SELECT_GRAIN / g->n)};
    if (g->outer <= job.per_chunk) N(mode_chunk)(&job, 0);
    else pd_parallel(ceil_div(g->outer, job.per_chunk), N(mode_chunk), &job);
}
#undef key_t
#undef select_job
