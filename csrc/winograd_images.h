/* Between images (one channel after the other) and strips of them with VL channels side by side, from which and to which tiles are
 * transformed. */

#ifndef PD_WINO_IMAGES_ONCE
#define PD_WINO_IMAGES_ONCE
static UNUSED ptrdiff_t min_place(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
#endif

/* n vectors, first to last. Loops of their own: gcc makes calls or string instructions of memcpy, which are slow for so few. */
INLINE void N(strip_copy)(real *to, const real *from, size_t n) {
    for (size_t i = 0; i < n; i++) v_store(to + i * VL, v_load(from + i * VL));
}
INLINE void N(strip_clear)(real *to, size_t n) {
    for (size_t i = 0; i < n; i++) v_store(to + i * VL, (vreal){0});
}

/* VL elements of each of VL lines become VL vectors. Lines from `lanes` on repeat the last one; without any, addresses are simple. */
static void N(strip_turn)(real *to, const real *from, size_t line, size_t lanes) {
    vreal t[VL];
    if (lanes == VL) N(turn)(t, from, (ptrdiff_t)line, VL);
    else N(turn)(t, from, (ptrdiff_t)line, lanes);
    UNROLL for (size_t i = 0; i < VL; i++) v_store(to + i * VL, t[i]);
}

/* n <= VL pixels of a row from `at` on, in channels `plane` apart, to vectors one after the other. `end`: the pixels of a channel. */
static void N(strip_few)(real *to, const real *x, size_t at, size_t n, size_t plane, size_t end, size_t lanes) {
    if (end < VL) {
        for (size_t i = 0; i < n; i++)
            for (size_t l = 0; l < VL; l++) to[i * VL + l] = x[min_size(l, lanes - 1) * plane + at + i];
        return;
    }
    const size_t first = min_size(at, end - VL);
    _Alignas(64) real room[VL * VL];
    N(strip_turn)(room, x + first, plane, lanes);
    N(strip_copy)(to, room + (at - first) * VL, n);
}

static void N(strip_row)(real *to, const real *x, size_t at, size_t n, size_t plane, size_t end, size_t lanes) {
    for (; n >= VL; n -= VL, at += VL, to += VL * VL) N(strip_turn)(to, x + at, plane, lanes);
    if (n > 0) N(strip_few)(to, x, at, n, plane, end, lanes);
}

/* What of rows x cols pixels from (y, x) on lies in the image comes into the cache, to be read or written: one channel's rows are a few
 * lines far from the next one's, which the processor does not foresee. */
INLINE void N(strip_fetch)(const wino_image *size, const real *image, size_t lanes, ptrdiff_t y, ptrdiff_t x, size_t rows, size_t cols,
                           const int write) {
    const ptrdiff_t top = y < 0 ? 0 : y, left = x < 0 ? 0 : x, line = 64 / sizeof(real);
    const ptrdiff_t bottom = min_place(y + (ptrdiff_t)rows, (ptrdiff_t)size->height);
    const ptrdiff_t right = min_place(x + (ptrdiff_t)cols, (ptrdiff_t)size->width);
    for (size_t l = 0; l < lanes; l++)
        for (ptrdiff_t r = top; r < bottom; r++) {
            const real *row = image + l * size->plane + (size_t)r * size->width;
            for (ptrdiff_t at = left; at < right; at += line) __builtin_prefetch(row + at, write, 3);
        }
}

/* rows x cols pixels from (y, x) on, zero outside the image. `image`: its first channel; lanes from `lanes` on repeat the last one. */
static void N(strip_read)(real *to, const wino_image *size, const real *image, size_t lanes, ptrdiff_t y, ptrdiff_t x, size_t rows,
                          size_t cols) {
    const size_t before = x < 0 ? min_size((size_t)-x, cols) : 0;
    const ptrdiff_t rest = (ptrdiff_t)size->width - x;
    const size_t until = rest <= (ptrdiff_t)before ? before : min_size((size_t)rest, cols);
    for (size_t r = 0; r < rows; r++, y++, to += cols * VL) {
        if (y < 0 || y >= (ptrdiff_t)size->height) {
            N(strip_clear)(to, cols);
            continue;
        }
        N(strip_clear)(to, before);
        N(strip_row)(to + before * VL, image, (size_t)y * size->width + (size_t)(x + (ptrdiff_t)before), until - before, size->plane,
                     size->height * size->width, lanes);
        N(strip_clear)(to + until * VL, cols - until);
    }
}

/* The first n <= VL pixels of a strip's row to `lanes` channels */
static void N(strip_write_few)(const real *from, real *to, size_t n, size_t plane, size_t lanes) {
    if (n == VL && lanes == VL) {
        vreal t[VL];
        N(turn)(t, from, VL, VL);
        UNROLL for (size_t l = 0; l < VL; l++) v_store(to + l * plane, t[l]);
        return;
    }
    _Alignas(64) real room[VL * VL];
    N(strip_turn)(room, from, VL, n);
    for (size_t l = 0; l < lanes; l++) v_store_left(to + l * plane, v_load(room + l * VL), n);
}

/* What of rows x cols pixels from (y, x) on lies in the image */
static void N(strip_write)(const real *from, const wino_image *size, real *image, size_t lanes, size_t y, size_t x, size_t rows,
                           size_t cols) {
    const size_t last = min_size(rows, size->height - y), n = min_size(cols, size->width - x);
    for (size_t r = 0; r < last; r++)
        for (size_t p = 0; p < n; p += VL)
            N(strip_write_few)(from + (r * cols + p) * VL, image + (y + r) * size->width + x + p, min_size(VL, n - p), size->plane,
                               lanes);
}
