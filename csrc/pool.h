/* What the kernels of pooling share: x (n, c, in) -> y (n, c, out), a pd_window. pool_avg.c: averages; pool_max.c: the largest;
 * pool_lanes.c: both of small images; pool_quarters.c: both of windows of 2 x 2.
 * o is an output's place along a dimension, i an element's, t or k a tap's within its window; d h w: depth, height, width.
 * scalar[0]: what a sum is divided by, or 0: as many elements as the window has; scalar[1]: which of these count, or how windows lie.
 * Work is cut by rows of what is written, or by planes; each is made by one chunk in one order, so that no sum depends on the threads. */
#ifndef POOL_ONCE
#define POOL_ONCE

enum {
    POOL_UNIT = 1 << 14,   /* elements of a chunk, about */
    POOL_ALONE = 1 << 16,  /* what one thread does sooner */
    POOL_STAGE = 1024,     /* elements of a row that are added up at a time */
    POOL_ROWS = 4096,      /* elements of all rows of windows, with their padding */
    POOL_WIDE = 64,        /* kernels wider than this take the plain way back */
    POOL_TAPS = 256,       /* as many as a byte tells apart */
    POOL_LANES = 1024,     /* elements of an image and twice those of its result, where planes go side by side */
};
enum { POOL_PADDED, POOL_INSIDE, POOL_ADAPTIVE }; /* padding counts; it does not; window o is [floor(o in / out), ceil((o + 1) in / out)) */

/* Taps from ... to - 1 of an output lie inside; tap t is at at + t * dilation. */
typedef struct pool_span {
    ptrdiff_t at;
    size_t from, to;
} pool_span;

static UNUSED pool_span pool_taps(const pd_window *w, int d, size_t o, int adaptive) {
    if (adaptive) {
        const size_t at = o * w->in[d] / w->out[d];
        return (pool_span){(ptrdiff_t)at, 0, ceil_div((o + 1) * w->in[d], w->out[d]) - at};
    }
    const ptrdiff_t at = (ptrdiff_t)(o * w->stride[d]) - (ptrdiff_t)w->pad[d], room = (ptrdiff_t)w->in[d] - at;
    const ptrdiff_t step = (ptrdiff_t)w->dilation[d], reach = step * (ptrdiff_t)(w->kernel[d] - 1) + 1;
    pool_span s = {at, 0, w->kernel[d]};
    if (at < 0) s.from = ceil_div((size_t)-at, (size_t)step);
    if (reach > room) s.to = ceil_div((size_t)room, (size_t)step);
    return s;
}

/* How many elements of the window o count along d, when a sum is divided by their number */
static UNUSED size_t pool_counted(const pd_window *w, int d, size_t o, int mode) {
    if (mode == POOL_PADDED) return min_size(w->kernel[d], w->in[d] + 2 * w->pad[d] - o * w->stride[d]);
    const pool_span s = pool_taps(w, d, o, mode == POOL_ADAPTIVE);
    return s.to - s.from;
}

/* The outputs first ... end - 1 whose windows hold element i. Not for dilated ones. */
typedef struct pool_range {
    size_t first, end;
} pool_range;

static UNUSED pool_range pool_windows(const pd_window *w, int d, size_t i, int adaptive) {
    if (adaptive) return (pool_range){i * w->out[d] / w->in[d], ceil_div((i + 1) * w->out[d], w->in[d])};
    const size_t at = i + w->pad[d], before = at + 1 > w->kernel[d] ? at + 1 - w->kernel[d] : 0;
    return (pool_range){ceil_div(before, w->stride[d]), min_size(w->out[d], at / w->stride[d] + 1)};
}

/* Columns first ... end - 1 whose windows lie inside: between the paddings, or where `padded` between their ends */
static UNUSED pool_range pool_inner(const pd_window *w, int padded) {
    const size_t pad = w->pad[2], reach = w->dilation[2] * (w->kernel[2] - 1) + 1, room = w->in[2] + pad + (padded ? pad : 0);
    const size_t end = room < reach ? 0 : min_size(w->out[2], (room - reach) / w->stride[2] + 1);
    return (pool_range){padded ? 0 : min_size(end, ceil_div(pad, w->stride[2])), end};
}

