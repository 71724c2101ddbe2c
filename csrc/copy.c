/* Copies between layouts, fills and casts.
 *
 * copy: y[p] = x[p] for every index p of a pd_map shape, whatever the strides of the two (not overlapping, bits kept). Legend: a plan
 * is the map with its dimensions ordered by the output's stride and merged; its innermost two dimensions form a plane
 * of `rows` x `n`; planes are cut into tiles of tile_rows x tile_n, and a chunk is a run of tiles.
 *   rows        both sides have unit stride along n
 *   lines       a short stride along n, or nothing nearer: line by line
 *   transpose   the input has unit stride along `rows`, the output along n: blocks turned in registers
 *   strided     the input is nearer along `rows`: small tiles
 * triangle: what lies on one side of a diagonal, zeros on the other; see there.
 * fill: y[p] = scalar[0]; for integers scalar[0] + scalar[1], so that every int64 can be said in two exact doubles.
 * cast_<type>: C's conversion where it is defined. Float to integer: what x86 (and so PyTorch there) gives, on
 * every machine: NaN and what does not fit give the smallest int64 or int32; uint8 is the low byte of the int64. */
#ifndef PD_COPY_ONCE
#define PD_COPY_ONCE

enum { COPY_TILE_ROWS = 32, COPY_TILE_N = 64, COPY_TILE_STRIDED = 256 };
enum { COPY_GRAIN = 1 << 18, COPY_STRIDED_GRAIN = 1 << 16 }; /* bytes of a chunk */

typedef enum copy_mode { COPY_ROWS, COPY_LINES, COPY_TRANSPOSE, COPY_STRIDED } copy_mode;

/* Dimension d of `shape` has stride from[d] in the input and to[d] in the output; the last two are the plane. */
typedef struct copy_plan {
    size_t ndim, shape[PD_MAX_DIMS + 1];
    ptrdiff_t from[PD_MAX_DIMS + 1], to[PD_MAX_DIMS + 1];
    copy_mode mode;
    int aliasing; /* transposing with row strides of a multiple of 1 KiB */
    size_t tile_rows, tile_n, tiles, tiles_per_chunk;
    const char *x;
    char *y;
} copy_plan;

static UNUSED size_t stride_size(ptrdiff_t stride) { return (size_t)(stride < 0 ? -stride : stride); }

static UNUSED void copy_move_dim(copy_plan *p, size_t at, size_t to) {
    const size_t n = p->shape[at];
    const ptrdiff_t f = p->from[at], t = p->to[at];
    for (; at < to; at++) p->shape[at] = p->shape[at + 1], p->from[at] = p->from[at + 1], p->to[at] = p->to[at + 1];
    for (; at > to; at--) p->shape[at] = p->shape[at - 1], p->from[at] = p->from[at - 1], p->to[at] = p->to[at - 1];
    p->shape[to] = n, p->from[to] = f, p->to[to] = t;
}

/* Orders the dimensions by the output's stride, largest first; drops those of size 1; merges what lies side by side. */
static UNUSED void copy_order(copy_plan *p, const pd_map *map) {
    size_t nd = 0;
    for (size_t d = 0; d < map->ndim; d++) {
        if (map->shape[d] == 1) continue;
        p->shape[nd] = map->shape[d];
        p->from[nd] = map->stride[0][d];
        p->to[nd] = map->stride[1][d];
        size_t place = nd;
        while (place > 0 && stride_size(p->to[place - 1]) < stride_size(p->to[nd])) place--;
        copy_move_dim(p, nd++, place);
    }
    size_t kept = 0;
    for (size_t d = 1; d < nd; d++) {
        const ptrdiff_t n = (ptrdiff_t)p->shape[d];
        if (p->from[kept] == p->from[d] * n && p->to[kept] == p->to[d] * n) p->shape[kept] *= p->shape[d];
        else p->shape[++kept] = p->shape[d];
        p->from[kept] = p->from[d];
        p->to[kept] = p->to[d];
    }
    p->ndim = nd ? kept + 1 : 0;
    while (p->ndim < 2) { /* a plane always has two dimensions */
        p->shape[p->ndim] = 1, p->from[p->ndim] = 1, p->to[p->ndim] = 1;
        copy_move_dim(p, p->ndim++, 0);
    }
}

/* Chooses the plane's other dimension, and how the plane is walked. `block`: the side of the blocks that transposing
 * turns in registers. */
