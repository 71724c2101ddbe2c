/* Stable sort and top k of lines. Legend: x (outer, n) contiguous, n < 2^32; a key is an unsigned integer in the order
 * of x (NaN above everything, -0 equal to 0; all bits inverted for descending order); an item is a key and its place.
 *   n <= SORT_SMALL       by rank (all pairs compared, without branches) or by insertion
 *   n <= SORT_MERGE       merges of runs sorted that way
 *   n <  SORT_LARGE       least significant digit first radix sort (Knuth, TAOCP 3, 5.2.5), digits where all keys agree are skipped
 *   otherwise             one stable split by the highest digit, in SORT_SEGMENTS counted segments, then every bucket as above
 * The split and the buckets of a large line are spread over threads; so are the lines where there are many. */
#ifndef PD_SORT_ONCE
#define PD_SORT_ONCE
enum { SORT_SMALL = 32, SORT_RUN = 16, SORT_MERGE = 512, TOPK_INSERTION = 32, SORT_LARGE = 1 << 15, SORT_SEGMENTS = 16, SORT_DIGIT = 11, SORT_BUCKETS = 1 << SORT_DIGIT };
enum { SORT_CHUNKS = 16, SORT_GRAIN = 8192, TOPK_BLOCK = 64 };
#endif

#if BITS == 64
typedef uint64_t N(key_t);
typedef struct N(item) {
    uint64_t key, place;
} N(item);
INLINE N(item) N(item_of)(uint64_t key, size_t place) { return (N(item)){key, place}; }
#define KEY(item) ((item).key)
#define PLACE(item) ((item).place)
#define LESS(a, b) ((a).key < (b).key) /* of the later item: equal keys stay as they are */
#else
typedef uint32_t N(key_t);
typedef uint64_t N(item);
INLINE N(item) N(item_of)(uint32_t key, size_t place) { return (uint64_t)key << 32 | (uint64_t)place; }
#define KEY(item) ((uint32_t)((item) >> 32))
#define PLACE(item) ((size_t)((item) & 0xffffffffu))
#define LESS(a, b) ((a) < (b)) /* the place settles what the key does not */
#endif
#define item N(item)
#define key_of N(key_of)
#define bits_key N(key_t)

/* flip: all ones for descending order, else 0. */
INLINE bits_key key_of(T x, bits_key flip) {
#if PD_REAL
    bits_key bits;
    const T plain = x + (T)0; /* -0 becomes 0 */
    const bits_key top = (bits_key)1 << (BITS - 1);
    memcpy(&bits, &plain, sizeof bits);
    bits = bits & top ? ~bits : bits | top;
    if (x != x) bits = ~(bits_key)0;
    return bits ^ flip;
#elif BITS == 8
    return (bits_key)x ^ (flip & 0xff);
#else
    return ((bits_key)x ^ (bits_key)1 << (BITS - 1)) ^ flip;
#endif
}

/* n <= SORT_SMALL; other: scratch. */
static void N(sort_small)(item *a, item *other, size_t n) {
#if BITS == 64
    (void)other;
    for (size_t i = 1; i < n; i++) {
        const item one = a[i];
        size_t j = i;
        for (; j > 0 && LESS(one, a[j - 1]); j--) a[j] = a[j - 1];
        a[j] = one;
    }
#else
    for (size_t i = 0; i < n; i++) {
        const item one = a[i];
        uint64_t rank = 0;
        for (size_t j = 0; j < n; j++) rank += a[j] < one;
        other[rank] = one;
    }
    memcpy(a, other, n * sizeof(item));
#endif
}

/* Runs a[0 .. m), a[m .. n) -> to; without branches on the keys. */
static void N(sort_merge)(item *to, const item *a, size_t m, size_t n) {
    const item *b = a + m, *const a_end = b, *const b_end = a + n;
    while (a < a_end && b < b_end) {
        const size_t second = LESS(*b, *a);
        *to++ = *(second ? b : a);
        a += 1 - second;
        b += second;
    }
    for (; a < a_end;) *to++ = *a++;
    for (; b < b_end;) *to++ = *b++;
}

/* Runs of equal length m: from both ends at once, as one waits for its comparison the other goes on, and neither meets an end. */
static void N(sort_merge_equal)(item *to, const item *a, size_t m) {
    const item *b = a + m, *a_last = b - 1, *b_last = b + m - 1;
    item *to_last = to + 2 * m - 1;
    for (size_t i = 0; i < m; i++) {
        const size_t second = LESS(*b, *a), first = LESS(*b_last, *a_last);
        *to++ = *(second ? b : a);
        a += 1 - second;
        b += second;
        *to_last-- = *(first ? a_last : b_last);
        a_last -= first;
        b_last -= 1 - first;
    }
}

