/* Checks boxes and regions (csrc/box.c, nms.c, roi.c) and normalisation (norm.c, norm_channel.c) against the formulas at the tops of
 * these files. */
#include "check.h"

static double rounded(int dtype, double x) { return dtype == PD_F32 ? (double)(float)x : x; }

/* Boxes in a square; `whole`: many of them meet, or are the same */
static void *boxes(int dtype, size_t n, double side, int whole) {
    void *p = numbers(dtype, 4 * n, 0, side);
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < 2; d++) {
            const double at = get(p, dtype, 4 * i + d), low = whole ? floor(at) : at;
            set(p, dtype, 4 * i + d, low);
            set(p, dtype, 4 * i + d + 2, low + (whole ? 1 + floor(uniform(0, 3)) : uniform(0.1, side / 4)));
        }
    return p;
}

/* Intersection and union, with every step rounded to the type: what decides between boxes is exact */
static double both_of(int dtype, const double *a, const double *b, double *all) {
    const double w = rounded(dtype, fmin(a[2], b[2]) - fmax(a[0], b[0])), h = rounded(dtype, fmin(a[3], b[3]) - fmax(a[1], b[1]));
    const double both = rounded(dtype, fmax(w, 0) * fmax(h, 0));
    const double own = rounded(dtype, rounded(dtype, a[2] - a[0]) * rounded(dtype, a[3] - a[1]));
    const double other = rounded(dtype, rounded(dtype, b[2] - b[0]) * rounded(dtype, b[3] - b[1]));
    *all = rounded(dtype, rounded(dtype, own + other) - both);
    return both;
}

static void box_at(const void *p, int dtype, size_t i, double *to) {
    for (size_t d = 0; d < 4; d++) to[d] = get(p, dtype, 4 * i + d);
}

/* kind: IoU, GIoU, DIoU, CIoU */
static double agreement(int dtype, int kind, const double *a, const double *b, double e) {
    double all, both = both_of(dtype, a, b, &all), iou = both / (all + e), square = 0, diagonal = 0, area = 1;
    for (size_t d = 0; d < 2; d++) {
        const double around = fmax(a[d + 2], b[d + 2]) - fmin(a[d], b[d]), apart = (a[d] + a[d + 2] - b[d] - b[d + 2]) / 2;
        area *= around, diagonal += around * around, square += apart * apart;
    }
    if (kind < 2) return kind == 0 ? iou : iou - (area - all) / (area + e);
    const double turn = atan((a[2] - a[0]) / (a[3] - a[1])) - atan((b[2] - b[0]) / (b[3] - b[1])), v = 4 / pow(acos(-1), 2) * turn * turn;
    return iou - square / (diagonal + e) - (kind == 2 ? 0 : v * v / (1 - iou + v + e));
}

static void check_pairs(int dtype, size_t n, size_t m, int kind, int in_line) {
    void *a = boxes(dtype, in_line ? m : n, 10, 0), *b = boxes(dtype, m, 10, 0), *y = guarded((in_line ? 1 : n) * m * width(dtype), 0);
    pd_launch L = {.buf = {a, b, y}, .lines = {in_line ? 1 : n, m, 1}, .scalar = {kind, 1e-7, 1e-7, in_line}};
    double one[4], two[4];
    launch(PD_box_pairs, dtype, &L);
    for (size_t i = 0; i < (in_line ? 1 : n) * m; i++) {
        box_at(a, dtype, in_line ? i : i / m, one), box_at(b, dtype, i % m, two);
        expect("box_pairs", dtype, n * m, i, get(y, dtype, i), agreement(dtype, kind, one, two, 1e-7), 1, 64);
    }
    RELEASE("box_pairs", a, b, y);
}

static void check_matches(int dtype, size_t m, size_t n, int all_rows) {
    void *q = numbers(dtype, m * n, 0, 1);
    int64_t *match = guarded(8 * n, 0);
    for (size_t i = 0; i < m * n; i++) set(q, dtype, i, floor(get(q, dtype, i) * 16) / 16);
    pd_launch L = {.buf = {q, match}, .lines = {m, n, 1}, .scalar = {0.75, 0.9, all_rows}};
    launch(PD_match_boxes, dtype, &L);
    for (size_t j = 0; j < n; j++) {
        size_t best = 0;
        int held = 0;
        for (size_t i = 0; i < m; i++) {
            double top = 0;
            for (size_t k = 0; k < n; k++) top = fmax(top, get(q, dtype, i * n + k));
            held |= all_rows && top > 0 && get(q, dtype, i * n + j) == top;
            if (get(q, dtype, i * n + j) > get(q, dtype, best * n + j)) best = i;
        }
        const double most = get(q, dtype, best * n + j), want = held || most >= rounded(dtype, 0.9) ? (double)best : most < 0.75 ? -1 : -2;
        expect("match_boxes", dtype, m * n, j, (double)match[j], want, 1, 0);
    }
    RELEASE("match_boxes", q, match);
}