static UNUSED void copy_choose_plane(copy_plan *p, size_t block, size_t itemsize) {
    const size_t last = p->ndim - 1, step = stride_size(p->from[last]);
    size_t nearest = last - 1;
    for (size_t d = 0; d < last; d++)
        if (stride_size(p->from[d]) < stride_size(p->from[nearest])) nearest = d;
    const size_t near = stride_size(p->from[nearest]);
    if (p->to[last] == 1 && step == 1 && p->from[last] == 1) p->mode = COPY_ROWS;
    else if (step * itemsize < 64 || near >= step || near == 0) p->mode = COPY_LINES;
    else {
        copy_move_dim(p, nearest, last - 1);
        p->mode = p->to[last] == 1 && p->from[last - 1] == 1 && p->shape[last] >= block && p->shape[last - 1] >= block
                      ? COPY_TRANSPOSE : COPY_STRIDED;
        const size_t strides = step | stride_size(p->to[last - 1]);
        p->aliasing = strides * itemsize % 1024 == 0;
    }
}

static UNUSED void copy_make_plan(copy_plan *p, const pd_launch *launch, size_t block, size_t itemsize) {
    p->x = launch->buf[0], p->y = launch->buf[1];
    copy_order(p, &launch->map);
    copy_choose_plane(p, block, itemsize);
    const size_t last = p->ndim - 1, n = p->shape[last];
    const int in_runs = p->mode == COPY_ROWS || (p->mode == COPY_LINES && stride_size(p->from[last]) <= 1 && p->to[last] == 1);
    const size_t grain = (in_runs ? COPY_GRAIN : COPY_STRIDED_GRAIN) / itemsize;
    if (p->mode == COPY_TRANSPOSE) p->tile_rows = COPY_TILE_ROWS, p->tile_n = COPY_TILE_N;
    else if (p->mode == COPY_STRIDED) p->tile_rows = p->tile_n = COPY_TILE_STRIDED;
    else p->tile_rows = max_size(1, grain / n), p->tile_n = grain;
    p->tile_n = min_size(p->tile_n, n);
    p->tile_rows = min_size(p->tile_rows, p->shape[last - 1]);
    p->tiles = ceil_div(n, p->tile_n) * ceil_div(p->shape[last - 1], p->tile_rows);
    for (size_t d = 0; d + 1 < last; d++) p->tiles *= p->shape[d];
    const size_t tile = p->tile_rows * p->tile_n;
    p->tiles_per_chunk = p->tiles * tile <= 2 * grain ? p->tiles : max_size(1, grain / tile);
}

/* triangle: (outer, n, inner) matrices, contiguous, of elements of scalar[2] bytes; y = x where column <= row + scalar[0], else
 * zero; with scalar[1] the other way round: zero there, x elsewhere. */
typedef struct triangle_job {
    const pd_launch *launch;
    size_t rows, per_chunk;
} triangle_job;

static UNUSED void triangle_chunk(void *context, size_t chunk) {
    const triangle_job *job = context;
    const pd_launch *launch = job->launch;
    const size_t bytes = (size_t)launch->scalar[2], width = launch->lines.inner * bytes;
    const size_t first = chunk * job->per_chunk, last = min_size(first + job->per_chunk, job->rows);
    for (size_t row = first; row < last; row++) {
        const double edge = (double)(row % launch->lines.n) + launch->scalar[0] + 1;
        const size_t left = edge <= 0 ? 0 : edge >= (double)launch->lines.inner ? width : (size_t)edge * bytes;
        const char *x = (const char *)launch->buf[0] + row * width;
        char *y = (char *)launch->buf[1] + row * width;
        if (launch->scalar[1] != 0) {
            memset(y, 0, left);
            memcpy(y + left, x + left, width - left);
        } else {
            memcpy(y, x, left);
            memset(y + left, 0, width - left);
        }
    }
}

static UNUSED void triangle(const pd_launch *launch) {
    triangle_job job = {launch, launch->lines.outer * launch->lines.n, 0};
    job.per_chunk = max_size(1, COPY_GRAIN / max_size(1, launch->lines.inner * (size_t)launch->scalar[2]));
    const size_t chunks = ceil_div(job.rows, job.per_chunk);
    if (chunks == 1) triangle_chunk(&job, 0);
    else if (chunks > 1) pd_parallel(chunks, triangle_chunk, &job);
}
#endif