static void N(sort_merges)(item *a, item *other, size_t n) {
    for (size_t i = 0; i < n; i += SORT_RUN) N(sort_small)(a + i, other + i, min_size(SORT_RUN, n - i));
    item *from = a, *to = other;
    for (size_t run = SORT_RUN; run < n; run *= 2) {
        for (size_t i = 0; i < n; i += 2 * run) {
            if (i + 2 * run <= n) N(sort_merge_equal)(to + i, from + i, run);
            else N(sort_merge)(to + i, from + i, min_size(run, n - i), n - i);
        }
        item *swap = from;
        from = to, to = swap;
    }
    if (from != a) memcpy(a, from, n * sizeof(item));
}

/* One stable pass by the digit at `shift`; 0 where all items share it, so that nothing was moved. */
static int N(sort_pass)(item *to, const item *from, size_t n, unsigned shift, unsigned width) {
    uint32_t count[SORT_BUCKETS];
    const size_t buckets = (size_t)1 << width, mask = buckets - 1;
    memset(count, 0, buckets * sizeof *count);
    for (size_t i = 0; i < n; i++) count[KEY(from[i]) >> shift & mask]++;
    if (count[KEY(from[0]) >> shift & mask] == n) return 0;
    uint32_t start = 0;
    for (size_t b = 0; b < buckets; b++) {
        const uint32_t here = count[b];
        count[b] = start;
        start += here;
    }
    for (size_t i = 0; i < n; i++) to[count[KEY(from[i]) >> shift & mask]++] = from[i];
    return 1;
}

/* Sorts a[0 .. n) whose keys agree above the lowest `bits` bits, with `other` as scratch; the result is in a. */
static void N(sort_items)(item *a, item *other, size_t n, unsigned bits) {
    if (n <= SORT_SMALL || (BITS > 8 && n <= SORT_MERGE)) {
        if (n <= SORT_SMALL) N(sort_small)(a, other, n);
        else N(sort_merges)(a, other, n);
        return;
    }
    item *from = a, *to = other;
    const unsigned width = n > 2 * SORT_BUCKETS ? SORT_DIGIT : 8;
    for (unsigned shift = 0; shift < bits; shift += width)
        if (N(sort_pass)(to, from, n, shift, width)) {
            item *swap = from;
            from = to, to = swap;
        }
    if (from != a) memcpy(a, from, n * sizeof(item));
}

/* ---- one large line over many threads ---- */
typedef struct N(sort_job) {
    const T *x;
    T *y;
    int64_t *index;
    item *items, *other;
    size_t n, segment;
    bits_key flip, low, seen[SORT_SEGMENTS][2];
    unsigned shift;
    uint32_t (*start)[SORT_BUCKETS]; /* per segment */
    uint32_t bucket[SORT_BUCKETS + 1];
} N(sort_job);
#define sort_job N(sort_job)

static void N(sort_keys_chunk)(void *context, size_t chunk) {
    sort_job *job = context;
    const size_t first = chunk * job->segment, last = min_size(first + job->segment, job->n);
    bits_key low = ~(bits_key)0, high = 0;
    for (size_t i = first; i < last; i++) {
        const bits_key key = key_of(job->x[i], job->flip);
        low = key < low ? key : low;
        high = key > high ? key : high;
    }
    job->seen[chunk][0] = low, job->seen[chunk][1] = high;
}

static void N(sort_count_chunk)(void *context, size_t chunk) {
    sort_job *job = context;
    const size_t first = chunk * job->segment, last = min_size(first + job->segment, job->n);
    uint32_t *count = job->start[chunk];
    memset(count, 0, sizeof job->start[chunk]);
    for (size_t i = first; i < last; i++) {
        const bits_key key = (bits_key)(key_of(job->x[i], job->flip) - job->low);
        job->other[i] = N(item_of)(key, i);
        count[key >> job->shift]++;
    }
}

static void N(sort_split_chunk)(void *context, size_t chunk) {
    sort_job *job = context;
    const size_t first = chunk * job->segment, last = min_size(first + job->segment, job->n);
    uint32_t *start = job->start[chunk];
    for (size_t i = first; i < last; i++) job->items[start[KEY(job->other[i]) >> job->shift]++] = job->other[i];
}

/* The buckets that begin in this chunk's share of the line. */
static void N(sort_buckets_chunk)(void *context, size_t chunk) {
    sort_job *job = context;
    const size_t first = chunk * job->segment, last = min_size(first + job->segment, job->n);
    size_t b = 0, high = SORT_BUCKETS;
    while (b < high) { /* the first bucket that begins at `first` or later */
        const size_t middle = (b + high) / 2;
        if (job->bucket[middle] < first) b = middle + 1;
        else high = middle;
    }
    for (; b < SORT_BUCKETS && job->bucket[b] < last; b++) {
        const size_t start = job->bucket[b], n = job->bucket[b + 1] - start;
        if (n > 1 && job->shift) N(sort_items)(job->items + start, job->other + start, n, job->shift);
        for (size_t i = start; i < start + n; i++) {
            const size_t place = PLACE(job->items[i]);
            if (job->y) job->y[i] = job->x[place];
            job->index[i] = (int64_t)place;
        }
    }
}