static void check_nms(int dtype, size_t n, double bar, int whole) {
    void *p = boxes(dtype, n, whole ? 12 : 30, whole);
    int64_t *order = guarded(8 * n, 0), start[3] = {0, (int64_t)(n / 3), (int64_t)n};
    uint8_t *keep = guarded(n, 0), *want = calloc(n + 1, 1);
    for (size_t i = 0; i < n; i++) order[i] = (int64_t)(i * 7919 % n);
    pd_launch L = {.buf = {p, order, start, keep}, .lines = {2, n, 1}, .scalar = {bar}};
    launch(PD_nms, dtype, &L);
    for (size_t i = 0; i < n; i++) {
        double one[4], two[4], all;
        box_at(p, dtype, (size_t)order[i], one);
        want[i] = 1;
        for (size_t j = i < n / 3 ? 0 : n / 3; j < i && want[i]; j++) {
            box_at(p, dtype, (size_t)order[j], two);
            const double both = both_of(dtype, one, two, &all);
            if (want[j] && rounded(dtype, both / all) > bar) want[i] = 0;
        }
        expect("nms", dtype, n, i, keep[i], want[i], 1, 0);
    }
    RELEASE("nms", p, order, keep);
    free(want);
}

static void check_soft_nms(int dtype, size_t n, double sigma) {
    void *p = boxes(dtype, n, 20, 0), *scores = numbers(dtype, n, 0, 1), *left = guarded(n * width(dtype), 0);
    int64_t *index = guarded(8 * n, 0), count = -1;
    double *now = malloc(n * sizeof(double)), one[4], two[4], all;
    for (size_t i = 0; i < n; i++) now[i] = get(scores, dtype, i);
    pd_launch L = {.buf = {p, scores, index, left, &count}, .lines = {1, n, 1}, .scalar = {0.3, sigma, 0.05}};
    launch(PD_soft_nms, dtype, &L);
    size_t taken = 0;
    for (;; taken++) {
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
            if (now[i] > now[best]) best = i;
        if (now[best] < 0.05 || (int64_t)taken == count) break;
        expect("soft_nms, box", dtype, n, taken, (double)index[taken], (double)best, 1, 0);
        expect("soft_nms, score", dtype, n, taken, get(left, dtype, taken), now[best], now[best], 128);
        now[best] = -1;
        box_at(p, dtype, best, one);
        for (size_t i = 0; i < n; i++) {
            box_at(p, dtype, i, two);
            const double iou = both_of(dtype, one, two, &all) / all;
            now[i] *= sigma > 0 ? exp(-iou * iou / sigma) : iou > 0.3 ? 1 - iou : 1;
        }
    }
    expect("soft_nms, count", dtype, n, 0, (double)count, (double)taken, 1, 0);
    RELEASE("soft_nms", p, scores, left, index);
    free(now);
}

/* ---- Regions of interest ---- */

/* The pixels that a sample lies between, and their weights */
static void sample_axis(double at, size_t size, size_t *lower, double *part) {
    const double within = fmax(at, 0);
    *lower = within >= (double)size - 1 ? size - 1 : (size_t)within;
    *part = *lower == size - 1 ? 0 : within - (double)*lower;
}

