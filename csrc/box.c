/* Boxes (x1, y1, x2, y2): a (n, 4), b (m, 4), contiguous. pd_lines as each kernel says.
 *   box_check    the first row that is not as it should be
 *   box_pairs    how far two boxes agree, of all pairs (n, m) or of pairs in line (n,):
 *     I, U: area of intersection and union, C: area of the box around both, S: squared distance of the centres,
 *     D: squared diagonal of the box around both, v = 4 / pi^2 (atan(w_a / h_a) - atan(w_b / h_b))^2
 *     iou = I / (U + e)   giou = iou - (C - U) / (C + e)   diou = iou - S / (D + f)   ciou = diou - v^2 / (1 - iou + v + f)
 *   match_boxes  for every column of q (m, n) the row of its largest element
 * Yu et al. 2016 (IoU), Rezatofighi et al. 2019 (GIoU), Zheng et al. 2020 (DIoU, CIoU). bench: box_iou. */
#ifndef BOX_ONCE
#define BOX_ONCE
enum { BOX_TILE = 256, BOX_ROWS = 64, BOX_COLUMNS = 4 * BOX_TILE, BOX_ALONE = 1 << 15 };
enum { BOX_NAN = 1, BOX_ORDER = 2, BOX_FINITE = 4 };
typedef enum box_kind { BOX_IOU, BOX_GIOU, BOX_DIOU, BOX_CIOU } box_kind;
#endif

/* x (outer, n) -> int64: the first row with an element that is NaN (scalar[0] has BOX_NAN) or not finite (BOX_FINITE), whose last four are
 * a box with x2 < x1 or y2 < y1 (BOX_ORDER), or, where scalar[1] >= 0, whose first is not one of 0 .. scalar[1] - 1; else -1 */
static void N(box_check)(const pd_launch *launch) {
    const T *x = launch->buf[0];
    int64_t *bad = launch->buf[1];
    const size_t n = launch->lines.n;
    const int what = (int)launch->scalar[0];
    const double images = launch->scalar[1];
    *bad = -1;
    for (size_t i = 0; i < launch->lines.outer; i++, x += n) {
        int wrong = what & BOX_ORDER && (x[n - 2] < x[n - 4] || x[n - 1] < x[n - 3]);
        for (size_t j = 0; j < n; j++) wrong |= (what & BOX_NAN && x[j] != x[j]) || (what & BOX_FINITE && x[j] - x[j] != 0);
        if (images >= 0) wrong |= !(x[0] >= 0 && (double)x[0] < images && (T)(int64_t)x[0] == x[0]);
        if (wrong) {
            *bad = (int64_t)i;
            return;
        }
    }
}

typedef struct N(boxes) {
    vreal x1, y1, x2, y2;
} N(boxes);

INLINE vreal N(box_angle)(N(boxes) a) { return v_atan((a.x2 - a.x1) / (a.y2 - a.y1)); }

INLINE vreal N(box_agree)(box_kind kind, N(boxes) a, N(boxes) b, vreal angle, vreal e, vreal f) {
    const vreal zero = v_set(0), half = v_set((T)0.5);
    const vreal w = v_at_least(v_min(a.x2, b.x2) - v_max(a.x1, b.x1), zero), h = v_at_least(v_min(a.y2, b.y2) - v_max(a.y1, b.y1), zero);
    const vreal both = w * h, all = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - both, iou = both / (all + e);
    if (kind == BOX_IOU) return iou;
    const vreal width = v_max(a.x2, b.x2) - v_min(a.x1, b.x1), height = v_max(a.y2, b.y2) - v_min(a.y1, b.y1);
    if (kind == BOX_GIOU) return iou - (width * height - all) / (width * height + e);
    const vreal x = (a.x1 + a.x2 - b.x1 - b.x2) * half, y = (a.y1 + a.y2 - b.y1 - b.y2) * half;
    const vreal diou = iou - (x * x + y * y) / (width * width + height * height + f);
    if (kind == BOX_DIOU) return diou;
    const vreal turn = angle - N(box_angle)(b), v = v_set((T)0.40528473456935108578) * turn * turn;
    return diou - v * v / (1 - iou + v + f);
}

/* `count` boxes at x, coordinate by coordinate; the rest of the last vector is zero */
INLINE void N(box_pack)(T (*plane)[BOX_TILE], const T *x, size_t count) {
    for (size_t i = 0; i < ceil_div(count, VL) * VL; i++)
        for (size_t c = 0; c < 4; c++) plane[c][i] = i < count ? x[4 * i + c] : 0;
}

INLINE N(boxes) N(box_load)(T (*plane)[BOX_TILE], size_t i) {
    return (N(boxes)){v_load(plane[0] + i), v_load(plane[1] + i), v_load(plane[2] + i), v_load(plane[3] + i)};
}