static void N(sort_large)(sort_job *job) {
    bits_key low = ~(bits_key)0, high = 0;
    job->segment = ceil_div(job->n, SORT_SEGMENTS);
    pd_parallel(SORT_SEGMENTS, N(sort_keys_chunk), job);
    for (size_t s = 0; s < SORT_SEGMENTS; s++) {
        low = job->seen[s][0] < low ? job->seen[s][0] : low;
        high = job->seen[s][1] > high ? job->seen[s][1] : high;
    }
    job->low = low, job->shift = 0;
    while ((bits_key)(high - low) >> job->shift >= SORT_BUCKETS) job->shift++;
    pd_parallel(SORT_SEGMENTS, N(sort_count_chunk), job);
    uint32_t start = 0;
    for (size_t b = 0; b < SORT_BUCKETS; b++) {
        job->bucket[b] = start;
        for (size_t s = 0; s < SORT_SEGMENTS; s++) {
            const uint32_t here = job->start[s][b];
            job->start[s][b] = start;
            start += here;
        }
    }
    job->bucket[SORT_BUCKETS] = start;
    pd_parallel(SORT_SEGMENTS, N(sort_split_chunk), job);
    pd_parallel(SORT_SEGMENTS, N(sort_buckets_chunk), job);
}

/* ---- many lines ---- */
typedef struct N(lines_job) {
    const pd_launch *launch;
    size_t per_chunk;
} N(lines_job);

static void N(sort_lines_chunk)(void *context, size_t chunk) {
    const N(lines_job) *job = context;
    const pd_launch *launch = job->launch;
    const size_t n = launch->lines.n, first = chunk * job->per_chunk;
    const size_t last = min_size(first + job->per_chunk, launch->lines.outer);
    const bits_key flip = launch->scalar[0] != 0 ? ~(bits_key)0 : 0;
    item *items = (item *)launch->buf[3] + chunk * 2 * n;
    for (size_t line = first; line < last; line++) {
        const T *x = (const T *)launch->buf[0] + line * n;
        T *y = launch->buf[1] ? (T *)launch->buf[1] + line * n : NULL;
        int64_t *index = (int64_t *)launch->buf[2] + line * n;
        for (size_t i = 0; i < n; i++) items[i] = N(item_of)(key_of(x[i], flip), i);
        N(sort_items)(items, items + n, n, BITS);
        for (size_t i = 0; i < n; i++) index[i] = (int64_t)PLACE(items[i]);
        if (y)
            for (size_t i = 0; i < n; i++) y[i] = x[PLACE(items[i])];
    }
}

/* buf: x, y (or NULL), index, scratch. scalar[0]: descending. scratch: 16 bytes x 2 n for each of SORT_CHUNKS (or outer,
 * where fewer) lines; for n >= SORT_LARGE 16 bytes x 2 n and SORT_SEGMENTS x SORT_BUCKETS x 4 bytes. */
static void N(sort)(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    if (g->outer * g->n == 0) return;
    if (g->n < SORT_LARGE) {
        N(lines_job) job = {launch, max_size(ceil_div(g->outer, SORT_CHUNKS), max_size(1, SORT_GRAIN / g->n))};
        const size_t chunks = ceil_div(g->outer, job.per_chunk);
        if (chunks == 1) N(sort_lines_chunk)(&job, 0);
        else pd_parallel(chunks, N(sort_lines_chunk), &job);
        return;
    }
    for (size_t line = 0; line < g->outer; line++) {
        sort_job job = {.x = (const T *)launch->buf[0] + line * g->n, .index = (int64_t *)launch->buf[2] + line * g->n,
                        .n = g->n, .flip = launch->scalar[0] != 0 ? ~(bits_key)0 : 0};
        job.y = launch->buf[1] ? (T *)launch->buf[1] + line * g->n : NULL;
        job.items = launch->buf[3], job.other = job.items + g->n;
        job.start = (uint32_t(*)[SORT_BUCKETS])(job.other + g->n);
        N(sort_large)(&job);
    }
}

/* ---- top k ---- */

/* Are there keys above `bar` among the TOPK_BLOCK at x? Without branches, so that it is done in vectors. */
INLINE int N(topk_any)(const T *x, bits_key flip, bits_key bar) {
    unsigned any = 0;
    for (size_t i = 0; i < TOPK_BLOCK; i++) any |= key_of(x[i], flip) < bar;
    return (int)any;
}

