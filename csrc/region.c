/* Regions of images: distances to them, and which detection found which box. Everything is float64, so that there is one of each.
 *   distance_pass   f (outer, n, inner) -> d_p = min over q of (spacing (p - q))^2 + f_q along n, in place; f may be infinite. scalar[0]: spacing.
 *                   Pass by pass along every dimension, from 0 where the distance is to and infinity elsewhere: squared Euclidean distances, exact
 *                   for spacing 1. The lower envelope of parabolas (Felzenszwalb & Huttenlocher 2012, "Distance transforms of sampled functions").
 *                   scratch: REGION_CHUNKS x 3 n numbers.
 *   match_detections     COCO's greedy matching: in every group (one image, one class) detections, best first, take the best free box.
 * Chunks are of lines or of groups; they share nothing. */
#ifndef REGION_ONCE
#define REGION_ONCE
enum { REGION_CHUNKS = 16, REGION_ALONE = 1 << 15 };

/* The envelope's parabolas: where they stand, how high, and from where on they are the lowest */
static void distance_line(double *f, size_t n, size_t step, double square, double *place, double *height, double *from) {
    size_t count = 0;
    for (size_t q = 0; q < n; q++) {
        const double at = (double)q, h = f[q * step];
        double begin = -(double)INFINITY;
        if (isinf(h)) continue;
        for (; count; count--) {
            const double p = place[count - 1];
            begin = ((h - height[count - 1]) / square + (at * at - p * p)) / (2 * (at - p));
            if (begin > from[count - 1]) break;
        }
        place[count] = at;
        height[count] = h;
        from[count] = count ? begin : -(double)INFINITY;
        count++;
    }
    for (size_t p = 0, j = 0; p < n && count; p++) {
        while (j + 1 < count && from[j + 1] < (double)p) j++;
        const double away = (double)p - place[j];
        f[p * step] = square * (away * away) + height[j];
    }
}

static void distance_chunk(void *context, size_t chunk) {
    const pd_launch *launch = context;
    const pd_lines *g = &launch->lines;
    const size_t lines = g->outer * g->inner, each = ceil_div(lines, REGION_CHUNKS), last = min_size(lines, (chunk + 1) * each);
    double *f = launch->buf[0], *scratch = (double *)launch->buf[1] + chunk * 3 * g->n;
    const double square = launch->scalar[0] * launch->scalar[0];
    for (size_t line = chunk * each; line < last; line++)
        distance_line(f + line / g->inner * g->n * g->inner + line % g->inner, g->n, g->inner, square, scratch, scratch + g->n, scratch + 2 * g->n);
}

static void distance_pass(const pd_launch *launch) {
    const pd_lines *g = &launch->lines;
    if (g->outer * g->n * g->inner >= REGION_ALONE) pd_parallel(REGION_CHUNKS, distance_chunk, (void *)launch);
    else
        for (size_t chunk = 0; chunk < REGION_CHUNKS; chunk++) distance_chunk((void *)launch, chunk);
}

/* buf: 0 detections (D, 4), 1 boxes (G, 4), both x1 y1 x2 y2; 2, 3 their areas; 4 the areas of boxes that ranges are about; 5 spans (groups, 4): first
 * and behind the last detection, first and behind the last box; 6 crowd (G,) uint8; 7 thresholds (T,), then ranges (A, 2); 8 found (A, T, D) uint8;
 * 9 scratch: scalar[3] bytes for each chunk, enough for a match_scratch of `inner` boxes. lines: outer groups, inner the most boxes of a group;
 * scalar[0 .. 2]: T, A, D. found: 0 a detection of nothing, 1 of a box, 2 one that does not count: of a box that does not (a crowd, or one outside the
 * range), or of none and outside itself. A crowd may be found many times, and its overlap is inter / area of the detection; boxes that count come before
 * those that do not (Lin et al. 2014, and their evaluation code). */
typedef struct match_scratch {
    double *overlap; /* of the detection with the group's boxes */
    size_t *order, *counting; /* (A, boxes): those that count first, else as they were; (A,): how many count */
    uint8_t *taken; /* (A, T, boxes) */
} match_scratch;

static double box_overlap(const double *a, const double *b, double area_a, double area_b, int crowd) {
    const double x = (a[2] < b[2] ? a[2] : b[2]) - (a[0] > b[0] ? a[0] : b[0]), y = (a[3] < b[3] ? a[3] : b[3]) - (a[1] > b[1] ? a[1] : b[1]);
    if (!(x > 0 && y > 0)) return 0;
    return x * y / (crowd ? area_a : area_a + area_b - x * y);
}