typedef bits_t __attribute__((may_alias)) N(cell);
#define cell N(cell)
#define BLOCK_BYTES (BITS == 8 || VBYTES < 32 ? 16 : 32)
#define BLOCK (BLOCK_BYTES * 8 / BITS)
typedef bits_t N(block_row) __attribute__((vector_size(BLOCK_BYTES)));
typedef bits_t N(block_half) __attribute__((vector_size(16), aligned(1), may_alias));
typedef bits_t N(block_out) __attribute__((vector_size(BLOCK_BYTES), aligned(1), may_alias));

/* (a0 b0 a1 b1 ...) of the lower and upper halves of every 16 bytes. */
#if BITS == 8
#define INTERLEAVE_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define INTERLEAVE_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif BITS == 32 && VBYTES < 32
#define INTERLEAVE_LOW 0, 4, 1, 5
#define INTERLEAVE_HIGH 2, 6, 3, 7
#elif BITS == 32
#define INTERLEAVE_LOW 0, 8, 1, 9, 4, 12, 5, 13
#define INTERLEAVE_HIGH 2, 10, 3, 11, 6, 14, 7, 15
#define BLOCK_HALVES 0, 1, 2, 3, 4, 5, 6, 7
#elif VBYTES < 32
#define INTERLEAVE_LOW 0, 2
#define INTERLEAVE_HIGH 1, 3
#else
#define INTERLEAVE_LOW 0, 4, 2, 6
#define INTERLEAVE_HIGH 1, 5, 3, 7
#define BLOCK_HALVES 0, 1, 2, 3
#endif

/* A BLOCK x BLOCK block: y (row stride y_row) = the transpose of x (row stride x_row). Interleaving row i with row
 * i + h, log2(2 h) times, transposes 2 h rows of 16 bytes; wider rows are first loaded as two halves below one another. */
INLINE N(block_row) N(block_load)(const cell *x, ptrdiff_t below) {
#if defined(BLOCK_HALVES)
    const N(block_half) low = *(const N(block_half) *)x, high = *(const N(block_half) *)(x + below);
    return __builtin_shufflevector(low, high, BLOCK_HALVES);
#else
    (void)below;
    return *(const N(block_half) *)x;
#endif
}

INLINE void N(transpose_block)(cell *y, ptrdiff_t y_row, const cell *x, ptrdiff_t x_row) {
    enum { LANES = 16 * 8 / BITS, GROUPS = BLOCK_BYTES / 16 };
    for (ptrdiff_t group = 0; group < GROUPS; group++) {
        N(block_row) v[LANES], w[LANES];
#pragma GCC unroll 16
        for (ptrdiff_t i = 0; i < LANES; i++) v[i] = N(block_load)(x + i * x_row + group * LANES, LANES * x_row);
#pragma GCC unroll 4
        for (size_t done = 1; done < LANES; done *= 2) {
#pragma GCC unroll 8
            for (size_t i = 0; i < LANES / 2; i++) {
                w[2 * i] = __builtin_shufflevector(v[i], v[i + LANES / 2], INTERLEAVE_LOW);
                w[2 * i + 1] = __builtin_shufflevector(v[i], v[i + LANES / 2], INTERLEAVE_HIGH);
            }
#pragma GCC unroll 16
            for (size_t i = 0; i < LANES; i++) v[i] = w[i];
        }
#pragma GCC unroll 16
        for (ptrdiff_t i = 0; i < LANES; i++) *(N(block_out) *)(y + (i + group * LANES) * y_row) = v[i];
    }
}
#undef INTERLEAVE_LOW
#undef INTERLEAVE_HIGH
#undef BLOCK_HALVES

/* A row of whole vectors: plain stores, because rep movsb, which a C library may choose, crawls where x and y lie a
 * multiple of 4 KiB apart. */
INLINE void N(copy_row)(cell *y, const cell *x, size_t n) {
    size_t j = 0;
    for (; j + 4 * BLOCK <= n; j += 4 * BLOCK) {
        const N(block_row) a = *(const N(block_out) *)(x + j), b = *(const N(block_out) *)(x + j + BLOCK);
        const N(block_row) c = *(const N(block_out) *)(x + j + 2 * BLOCK), d = *(const N(block_out) *)(x + j + 3 * BLOCK);
        *(N(block_out) *)(y + j) = a;
        *(N(block_out) *)(y + j + BLOCK) = b;
        *(N(block_out) *)(y + j + 2 * BLOCK) = c;
        *(N(block_out) *)(y + j + 3 * BLOCK) = d;
    }
    for (; j + BLOCK <= n; j += BLOCK) *(N(block_out) *)(y + j) = *(const N(block_out) *)(x + j);
    for (; j < n; j++) y[j] = x[j];
}