/* The first of the smallest keys. */
static void N(topk_one)(item *items, const T *x, size_t n, bits_key flip) {
    bits_key best = ~(bits_key)0;
    size_t i = 0;
    for (size_t j = 0; j < n; j++) {
        const bits_key key = key_of(x[j], flip);
        best = key < best ? key : best;
    }
    for (unsigned found = 0; i + TOPK_BLOCK <= n; i += TOPK_BLOCK) {
        for (size_t j = i; j < i + TOPK_BLOCK; j++) found |= key_of(x[j], flip) == best;
        if (found) break;
    }
    while (key_of(x[i], flip) != best) i++;
    items[0] = N(item_of)(best, i);
}

/* The k smallest keys of x in order, in items[0 .. k), for a small k: a sorted list of k, into which what is below its last goes by insertion. */
static void N(topk_short)(item *items, const T *x, size_t n, size_t k, bits_key flip) {
    size_t held = 0, i = 0;
    while (i < n) {
        const size_t stop = min_size(i + TOPK_BLOCK, n);
        if (held == k && stop - i == TOPK_BLOCK && !N(topk_any)(x + i, flip, KEY(items[k - 1]))) {
            i = stop;
            continue;
        }
        for (; i < stop; i++) {
            const bits_key key = key_of(x[i], flip);
            if (held == k && key >= KEY(items[k - 1])) continue;
            size_t j = held < k ? held++ : k - 1;
            for (; j > 0 && key < KEY(items[j - 1]); j--) items[j] = items[j - 1];
            items[j] = N(item_of)(key, i);
        }
    }
}

/* The same for any k; items holds 2 * room of which the upper half is scratch. Items
 * are collected until there is no more room, then sorted and cut to k: from then on only keys below the k-th count. */
static void N(topk_line)(item *items, size_t room, const T *x, size_t n, size_t k, bits_key flip) {
    size_t held = 0, i = 0;
    int full = 0;
    bits_key bar = 0;
    while (i < n) {
        const size_t stop = min_size(i + TOPK_BLOCK, n);
        if (full && stop - i == TOPK_BLOCK && !N(topk_any)(x + i, flip, bar)) {
            i = stop;
            continue;
        }
        for (; i < stop; i++) {
            const bits_key key = key_of(x[i], flip);
            if (full && key >= bar) continue;
            items[held++] = N(item_of)(key, i);
            if (held < room) continue;
            N(sort_items)(items, items + room, held, BITS);
            held = k, full = 1, bar = KEY(items[k - 1]);
        }
    }
    N(sort_items)(items, items + room, held, BITS);
}

static void N(topk_chunk)(void *context, size_t chunk) {
    const N(lines_job) *job = context;
    const pd_launch *launch = job->launch;
    const size_t n = launch->rows.n, k = launch->rows.count, room = launch->rows.inner, first = chunk * job->per_chunk;
    const size_t last = min_size(first + job->per_chunk, launch->rows.outer);
    const bits_key flip = launch->scalar[0] != 0 ? ~(bits_key)0 : 0;
    item *items = (item *)launch->buf[3] + chunk * 2 * room;
    for (size_t line = first; line < last; line++) {
        const T *x = (const T *)launch->buf[0] + line * n;
        if (k == 1) N(topk_one)(items, x, n, flip);
        else if (k <= TOPK_INSERTION) N(topk_short)(items, x, n, k, flip);
        else N(topk_line)(items, room, x, n, k, flip);
        for (size_t i = 0; i < k; i++) {
            ((T *)launch->buf[1])[line * k + i] = x[PLACE(items[i])];
            ((int64_t *)launch->buf[2])[line * k + i] = (int64_t)PLACE(items[i]);
        }
    }
}

/* buf: x (outer, n), y and index (outer, k), scratch; rows: outer, n, count = k, inner = room > k. scalar[0]: largest.
 * scratch: 16 bytes x 2 room for each of SORT_CHUNKS (or outer, where fewer) lines. */
static void N(topk)(const pd_launch *launch) {
    const pd_rows *g = &launch->rows;
    if (g->outer * g->n * g->count == 0) return;
    N(lines_job) job = {launch, max_size(ceil_div(g->outer, SORT_CHUNKS), max_size(1, 4 * SORT_GRAIN / g->n))};
    const size_t chunks = ceil_div(g->outer, job.per_chunk);
    if (chunks == 1) N(topk_chunk)(&job, 0);
    else pd_parallel(chunks, N(topk_chunk), &job);
}
#undef KEY
#undef PLACE
#undef LESS
#undef item
#undef key_of
#undef bits_key
#undef sort_job