/* How far each tap of a window is from where the window begins */
static UNUSED void pool_offsets(const pd_window *w, int64_t *to) {
    for (size_t kd = 0; kd < w->kernel[0]; kd++)
        for (size_t kh = 0; kh < w->kernel[1]; kh++)
            for (size_t kw = 0; kw < w->kernel[2]; kw++)
                *to++ = (int64_t)((kd * w->dilation[0] * w->in[1] + kh * w->dilation[1]) * w->in[2] + kw * w->dilation[2]);
}

/* Where the windows of output row (od, oh) begin: that of column 0; what the others are away is the stride */
static UNUSED int64_t pool_begin(const pd_window *w, size_t od, size_t oh) {
    const int64_t d = (int64_t)(od * w->stride[0]) - (int64_t)w->pad[0], h = (int64_t)(oh * w->stride[1]) - (int64_t)w->pad[1];
    return (d * (int64_t)w->in[1] + h) * (int64_t)w->in[2] - (int64_t)w->pad[2];
}

/* `rows` rows of together `elements`: each chunk gets `per_chunk` of them */
static UNUSED void pool_parallel(size_t rows, size_t per_chunk, size_t elements, pd_task task, void *job) {
    const size_t chunks = ceil_div(rows, per_chunk);
    if (chunks > 1 && elements >= POOL_ALONE) pd_parallel(chunks, task, job);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) task(job, chunk);
}
#endif

/* Two vectors, their lanes turn by turn: `count` < 2 VL of them, or 2 VL */
INLINE void N(pool_zip)(T *to, vreal even, vreal odd, size_t count) {
    v_store_left(to, v_zip_low(even, odd), count);
    if (count > VL) v_store_left(to + VL, v_zip_high(even, odd), count - VL);
}

typedef struct N(pool_job) {
    const pd_launch *launch;
    size_t rows, per_chunk;
    pool_range inner;
    int mode, staged; /* staged: taps of the largest may be found by vectors */
} N(pool_job);

/* The largest so far, of each lane, and its tap */
INLINE void N(max_take)(vreal v, size_t tap, const int placed, vreal *best, vint *at) {
    if (!placed) {
        *best = v_max(v, *best);
        return;
    }
    const vint better = (v > *best) | (v != v);
    *best = v_blend(better, v, *best);
    *at = (vint)v_blend(better, (vreal)v_bits((ubits_t)tap), (vreal)*at);
}

/* A byte of each lane, `left` of them, and back. The compiler has no short way to narrow vectors. */
#if defined(__AVX512F__) && BITS == 32
INLINE void N(put_all_places)(uint8_t *place, vint at) { _mm_storeu_si128((__m128i *)place, _mm512_cvtepi32_epi8((__m512i)at)); }
INLINE vint N(all_places_of)(const uint8_t *place) { return (vint)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)place)); }
#elif defined(__AVX512F__)
INLINE void N(put_all_places)(uint8_t *place, vint at) { _mm_storel_epi64((__m128i *)place, _mm512_cvtepi64_epi8((__m512i)at)); }
INLINE vint N(all_places_of)(const uint8_t *place) { return (vint)_mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)place)); }
#else
INLINE void N(put_all_places)(uint8_t *place, vint at) {
    ubits_t some[VL];
    memcpy(some, &at, sizeof some);
    for (size_t i = 0; i < VL; i++) place[i] = (uint8_t)some[i];
}
INLINE vint N(all_places_of)(const uint8_t *place) {
    ubits_t some[VL];
    vint at;
    for (size_t i = 0; i < VL; i++) some[i] = place[i];
    memcpy(&at, some, sizeof some);
    return at;
}
#endif

INLINE void N(put_places)(uint8_t *place, vint at, size_t left) {
    uint8_t some[VL];
    N(put_all_places)(left >= VL ? place : some, at);
    for (size_t i = 0; i < left && left < VL; i++) place[i] = some[i];
}

INLINE vint N(places_of)(const uint8_t *place, size_t left) {
    uint8_t some[VL] = {0};
    if (left >= VL) return N(all_places_of)(place);
    for (size_t i = 0; i < left; i++) some[i] = place[i];
    return N(all_places_of)(some);
}