static void check_roi_align(int dtype, double samples, int half, int by_bin) {
    const size_t n = 2, o = 3, h = 9, w = 12, bins[2] = {3, 4}, k = 5, c = by_bin ? o * 12 : o, all = k * o * 12, in = n * c * h * w;
    void *x = numbers(dtype, in, -1, 1), *p = numbers(dtype, 5 * k, -2, 6), *dy = numbers(dtype, all, -1, 1);
    void *y = guarded(all * width(dtype), 0), *dx = guarded(in * width(dtype), 0);
    double *want = calloc(2 * (all + in), sizeof(double)), *scale = want + all, *back = scale + all, *back_scale = back + in;
    pd_launch L = {.buf = {x, p, y}, .scalar = {1.5, samples, half, by_bin}};
    L.window = (pd_window){.n = n, .c = c, .o = o, .groups = k, .in = {1, h, w}, .out = {1, 3, 4}};
    for (size_t i = 0; i < k; i++) {
        set(p, dtype, 5 * i, (double)(i % 2));
        for (size_t d = 3; d < 5; d++) set(p, dtype, 5 * i + d, get(p, dtype, 5 * i + d - 2) + uniform(0, 5));
    }
    for (size_t i = 0; i < all; i++) {
        const size_t box = i / 12 / o, channel = i / 12 % o, bin[2] = {i / 4 % 3, i % 4};
        const size_t plane = (box % 2 * c + (by_bin ? channel * 12 + i % 12 : channel)) * h * w, size[2] = {h, w};
        double start[2], length[2], count[2], part[2], at[2];
        for (size_t d = 0; d < 2; d++) {
            start[d] = get(p, dtype, 5 * box + 2 - d) * 1.5 - (half ? 0.5 : 0);
            length[d] = fmax(get(p, dtype, 5 * box + 4 - d) * 1.5 - (half ? 0.5 : 0) - start[d], half ? 0 : 1) / (double)bins[d];
            count[d] = samples > 0 ? samples : ceil(length[d]);
        }
        for (double a = 0; a < count[0]; a++)
            for (double b = 0; b < count[1]; b++) {
                size_t lower[2];
                at[0] = start[0] + ((double)bin[0] + (a + 0.5) / count[0]) * length[0];
                at[1] = start[1] + ((double)bin[1] + (b + 0.5) / count[1]) * length[1];
                if (at[0] < -1 || at[1] < -1 || at[0] > (double)h || at[1] > (double)w) continue;
                for (size_t d = 0; d < 2; d++) sample_axis(at[d], size[d], &lower[d], &part[d]);
                for (size_t t = 0; t < 4; t++) {
                    const double by = (t / 2 ? part[0] : 1 - part[0]) * (t % 2 ? part[1] : 1 - part[1]) / count[0] / count[1];
                    if (by == 0) continue;
                    const size_t from = plane + (lower[0] + t / 2) * w + lower[1] + t % 2;
                    const double v = by * get(x, dtype, from), g = by * get(dy, dtype, i);
                    want[i] += v, scale[i] += fabs(v), back[from] += g, back_scale[from] += fabs(g);
                }
            }
    }
    launch(PD_roi_align_fwd, dtype, &L);
    for (size_t i = 0; i < all; i++) expect("roi_align_fwd", dtype, all, i, get(y, dtype, i), want[i], fmax(scale[i], 1), 64);
    L.buf[0] = dy, L.buf[2] = dx;
    launch(PD_roi_align_bwd, dtype, &L);
    for (size_t i = 0; i < in; i++) expect("roi_align_bwd", dtype, in, i, get(dx, dtype, i), back[i], fmax(back_scale[i], 1), 64);
    RELEASE("roi_align", x, p, y, dx, dy);
    free(want);
}

/* ---- Normalisation: x (outer, n, inner). A set is a row (n elements, inner = 1), a channel, or `each` channels of a sample. ---- */

enum { LAYER, BATCH, GROUP };

typedef struct norm_case {
    int id;
    size_t outer, n, inner, groups;
} norm_case;

static size_t norm_set(const norm_case *s, size_t i) {
    const size_t outer = i / s->inner / s->n, channel = i / s->inner % s->n;
    return s->id == LAYER ? outer : s->id == BATCH ? channel : outer * s->groups + channel / (s->n / s->groups);
}