/* y (rows, n), unit stride along n = x (rows, n), unit stride along rows. */
static void N(copy_transposed)(cell *y, ptrdiff_t y_row, const cell *x, ptrdiff_t x_column, size_t rows, size_t n) {
    size_t i = 0;
    for (; i + BLOCK <= rows; i += BLOCK) {
        size_t j = 0;
        for (; j + BLOCK <= n; j += BLOCK)
            N(transpose_block)(y + (ptrdiff_t)i * y_row + (ptrdiff_t)j, y_row, x + (ptrdiff_t)j * x_column + i, x_column);
        for (; j < n; j++)
            for (size_t k = i; k < i + BLOCK; k++) y[(ptrdiff_t)k * y_row + (ptrdiff_t)j] = x[(ptrdiff_t)j * x_column + (ptrdiff_t)k];
    }
    for (; i < rows; i++)
        for (size_t j = 0; j < n; j++) y[(ptrdiff_t)i * y_row + (ptrdiff_t)j] = x[(ptrdiff_t)j * x_column + (ptrdiff_t)i];
}

/* The same where the lines of a column of blocks fall into few sets of the cache: through a buffer, so that every
 * line of x and y is touched only once. A full tile of COPY_TILE_ROWS x COPY_TILE_N is a multiple of every block. */
static void N(copy_transposed_aliasing)(cell *y, ptrdiff_t y_row, const cell *x, ptrdiff_t x_column) {
    _Alignas(64) cell buffer[COPY_TILE_ROWS * COPY_TILE_N];
    for (ptrdiff_t j = 0; j < COPY_TILE_N; j += BLOCK)
        for (ptrdiff_t i = 0; i < COPY_TILE_ROWS; i += BLOCK)
            N(transpose_block)(buffer + i * COPY_TILE_N + j, COPY_TILE_N, x + j * x_column + i, x_column);
    for (ptrdiff_t i = 0; i < COPY_TILE_ROWS; i++) N(copy_row)(y + i * y_row, buffer + i * COPY_TILE_N, COPY_TILE_N);
}

static void N(copy_rows)(cell *y, ptrdiff_t y_row, const cell *x, ptrdiff_t x_row, size_t rows, size_t n) {
    for (size_t i = 0; i < rows; i++, y += y_row, x += x_row) N(copy_row)(y, x, n);
}

INLINE void N(gather_steps)(cell *y, const cell *x, ptrdiff_t step, size_t n) {
    for (size_t j = 0; j < n; j++) y[j] = x[(ptrdiff_t)j * step];
}

/* The last element first */
#if BITS == 8
#define BACKWARDS 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0
#elif BITS == 32 && VBYTES < 32
#define BACKWARDS 3, 2, 1, 0
#elif BITS == 32
#define BACKWARDS 7, 6, 5, 4, 3, 2, 1, 0
#elif VBYTES < 32
#define BACKWARDS 1, 0
#else
#define BACKWARDS 3, 2, 1, 0
#endif
static void N(copy_backwards)(cell *y, const cell *x, size_t n) {
    const cell *from = x - (ptrdiff_t)n + 1;
    size_t j = 0;
    for (; j + BLOCK <= n; j += BLOCK) {
        const N(block_row) row = *(const N(block_out) *)(from + n - j - BLOCK);
        *(N(block_out) *)(y + j) = __builtin_shufflevector(row, row, BACKWARDS);
    }
    for (; j < n; j++) y[j] = from[n - j - 1];
}
#undef BACKWARDS