static void N(box_chunk)(void *context, size_t chunk) {
    const pd_launch *launch = context;
    const size_t n = launch->lines.n, blocks = ceil_div(n, BOX_COLUMNS), top = chunk / blocks * BOX_ROWS;
    const size_t bottom = min_size(top + BOX_ROWS, launch->lines.outer), end = min_size(n, (chunk % blocks + 1) * BOX_COLUMNS);
    const box_kind kind = (box_kind)launch->scalar[0];
    const vreal e = v_set((T)launch->scalar[1]), f = v_set((T)launch->scalar[2]);
    const int in_line = launch->scalar[3] != 0;
    const T *a = launch->buf[0], *b = launch->buf[1];
    T *y = launch->buf[2];
    _Alignas(64) T other[4][BOX_TILE], own[4][BOX_TILE];
    for (size_t first = chunk % blocks * BOX_COLUMNS; first < end; first += BOX_TILE) {
        const size_t count = min_size(BOX_TILE, end - first);
        N(box_pack)(other, b + 4 * first, count);
        if (in_line) N(box_pack)(own, a + 4 * first, count);
        for (size_t i = top; i < bottom; i++) {
            const T *one = a + 4 * i;
            N(boxes) x = {v_set(one[0]), v_set(one[1]), v_set(one[2]), v_set(one[3])};
            vreal angle = kind == BOX_CIOU ? N(box_angle)(x) : v_set(0);
            for (size_t j = 0; j < count; j += VL) {
                if (in_line) x = N(box_load)(own, j);
                if (in_line && kind == BOX_CIOU) angle = N(box_angle)(x);
                v_store_left(y + i * n + first + j, N(box_agree)(kind, x, N(box_load)(other, j), angle, e, f), count - j);
            }
        }
    }
}

/* a, b -> y. Pairs: lines.outer = n, lines.n = m; in line (scalar[3]): lines.outer = 1, lines.n = n. scalar[0]: a box_kind, [1]: e, [2]: f */
static void N(box_pairs)(const pd_launch *launch) {
    const size_t rows = launch->lines.outer, n = launch->lines.n, chunks = ceil_div(rows, BOX_ROWS) * ceil_div(n, BOX_COLUMNS);
    if (chunks > 1 && rows * n >= BOX_ALONE) pd_parallel(chunks, N(box_chunk), (void *)(uintptr_t)launch);
    else
        for (size_t chunk = 0; chunk < chunks; chunk++) N(box_chunk)((void *)(uintptr_t)launch, chunk);
}

/* q (m, n) -> match int64 (n,): the row of a column's largest element (the first of equal ones), -1 where that is below scalar[0],
 * -2 where it is below scalar[1]; with scalar[2] not where the column holds the largest element of some row, if that is above 0.
 * buf: q, match. lines.outer = m > 0, lines.n = n. Workspace: the rows' largest elements, the columns', a byte a column. */
static void N(match_boxes)(const pd_launch *launch) {
    const size_t m = launch->lines.outer, n = launch->lines.n;
    const T *q = launch->buf[0], low = (T)launch->scalar[0], high = (T)launch->scalar[1];
    int64_t *match = launch->buf[1];
    T *top = launch->workspace, *best = top + m;
    uint8_t *held = (uint8_t *)(best + n);
    _Alignas(64) bits_t row[BOX_TILE];
    for (size_t i = 0; i < m; i++) top[i] = -(T)INFINITY;
    for (size_t first = 0; first < n; first += BOX_TILE) {
        const size_t count = min_size(BOX_TILE, n - first);
        for (size_t j = 0; j < count; j++) best[first + j] = -(T)INFINITY, row[j] = 0;
        for (size_t i = 0; i < m; i++) {
            vreal largest = v_set(-(T)INFINITY);
            for (size_t j = 0; j < count; j += VL) {
                const size_t left = count - j;
                vreal x = v_load_left(q + i * n + first + j, left), most = v_load_left(best + first + j, left);
                if (left < VL) x = v_blend(N(first_lanes)(left), x, v_set(-(T)INFINITY));
                const vint above = x > most;
                vint *at = (vint *)(row + j);
                *at = (*at & ~above) | (above & ((vint){0} + (bits_t)i));
                v_store_left(best + first + j, v_blend(above, x, most), left);
                largest = v_max(largest, x);
            }
            const T here = N(merge_lanes)(N(larger_v), largest);
            top[i] = here > top[i] ? here : top[i];
        }
        for (size_t j = 0; j < count; j++) match[first + j] = row[j];
    }
    memset(held, 0, n);
    for (size_t i = 0; launch->scalar[2] != 0 && i < m; i++)
        if (top[i] > 0)
            for (size_t j = 0; j < n; j++) held[j] |= q[i * n + j] == top[i];
    for (size_t j = 0; j < n; j++)
        if (!held[j] && best[j] < high) match[j] = best[j] < low ? -1 : -2;
}

static size_t N(match_boxes_workspace)(const pd_launch *launch) { return (launch->lines.outer + launch->lines.n) * sizeof(T) + launch->lines.n; }