static void check_norm(const norm_case *s, int dtype) {
    static const int FORWARD[] = {PD_layer_norm_fwd, PD_batch_norm_fwd, PD_group_norm_fwd};
    static const int BACKWARD[] = {PD_layer_norm_bwd, PD_batch_norm_bwd, PD_group_norm_bwd};
    const size_t all = s->outer * s->n * s->inner, sets = s->id == LAYER ? s->outer : s->id == BATCH ? s->n : s->outer * s->groups;
    const double count = (double)all / (double)sets, eps = 1e-3;
    void *x = numbers(dtype, all, 2, 4), *dy = numbers(dtype, all, -1, 1);
    void *w = numbers(dtype, s->n, 0.5, 1), *b = numbers(dtype, s->n, -1, 1);
    void *y = guarded(all * width(dtype), 0), *stats = guarded(3 * sets * width(dtype), 0), *dx = guarded(all * width(dtype), 0);
    void *dw = guarded(s->n * width(dtype), 0), *db = guarded(s->n * width(dtype), 0);
    double *mean = calloc(4 * sets + 4 * s->n, sizeof(double)), *var = mean + sets, *g = var + sets, *gx = g + sets, *want = gx + sets;
    for (size_t i = 0; i < all; i++) mean[norm_set(s, i)] += get(x, dtype, i) / count;
    for (size_t i = 0; i < all; i++) var[norm_set(s, i)] += pow(get(x, dtype, i) - mean[norm_set(s, i)], 2) / count;
    pd_launch L = {.buf = {x, w, b, y, stats}, .lines = {s->outer, s->n, s->inner}, .scalar = {eps, s->id == LAYER, 1}};
    if (s->id == GROUP) L.scalar[2] = (double)s->groups;
    launch(FORWARD[s->id], dtype, &L);
    for (size_t i = 0; i < all; i++) {
        const size_t set_ = norm_set(s, i), c = i / s->inner % s->n;
        const double hat = (get(x, dtype, i) - mean[set_]) / sqrt(var[set_] + eps), d = get(dy, dtype, i), share = d * get(w, dtype, c);
        expect("a norm", dtype, all, i, get(y, dtype, i), hat * get(w, dtype, c) + get(b, dtype, c), 2, 64);
        g[set_] += share / count, gx[set_] += share * hat / count;
        want[c] += d * hat, want[s->n + c] += d, want[2 * s->n + c] += fabs(d) * (fabs(hat) + 2), want[3 * s->n + c] += fabs(d);
    }
    L.buf[1] = dy, L.buf[2] = w, L.buf[3] = stats, L.buf[4] = dx, L.buf[5] = dw, L.buf[6] = db;
    launch(BACKWARD[s->id], dtype, &L);
    for (size_t i = 0; i < all; i++) {
        const size_t set_ = norm_set(s, i);
        const double r = 1 / sqrt(var[set_] + eps), hat = (get(x, dtype, i) - mean[set_]) * r;
        const double own = get(dy, dtype, i) * get(w, dtype, i / s->inner % s->n);
        expect("a norm, dx", dtype, all, i, get(dx, dtype, i), r * (own - g[set_] - hat * gx[set_]), 4, 64);
    }
    expect_all("a norm, dw", dtype, s->n, dw, want, want + 2 * s->n, 128);
    expect_all("a norm, db", dtype, s->n, db, want + s->n, want + 3 * s->n, 64);
    RELEASE("a norm", x, dy, w, b, y, stats);
    RELEASE("a norm", dx, dw, db);
    free(mean);
}

static const norm_case NORMS[] = {
    {LAYER, 3, 7, 1, 1}, {LAYER, 37, 65, 1, 1}, {LAYER, 150, 130, 1, 1}, {LAYER, 2, 1500, 1, 1},
    {BATCH, 33, 5, 1, 1}, {BATCH, 300, 37, 1, 1}, {BATCH, 20, 300, 1, 1}, {BATCH, 3, 4, 50, 1},
    {BATCH, 9, 33, 7, 1}, {BATCH, 2, 3, 1700, 1},
    {GROUP, 3, 6, 11, 2}, {GROUP, 2, 12, 100, 12}, {GROUP, 5, 9, 1, 3}, {GROUP, 2, 8, 600, 1},
};

void check_boxes(void) {
    static const size_t COUNTS[] = {1, 3, 8, 17, 300, 1100};
    static const double BARS[] = {0, 0.25, 0.6};
    for (int dtype = PD_F32; dtype <= PD_F64; dtype++) {
        for (size_t i = 0; i < sizeof COUNTS / sizeof COUNTS[0]; i++) {
            for (int form = 0; form < 8; form++) check_pairs(dtype, 5, COUNTS[i], form % 4, form / 4);
            for (int form = 0; form < 2; form++) check_matches(dtype, 7, COUNTS[i], form);
            for (int form = 0; form < 6; form++) check_nms(dtype, COUNTS[i] < 1000 ? COUNTS[i] : 700, BARS[form / 2], form % 2);
            for (int form = 0; form < 2 && i < 5; form++) check_soft_nms(dtype, COUNTS[i], form * 0.5);
        }
        for (int form = 0; form < 8; form++) check_roi_align(dtype, form / 4 * 2, form / 2 % 2, form % 2);
        for (size_t i = 0; i < sizeof NORMS / sizeof NORMS[0]; i++) check_norm(&NORMS[i], dtype);
    }
}
