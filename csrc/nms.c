/* Suppression of boxes that overlap a better one. boxes (n, 4), contiguous; two boxes overlap by IoU = I / (A + B - I), computed in that order.
 *   nms       a box is kept where it overlaps no kept box before it by more than scalar[0]
 *   soft_nms  the best box is taken, the scores of the others fall with their overlap; again and again (Bodla et al. 2017)
 * Boxes that were kept (nms) or are left (soft_nms) lie coordinate by coordinate in the workspace, NMS_PLANES arrays; lanes behind the last hold
 * boxes that overlap nothing. nms sorts them by their centre's x into strips: two boxes whose IoU is above t are between t and 1 / t times as
 * wide as each other, and their centres at most max(1 - t, (1 / t - 1) / 2) widths apart. bench: nms. */
#ifndef NMS_ONCE
#define NMS_ONCE
enum { NMS_PLANES = 6, NMS_AHEAD = 2, NMS_STRIPS = 256, NMS_STRIP = 48 };

INLINE size_t nms_pad(size_t n, size_t lanes) { return ceil_div(n, NMS_AHEAD * lanes) * NMS_AHEAD * lanes; }
INLINE size_t nms_room(size_t n, size_t lanes) { return nms_pad(n, lanes) + NMS_STRIPS * NMS_AHEAD * lanes; }
#endif

static const T N(nms_epsilon) = BITS == 32 ? (T)FLT_EPSILON : (T)DBL_EPSILON;

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

typedef struct N(nms_job) {
    N(nms_planes) planes;
    T most, near;      /* the bar of IoUs, and one that is some rounding errors lower */
    T reach;           /* how many widths apart centres may be */
    T low, scale;      /* the first centre; strips a pixel */
    size_t strips;
    uint32_t start[NMS_STRIPS + 1], kept[NMS_STRIPS];
} N(nms_job);

INLINE T N(nms_centre)(const T *box) { return box[0] / 2 + box[2] / 2; }

INLINE size_t N(nms_strip)(const N(nms_job) *job, T centre) {
    const T at = (centre - job->low) * job->scale;
    return at > 0 ? at < (T)job->strips ? (size_t)at : job->strips - 1 : 0;
}

/* Does it overlap one of `count` from `from` on? The quotients, which decide, are formed only where products say that it may be so. */
static int N(nms_meets)(const N(nms_job) *job, size_t from, size_t count, const T *box) {
    const N(boxes) one = {v_set(box[0]), v_set(box[1]), v_set(box[2]), v_set(box[3])};
    const vreal area = v_set((box[2] - box[0]) * (box[3] - box[1])), bar = v_set(job->most), near = v_set(job->near);
    for (size_t i = from; i < from + count; i += NMS_AHEAD * VL) {
        vreal both[NMS_AHEAD], all[NMS_AHEAD];
        vint any = {0};
        V_UNROLL
        for (size_t j = 0; j < NMS_AHEAD; j++) {
            both[j] = N(nms_overlap)(&job->planes, i + j * VL, one, area, &all[j]);
            any |= both[j] > near * all[j];
        }
        if (!v_any(any)) continue;
        for (size_t j = 0; j < NMS_AHEAD; j++)
            if (v_any(both[j] / all[j] > bar)) return 1;
    }
    return 0;
}

/* Makes room for the boxes order[0 .. n) in strips */
static void N(nms_begin)(N(nms_job) *job, const T *boxes, const int64_t *order, size_t n) {
    T high = job->low = N(nms_centre)(boxes + 4 * order[0]);
    for (size_t i = 1; i < n; i++) {
        const T centre = N(nms_centre)(boxes + 4 * order[i]);
        job->low = centre < job->low ? centre : job->low;
        high = centre > high ? centre : high;
    }
    job->strips = min_size(NMS_STRIPS, 1 + n / NMS_STRIP);
    job->scale = high > job->low ? (T)job->strips / (high - job->low) : 0;
    memset(job->kept, 0, sizeof job->kept);
    for (size_t i = 0; i < n; i++) job->kept[N(nms_strip)(job, N(nms_centre)(boxes + 4 * order[i]))]++;
    job->start[0] = 0;
    for (size_t s = 0; s < job->strips; s++) {
        job->start[s + 1] = job->start[s] + (uint32_t)nms_pad(job->kept[s], VL);
        job->kept[s] = 0;
    }
    N(nms_clear)(&job->planes, 0, job->start[job->strips]);
}

static int N(nms_keeps)(N(nms_job) *job, const T *box) {
    const T centre = N(nms_centre)(box);
    const T rounding = 4 * N(nms_epsilon) * (T)(fabs((double)box[0]) + fabs((double)box[2])), reach = (box[2] - box[0]) * job->reach + rounding;
    const size_t last = N(nms_strip)(job, centre + reach), own = N(nms_strip)(job, centre);
    for (size_t s = N(nms_strip)(job, centre - reach); s <= last; s++)
        if (N(nms_meets)(job, job->start[s], job->kept[s], box)) return 0;
    N(nms_put)(&job->planes, job->start[own] + job->kept[own]++, box);
    return 1;
}

/* buf: boxes, order int64 (n,), n < 2^31: groups of boxes, the best one first, start int64 (lines.outer + 1,) of the groups, keep bool (n,)
 * in that order */
static void N(nms)(const pd_launch *launch) {
    const T *boxes = launch->buf[0];
    const int64_t *order = launch->buf[1], *start = launch->buf[2];
    uint8_t *keep = launch->buf[3];
    const double bar = launch->scalar[0], lower = bar * (1 - 1e-4);
    N(nms_job) job = {.planes = N(nms_place)(launch), .most = (T)bar, .reach = (T)(bar > 0 ? fmax(1 - lower, (1 / lower - 1) / 2) : INFINITY)};
    if ((double)job.most > bar) { /* the largest T that is not above it */
        bits_t bits;
        memcpy(&bits, &job.most, sizeof bits);
        bits -= 1;
        memcpy(&job.most, &bits, sizeof bits);
    }
    job.near = job.most * (1 - 8 * N(nms_epsilon));
    for (size_t g = 0; g < launch->lines.outer; g++) {
        if (start[g] == start[g + 1]) continue;
        N(nms_begin)(&job, boxes, order + start[g], (size_t)(start[g + 1] - start[g]));
        for (int64_t i = start[g]; i < start[g + 1]; i++) keep[i] = (uint8_t)N(nms_keeps)(&job, boxes + 4 * order[i]);
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
    N(nms_clear)(p, to, nms_pad(to, VL));
    for (size_t i = to; i < nms_pad(to, VL); i++) p->score[i] = -(T)INFINITY;
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