static void N(copy_line)(cell *restrict y, ptrdiff_t y_step, const cell *restrict x, ptrdiff_t x_step, size_t n) {
    if (y_step != 1) {
        if (x_step == 1) for (size_t j = 0; j < n; j++) y[(ptrdiff_t)j * y_step] = x[j];
        else for (size_t j = 0; j < n; j++) y[(ptrdiff_t)j * y_step] = x[(ptrdiff_t)j * x_step];
    } else if (x_step == 0) {
        const cell first = x[0];
        for (size_t j = 0; j < n; j++) y[j] = first;
    } else if (x_step == -1) N(copy_backwards)(y, x, n);
    else if (x_step == 2) N(gather_steps)(y, x, 2, n);
    else if (x_step == 3) N(gather_steps)(y, x, 3, n);
    else if (x_step == 4) N(gather_steps)(y, x, 4, n);
    else N(gather_steps)(y, x, x_step, n);
}

/* The longer dimension innermost. */
static void N(copy_strided)(cell *y, ptrdiff_t y_row, ptrdiff_t y_step, const cell *x, ptrdiff_t x_row, ptrdiff_t x_step,
                            size_t rows, size_t n) {
    if (n >= rows)
        for (size_t i = 0; i < rows; i++) N(copy_line)(y + (ptrdiff_t)i * y_row, y_step, x + (ptrdiff_t)i * x_row, x_step, n);
    else
        for (size_t j = 0; j < n; j++) N(copy_line)(y + (ptrdiff_t)j * y_step, y_row, x + (ptrdiff_t)j * x_step, x_row, rows);
}

static void N(copy_tile)(const copy_plan *p, cell *y, const cell *x, size_t rows, size_t n) {
    const size_t r = p->ndim - 2, c = p->ndim - 1;
    if (p->mode == COPY_ROWS) N(copy_rows)(y, p->to[r], x, p->from[r], rows, n);
    else if (p->mode == COPY_TRANSPOSE) {
        if (p->aliasing && rows == COPY_TILE_ROWS && n == COPY_TILE_N)
            N(copy_transposed_aliasing)(y, p->to[r], x, p->from[c]);
        else N(copy_transposed)(y, p->to[r], x, p->from[c], rows, n);
    }
    else N(copy_strided)(y, p->to[r], p->to[c], x, p->from[r], p->from[c], rows, n);
}

/* Tiles chunk * tiles_per_chunk ...: the place of the first is divided out, then counted on like an odometer. */
static void N(copy_chunk)(void *context, size_t chunk) {
    const copy_plan *p = context;
    const size_t nd = p->ndim, first = chunk * p->tiles_per_chunk, last = min_size(first + p->tiles_per_chunk, p->tiles);
    size_t at[PD_MAX_DIMS + 1], limit[PD_MAX_DIMS + 1], rest = first;
    ptrdiff_t from[PD_MAX_DIMS + 1], to[PD_MAX_DIMS + 1];
    const cell *x = (const cell *)p->x;
    cell *y = (cell *)p->y;
    for (size_t d = nd; d-- > 0;) {
        const size_t step = d == nd - 1 ? p->tile_n : d == nd - 2 ? p->tile_rows : 1;
        limit[d] = ceil_div(p->shape[d], step);
        from[d] = p->from[d] * (ptrdiff_t)step;
        to[d] = p->to[d] * (ptrdiff_t)step;
        at[d] = rest % limit[d];
        rest /= limit[d];
        x += (ptrdiff_t)at[d] * from[d];
        y += (ptrdiff_t)at[d] * to[d];
    }
    for (size_t tile = first; tile < last; tile++) {
        N(copy_tile)(p, y, x, min_size(p->tile_rows, p->shape[nd - 2] - at[nd - 2] * p->tile_rows),
                     min_size(p->tile_n, p->shape[nd - 1] - at[nd - 1] * p->tile_n));
        for (size_t d = nd; d-- > 0;) {
            x += from[d], y += to[d];
            if (++at[d] < limit[d]) break;
            x -= (ptrdiff_t)limit[d] * from[d], y -= (ptrdiff_t)limit[d] * to[d];
            at[d] = 0;
        }
    }
}

static void N(copy)(const pd_launch *launch) {
    copy_plan plan;
    for (size_t d = 0; d < launch->map.ndim; d++)
        if (launch->map.shape[d] == 0) return;
    copy_make_plan(&plan, launch, BLOCK, sizeof(cell));
    const size_t chunks = ceil_div(plan.tiles, plan.tiles_per_chunk);
    if (chunks == 1) N(copy_chunk)(&plan, 0);
    else pd_parallel(chunks, N(copy_chunk), &plan);
}
#undef cell
#undef BLOCK
#undef BLOCK_BYTES

