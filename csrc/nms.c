/* Suppression of boxes that overlap a better one. boxes (n, 4), contiguous; two boxes overlap by IoU = I / (A + B - I), computed in that order.
 *   nms       a box is kept where it overlaps no kept box before it by more than scalar[0]
 *   soft_nms  the best box is taken, the scores of the others fall with their overlap; again and again (Bodla et al. 2017)
 * Boxes that were kept (nms) or are left (soft_nms) lie coordinate by coordinate in the workspace, NMS_PLANES arrays; lanes behind the last hold
 * boxes that overlap nothing. bench: nms. */
#ifndef NMS_ONCE
#define NMS_ONCE
enum { NMS_PLANES = 6, NMS_AHEAD = 4 };

INLINE size_t nms_room(size_t n, size_t lanes) { return ceil_div(n + 1, NMS_AHEAD * lanes) * NMS_AHEAD * lanes; }
#endif

typedef struct N(nms_planes) {
    T *x1, *y1, *x2, *y2, *area, *score;
} N(nms_planes);

static N(nms_planes) N(nms_place)(const pd_launch *launch) {
    T *at = launch->workspace;
    const size_t room = nms_room(launch->lines.n, VL);
    return (N(nms_planes)){at, at + room, at + 2 * room, at + 3 * room, at + 4 * room, at + 5 * room};
}

static void N(nms_put)(const N(nms_planes) *p, size_t at, const T *box) {
    p->x1[at] = box[0], p->y1[at] = box[1], p->x2[at] = box[2], p->y2[at] = box[3];
    p->area[at] = (box[2] - box[0]) * (box[3] - box[1]);
}

static void N(nms_clear)(const N(nms_planes) *p, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        p->x1[i] = p->y1[i] = (T)INFINITY;
        p->x2[i] = p->y2[i] = -(T)INFINITY;
        p->area[i] = 0;
    }
}

/* Intersection and union of one box (in every lane) with those at i */
INLINE vreal N(nms_overlap)(const N(nms_planes) *p, size_t i, N(boxes) one, vreal area, vreal *all) {
    const vreal zero = v_set(0);
    const vreal w = v_at_most(v_load(p->x2 + i), one.x2) - v_at_least(v_load(p->x1 + i), one.x1);
    const vreal h = v_at_most(v_load(p->y2 + i), one.y2) - v_at_least(v_load(p->y1 + i), one.y1);
    const vreal both = v_at_least(w, zero) * v_at_least(h, zero);
    *all = area + v_load(p->area + i) - both;
    return both;
}

/* Does it overlap one of the first `count` by more than `most`? The quotients, which decide, are formed only where products say that
 * it may be so: these are some rounding errors on the safe side. */
static int N(nms_meets)(const N(nms_planes) *p, size_t count, const T *box, T most) {
    const N(boxes) one = {v_set(box[0]), v_set(box[1]), v_set(box[2]), v_set(box[3])};
    const vreal area = v_set((box[2] - box[0]) * (box[3] - box[1])), bar = v_set(most), near = v_set(most * (1 - 8 * (BITS == 32 ? FLT_EPSILON : (T)DBL_EPSILON)));
    for (size_t i = 0; i < count; i += NMS_AHEAD * VL) {
        vreal both[NMS_AHEAD], all[NMS_AHEAD];
        vint any = {0};
        V_UNROLL
        for (size_t j = 0; j < NMS_AHEAD; j++) {
            both[j] = N(nms_overlap)(p, i + j * VL, one, area, &all[j]);
            any |= both[j] > near * all[j];
        }
        if (!v_any(any)) continue;
        for (size_t j = 0; j < NMS_AHEAD; j++)
            if (v_any(both[j] / all[j] > bar)) return 1;
    }
    return 0;
}