static int outside(double area, const double *range) { return area < range[0] || area > range[1]; }

/* Which of the boxes a detection with these overlaps takes, or SIZE_MAX: the best of those that count, else of the others; the last of equal ones. */
static size_t best_box(const match_scratch *s, size_t boxes, size_t a, const uint8_t *taken, const uint8_t *crowd, double threshold) {
    const size_t *order = s->order + a * boxes, counting = s->counting[a];
    size_t best = SIZE_MAX;
    for (size_t j = 0; j < boxes; j++) {
        const size_t box = order[j];
        if (j == counting && best != SIZE_MAX) break;
        if ((taken[box] && !crowd[box]) || s->overlap[box] < threshold) continue;
        threshold = s->overlap[box];
        best = box;
    }
    return best;
}

static void match_group(const pd_launch *launch, const int64_t *span, const match_scratch *s) {
    const size_t T_ = (size_t)launch->scalar[0], A = (size_t)launch->scalar[1], D = (size_t)launch->scalar[2], first = (size_t)span[2];
    const size_t boxes = (size_t)span[3] - first;
    const double *found_box = launch->buf[0], *box = (const double *)launch->buf[1] + 4 * first, *found_area = launch->buf[2];
    const double *box_area = (const double *)launch->buf[3] + first, *ranged = (const double *)launch->buf[4] + first;
    const double *thresholds = launch->buf[7], *ranges = thresholds + T_;
    const uint8_t *crowd = (const uint8_t *)launch->buf[6] + first;
    uint8_t *found = launch->buf[8];
    for (size_t a = 0; a < A; a++) {
        size_t count = 0;
        for (size_t pass = 0; pass < 2; pass++) {
            for (size_t b = 0; b < boxes; b++)
                if ((crowd[b] || outside(ranged[b], ranges + 2 * a)) == (int)pass) s->order[a * boxes + count++] = b;
            if (pass == 0) s->counting[a] = count;
        }
    }
    memset(s->taken, 0, A * T_ * boxes);
    for (size_t d = (size_t)span[0]; d < (size_t)span[1]; d++) {
        double most = 0;
        for (size_t b = 0; b < boxes; b++) {
            s->overlap[b] = box_overlap(found_box + 4 * d, box + 4 * b, found_area[d], box_area[b], crowd[b]);
            if (s->overlap[b] > most) most = s->overlap[b];
        }
        for (size_t a = 0; a < A; a++)
            for (size_t t = 0; t < T_; t++) {
                uint8_t *taken = s->taken + (a * T_ + t) * boxes;
                const double threshold = thresholds[t] < 1 - 1e-10 ? thresholds[t] : 1 - 1e-10;
                const size_t best = most < threshold ? SIZE_MAX : best_box(s, boxes, a, taken, crowd, threshold);
                uint8_t *to = found + (a * T_ + t) * D + d;
                if (best == SIZE_MAX) *to = outside(found_area[d], ranges + 2 * a) ? 2 : 0;
                else {
                    taken[best] = 1;
                    *to = crowd[best] || outside(ranged[best], ranges + 2 * a) ? 2 : 1;
                }
            }
    }
}

static void match_chunk(void *context, size_t chunk) {
    const pd_launch *launch = context;
    const size_t groups = launch->lines.outer, each = ceil_div(groups, REGION_CHUNKS), last = min_size(groups, (chunk + 1) * each);
    const size_t boxes = launch->lines.inner, A = (size_t)launch->scalar[1];
    char *memory = (char *)launch->buf[9] + chunk * (size_t)launch->scalar[3];
    match_scratch s = {.overlap = (double *)memory};
    s.order = (size_t *)(s.overlap + boxes);
    s.counting = s.order + A * boxes;
    s.taken = (uint8_t *)(s.counting + A);
    for (size_t group = chunk * each; group < last; group++) match_group(launch, (const int64_t *)launch->buf[5] + 4 * group, &s);
}

static void match_detections(const pd_launch *launch) {
    if (launch->scalar[0] * launch->scalar[1] * launch->scalar[2] >= REGION_ALONE) pd_parallel(REGION_CHUNKS, match_chunk, (void *)launch);
    else
        for (size_t chunk = 0; chunk < REGION_CHUNKS; chunk++) match_chunk((void *)launch, chunk);
}
#endif