/* ---- casts and fills ---- */
#ifndef PD_CAST_ONCE
#define PD_CAST_ONCE
INLINE int64_t f64_to_i64(double x) { return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN; }
INLINE int64_t f32_to_i64(float x) { return x >= -0x1p63f && x < 0x1p63f ? (int64_t)x : INT64_MIN; }
INLINE int32_t f64_to_i32(double x) { return x > -2147483649.0 && x < 2147483648.0 ? (int32_t)x : INT32_MIN; }
INLINE int32_t f32_to_i32(float x) { return x >= -0x1p31f && x < 0x1p31f ? (int32_t)x : INT32_MIN; }
enum { CAST_BLOCK = 64 };
#define CAST_SMALL ((int64_t)1 << 51)
INLINE double small_to_f64(int64_t x) {
    const int64_t bits = x + 0x4338000000000000; /* 1.5 * 2^52 with x in the last places */
    double y;
    memcpy(&y, &bits, sizeof y);
    return y - 0x1.8p52;
}
/* Below AVX-512 there is no vector instruction between float and int64. Blocks of small values, for which `quick` gives
 * the same result, take that: by way of int32, or of the bits of a double near 1.5 * 2^52. */
#define CAST_BLOCKS(name, R, fits, quick, expression)                                                        \
    static void N(name##_row)(MAP_ROW_ARGS) {                                                                \
        const T *from = in[0];                                                                               \
        R *to = out;                                                                                         \
        (void)scalar;                                                                                        \
        for (size_t i = 0; i < n; i += CAST_BLOCK) {                                                         \
            const size_t last = min_size(i + CAST_BLOCK, n);                                                 \
            int misfits = 0;                                                                                 \
            for (size_t j = i; j < last; j++) { const T x = from[j]; misfits += !(fits); }                   \
            if (misfits == 0)                                                                                \
                for (size_t j = i; j < last; j++) { const T x = from[j]; to[j] = (R)(quick); }               \
            else                                                                                             \
                for (size_t j = i; j < last; j++) { const T x = from[j]; to[j] = (R)(expression); }          \
        }                                                                                                    \
    }                                                                                                        \
    MAP_KERNEL(name, 1, {sizeof(T), sizeof(R)})
INLINE uint8_t f64_to_u8(double x) { return (uint8_t)f64_to_i64(x); }
/* From 2^31 on a float32 is a multiple of 256. */
INLINE uint8_t f32_to_u8(float x) { return x > -0x1p31f && x < 0x1p31f ? (uint8_t)(int32_t)x : 0; }
#endif

#if PD_REAL
#if BITS == 32
CAST_BLOCKS(cast_i64, int64_t, x > -0x1p31f && x < 0x1p31f, (int32_t)x, f32_to_i64(x))
EACH1(cast_i32, int32_t, f32_to_i32(x))
EACH1(cast_u8, uint8_t, f32_to_u8(x))
#else
CAST_BLOCKS(cast_i64, int64_t, x > -0x1p31 && x < 0x1p31, (int32_t)x, f64_to_i64(x))
EACH1(cast_i32, int32_t, f64_to_i32(x))
EACH1(cast_u8, uint8_t, f64_to_u8(x))
#endif
INLINE T N(fill_value)(const double *s) { return (T)s[0]; }
#else
EACH1(cast_i64, int64_t, x)
EACH1(cast_i32, int32_t, x)
EACH1(cast_u8, uint8_t, x)
INLINE T N(fill_value)(const double *s) { return (T)((uint64_t)f64_to_i64(s[0]) + (uint64_t)f64_to_i64(s[1])); }
#endif
#if !PD_REAL && BITS == 64
CAST_BLOCKS(cast_f32, float, x > -CAST_SMALL && x < CAST_SMALL, small_to_f64(x), x)
CAST_BLOCKS(cast_f64, double, x > -CAST_SMALL && x < CAST_SMALL, small_to_f64(x), x)
#else
EACH1(cast_f32, float, x)
EACH1(cast_f64, double, x)
#endif
EACH1(cast_bool, uint8_t, x != 0)

static void N(fill_row)(MAP_ROW_ARGS) {
    const T value = N(fill_value)(scalar);
    T *to = out;
    (void)in;
    for (size_t i = 0; i < n; i++) to[i] = value;
}
MAP_KERNEL(fill, 0, {sizeof(T)})