/* buf: boxes, order int64 (n,): groups of boxes, the best one first, start int64 (lines.outer + 1,) of the groups, keep bool (n,) in that order */
static void N(nms)(const pd_launch *launch) {
    const N(nms_planes) p = N(nms_place)(launch);
    const T *boxes = launch->buf[0];
    const int64_t *order = launch->buf[1], *start = launch->buf[2];
    uint8_t *keep = launch->buf[3];
    T most = (T)launch->scalar[0];
    if ((double)most > launch->scalar[0]) { /* the largest T that is not above it */
        bits_t bits;
        memcpy(&bits, &most, sizeof bits);
        bits -= 1;
        memcpy(&most, &bits, sizeof bits);
    }
    for (size_t g = 0; g < launch->lines.outer; g++) {
        size_t kept = 0;
        for (int64_t i = start[g]; i < start[g + 1]; i++) {
            const T *box = boxes + 4 * order[i];
            keep[i] = !N(nms_meets)(&p, kept, box, most);
            if (!keep[i]) continue;
            if (kept % (NMS_AHEAD * VL) == 0) N(nms_clear)(&p, kept, kept + NMS_AHEAD * VL);
            N(nms_put)(&p, kept++, box);
        }
    }
}

static size_t N(nms_workspace)(const pd_launch *launch) { return NMS_PLANES * nms_room(launch->lines.n, VL) * sizeof(T); }

/* The first of the largest scores; lanes behind the last hold -inf */
static size_t N(nms_best)(const T *score, size_t n) {
    vreal most = v_set(-(T)INFINITY);
    size_t i = 0;
    for (size_t j = 0; j < n; j += VL) most = v_max(most, v_load(score + j));
    const T best = N(merge_lanes)(N(larger_v), most);
    while (i + 1 < n && score[i] != best) i++;
    return i;
}

/* Drops what is below `least`, in order -> how many are left */
static size_t N(nms_squeeze)(const N(nms_planes) *p, int64_t *index, size_t n, T least) {
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(p->score[i] >= least)) continue;
        p->x1[to] = p->x1[i], p->y1[to] = p->y1[i], p->x2[to] = p->x2[i], p->y2[to] = p->y2[i];
        p->area[to] = p->area[i], p->score[to] = p->score[i], index[to++] = index[i];
    }
    N(nms_clear)(p, to, nms_room(to, VL));
    for (size_t i = to; i < nms_room(to, VL); i++) p->score[i] = -(T)INFINITY;
    return to;
}

/* buf: boxes, scores (n,), index int64 (n,) of the boxes taken, their scores then (n,), how many int64 (1,). scalar[0]: linear: scores of
 * boxes that overlap by more fall to s (1 - IoU); [1]: sigma of the Gaussian fall s exp(-IoU^2 / sigma), or 0: linear; [2]: ends below it */
static void N(soft_nms)(const pd_launch *launch) {
    const N(nms_planes) p = N(nms_place)(launch);
    const T *boxes = launch->buf[0], *scores = launch->buf[1], least = (T)launch->scalar[2];
    int64_t *to = launch->buf[2], *index = (int64_t *)(p.score + nms_room(launch->lines.n, VL));
    T *score = launch->buf[3];
    const vreal bar = v_set((T)launch->scalar[0]), by = v_set(launch->scalar[1] > 0 ? -1 / (T)launch->scalar[1] : 0), one = v_set(1);
    size_t n = launch->lines.n, taken = 0, since = 0;
    for (size_t i = 0; i < n; i++) {
        N(nms_put)(&p, i, boxes + 4 * i);
        p.score[i] = scores[i], index[i] = (int64_t)i;
    }
    n = N(nms_squeeze)(&p, index, n, least);
    while (n > 0) {
        const size_t best = N(nms_best)(p.score, n);
        if (!(p.score[best] >= least)) break;
        const N(boxes) box = {v_set(p.x1[best]), v_set(p.y1[best]), v_set(p.x2[best]), v_set(p.y2[best])};
        const vreal area = v_set(p.area[best]);
        to[taken] = index[best], score[taken++] = p.score[best];
        p.score[best] = -(T)INFINITY;
        for (size_t i = 0; i < n; i += VL) {
            vreal all, both = N(nms_overlap)(&p, i, box, area, &all);
            const vreal iou = v_keep(both > 0, both / all), s = v_load(p.score + i);
            const vreal factor = launch->scalar[1] > 0 ? v_exp(iou * iou * by) : v_blend(iou > bar, one - iou, one);
            v_store(p.score + i, v_blend(s < v_set(least), v_set(-(T)INFINITY), s * factor));
        }
        if (++since * 4 < n) continue;
        n = N(nms_squeeze)(&p, index, n, least);
        since = 0;
    }
    *(int64_t *)launch->buf[4] = (int64_t)taken;
}

static size_t N(soft_nms_workspace)(const pd_launch *launch) { return N(nms_workspace)(launch) + launch->lines.n * sizeof(int64_t); }
