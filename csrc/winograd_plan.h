/* What a convolution is to Winograd's algorithm: phases, tiles, layouts. All of it follows from the sizes. */
#ifndef PD_WINO_PLAN_ONCE
#define PD_WINO_PLAN_ONCE
typedef struct wino_plan {
    size_t images, depth, groups;           /* images: n times the depth, which a window does not cross */
    size_t channels, outputs;               /* of a group, read and written */
    size_t weight_output, weight_channel;   /* from one to the next, in the weight */
    size_t kernel[2];
    wino_image from, to;
    size_t read_step, write_step, reads, writes;  /* steps of the phases along an axis; phases */
    wino_phase phase[2][WINO_STRIDE];             /* of the axes; of the side whose step is above 1 */
    ptrdiff_t low[2];                             /* a strip of n tiles has the elements from low on ... */
    size_t reach[2];                              /* ... step * 4 (n - 1) + reach of them */
    size_t last[2];                               /* results of the last tile of an axis: 2 to 4 */
    size_t rows, columns;                         /* of tiles in an image */
    size_t wide, across, units, group;            /* tiles of a unit; units of a row of tiles; all; of a group */
    size_t sum[WINO_PHASES][WINO_PLANES];         /* terms of a plane's sums, for each phase written; 0: none */
    size_t v_place[WINO_PHASES][WINO_PLANES];     /* of a phase read */
    size_t u_row[WINO_PHASES][WINO_PLANES];       /* in a panel of U, of the first channel of a phase read or written */
    size_t deep;                                  /* channels of a phase in V and U: more than there are, where another phase follows */
    int by_panel;                                 /* U of one panel and u_deep channels at a time: each is needed once */
    size_t u_deep;
    int few;                                      /* tiles: one group, on whose panels all threads work */
    size_t panels, u_panels;                      /* of TN outputs; of them in U at a time */
    size_t u_plane, v_row, v_plane, m_row, m_plane; /* elements from one to the next */
} wino_plan;

/* Is plane p of use to the phase? */
static UNUSED int wino_active(const wino_plan *plan, size_t phase, size_t p) {
    const size_t step = plan->read_step * plan->write_step, at[2] = {p / WINO_POINTS, p % WINO_POINTS};
    const wino_phase *axis[2] = {&plan->phase[0][phase / step], &plan->phase[1][phase % step]};
    for (size_t a = 0; a < 2; a++)
        if ((at[a] == 0 && axis[a]->tap[0] == WINO_NONE) || (at[a] == WINO_POINTS - 1 && axis[a]->tap[2] == WINO_NONE)) return 0;
    return 1;
}

/* Output i reads i s + k - p: phase q of the input meets the taps q, q + s ...; a single one stands in the middle of three. */
static UNUSED int wino_read_axis(wino_plan *plan, size_t a, size_t s, size_t k, size_t pad) {
    ptrdiff_t high = PTRDIFF_MIN;
    plan->low[a] = PTRDIFF_MAX;
    for (size_t q = 0; q < s; q++) {
        wino_phase *phase = &plan->phase[a][q];
        const size_t taps = k > q ? (k - q + s - 1) / s : 0, first = taps == 1;
        if (taps < 1 || taps > WINO_TAPS) return 0;
        for (size_t m = 0; m < WINO_TAPS; m++) phase->tap[m] = m >= first && m - first < taps ? q + s * (m - first) : WINO_NONE;
        phase->shift = (ptrdiff_t)q - (ptrdiff_t)pad - (ptrdiff_t)(s * first);
        if (phase->shift < plan->low[a]) plan->low[a] = phase->shift;
        if (phase->shift > high) high = phase->shift;
    }
    plan->reach[a] = (size_t)(high - plan->low[a]) + s * (WINO_POINTS - 1) + 1;
    return 1;
}

/* Input s l + r gets, of y's elements u = l + e - m, those of the taps q + s m, where r + p = s e + q. All phases read the same tiles,
 * from `base` on: the one of two that makes single taps stand in the middle. */
static UNUSED int wino_write_axis(wino_plan *plan, size_t a, size_t s, size_t k, size_t pad) {
    ptrdiff_t least = PTRDIFF_MAX, most = PTRDIFF_MIN;
    size_t all_single = 1;
    for (size_t r = 0; r < s; r++) {
        const size_t q = (r + pad) % s, taps = k > q ? (k - q + s - 1) / s : 0;
        const ptrdiff_t e = (ptrdiff_t)((r + pad) / s), first = e - (ptrdiff_t)taps + 1;
        if (taps < 1) return 0;
        if (taps > 1) all_single = 0;
        if (first < least) least = first;
        if (e > most) most = e;
    }
    if (most - least >= WINO_TAPS) return 0;
    const ptrdiff_t base = most - least == 2 ? least : all_single || s > 1 ? least - 1 : least;
    for (size_t r = 0; r < s; r++) {
        wino_phase *phase = &plan->phase[a][r];
        const size_t q = (r + pad) % s;
        for (size_t i = 0; i < WINO_TAPS; i++) {
            const ptrdiff_t m = (ptrdiff_t)((r + pad) / s) - base - (ptrdiff_t)i;
            phase->tap[i] = m >= 0 && q + s * (size_t)m < k ? q + s * (size_t)m : WINO_NONE;
        }
        phase->shift = base;
    }
    plan->low[a] = base;
    plan->reach[a] = WINO_POINTS;
    return 1;
}

/* Whether the algorithm can do that, and how; without the layouts */
static UNUSED int wino_shape(wino_plan *plan, const pd_window *w, int backward) {
    const size_t s = w->stride[1], c = w->c / w->groups, o = w->o / w->groups;
    if (w->exact || s != w->stride[2] || s > WINO_STRIDE || w->kernel[0] * w->stride[0] != 1 || w->pad[0] != 0) return 0;
    if (w->n == 0 || c == 0 || o == 0 || volume(w->in) == 0 || volume(w->out) == 0) return 0;
    if (c > WINO_CHANNELS || o > WINO_CHANNELS) return 0;
    const size_t *from = backward ? w->out : w->in, *to = backward ? w->in : w->out;
    *plan = (wino_plan){
        .images = w->n * w->in[0], .depth = w->in[0], .groups = w->groups, .channels = backward ? o : c, .outputs = backward ? c : o,
        .kernel = {w->kernel[1], w->kernel[2]},
        .from = {from[1], from[2], volume(from)}, .to = {to[1], to[2], volume(to)},
        .read_step = backward ? 1 : s, .write_step = backward ? s : 1, .reads = backward ? 1 : s * s, .writes = backward ? s * s : 1,
    };
    const size_t taps = w->kernel[1] * w->kernel[2];
    plan->weight_output = backward ? taps : c * taps;
    plan->weight_channel = backward ? c * taps : taps;
    for (size_t a = 0; a < 2; a++) {
        const size_t k = w->kernel[1 + a], pad = w->pad[1 + a];
        if (w->dilation[1 + a] != 1 && k > 1) return 0;
        if (!(backward ? wino_write_axis(plan, a, s, k, pad) : wino_read_axis(plan, a, s, k, pad))) return 0;
    }
    const size_t height = ceil_div(to[1], plan->write_step), width = ceil_div(to[2], plan->write_step);
    plan->rows = ceil_div(height, WINO_TILE), plan->columns = ceil_div(width, WINO_TILE);
    plan->last[0] = max_size(height - WINO_TILE * (plan->rows - 1), 2);
    plan->last[1] = max_size(width - WINO_TILE * (plan->columns - 1), 2);
    plan->across = ceil_div(plan->columns, WINO_WIDE);
    plan->wide = ceil_div(plan->columns, plan->across);
    plan->across = ceil_div(plan->columns, plan->wide);
    plan->units = plan->images * plan->rows * plan->across;
    return 1;
}
/* Some tiles side by side. Those of a group stand in V and M in four parts, so that the tiles that need a plane follow each other: the
 * last ones of their rows, most, the lowest ones, and those that are both. Tiles of four results are like any other. */
enum { WINO_RIGHT, WINO_MIDDLE, WINO_BOTTOM, WINO_CORNER, WINO_PARTS };
typedef struct wino_unit {
    size_t image, row, column, wide;
    size_t results;      /* of its tiles, downwards */
    size_t part, after;  /* of its tiles but the last one, if that is the last of its row; of that one */
    size_t lasts;        /* 1 if it is */
} wino_unit;

static UNUSED wino_unit wino_unit_at(const wino_plan *plan, size_t unit) {
    const size_t column = unit % plan->across * plan->wide, row = unit / plan->across % plan->rows;
    wino_unit u = {.image = unit / plan->across / plan->rows, .row = row, .column = column};
    u.wide = min_size(plan->wide, plan->columns - column);
    u.results = row + 1 < plan->rows ? WINO_TILE : plan->last[0];
    u.lasts = column + u.wide == plan->columns && plan->last[1] < WINO_TILE;
    u.part = u.results < WINO_TILE ? WINO_BOTTOM : WINO_MIDDLE;
    u.after = u.results < WINO_TILE ? WINO_CORNER : WINO_RIGHT;
    return u;
}

/* Where a group's parts begin, and how many tiles there are */
typedef struct wino_parts {
    size_t begin[WINO_PARTS + 1];
} wino_parts;

static UNUSED wino_parts wino_parts_of(const wino_plan *plan, size_t group) {
    const size_t first = group * plan->group, last = min_size(first + plan->group, plan->units);
    wino_parts parts = {{0}};
    for (size_t unit = first; unit < last; unit++) {
        const wino_unit u = wino_unit_at(plan, unit);
        parts.begin[u.part + 1] += u.wide - u.lasts;
        parts.begin[u.after + 1] += u.lasts;
    }
    for (size_t i = 0; i < WINO_PARTS; i++) parts.begin[i + 1] += parts.begin[i];
    return parts;
}

/* The place of tile t of a unit; wino_advance goes on to the next unit. */
INLINE size_t wino_tile_at(const wino_parts *at, const wino_unit *u, size_t t) {
    return t < u->wide - u->lasts ? at->begin[u->part] + t : at->begin[u->after];
}
INLINE void wino_advance(wino_parts *at, const wino_unit *u) {
    at->begin[u->part] += u->wide - u->lasts;
    at->begin[u->after] += u->lasts;
}

/* The tiles that need plane p: from *first on */
static UNUSED size_t wino_tiles_of(const wino_plan *plan, const wino_parts *parts, size_t p, size_t *first) {
    const int below = wino_point(p / WINO_POINTS, plan->last[0]), right = wino_point(p % WINO_POINTS, plan->last[1]);
    *first = parts->begin[right ? WINO_RIGHT : WINO_MIDDLE];
    return parts->begin[!below ? WINO_BOTTOM : right ? WINO_PARTS : WINO_CORNER] - *first;
}

/* Channel `c` of image i */
static UNUSED size_t wino_channel(const wino_plan *plan, const wino_image *size, size_t channels, size_t i, size_t c) {
    return (i / plan->depth * channels * plan->groups + c) * size->plane + i % plan->depth * size->height * size->width;
}
#endif

/* An odd number of cache lines: planes that lie a multiple of 4 KiB apart would push each other out. */
static size_t N(wino_odd)(size_t n) { return (ceil_div(n * sizeof(real), 64) | 1) * 64 / sizeof(real); }

/* A row of `n` numbers in whole vectors; not a multiple of 512 bytes, for the same reason */
static size_t N(wino_row)(size_t n) {
    const size_t row = ceil_div(n, VL) * VL;
    return row * sizeof(real) % 512 == 0 ? row + 64 / sizeof(real) : row;
}

/* Where the channels of a phase stand in the sums of a plane */
static void N(wino_places)(wino_plan *plan) {
    for (size_t p = 0; p < WINO_PLANES; p++)
        for (size_t f = 0; f < plan->reads * plan->writes; f++) {
            size_t *sum = &plan->sum[plan->writes > 1 ? f : 0][p];
            const int active = wino_active(plan, f, p);
            plan->v_place[f][p] = active || plan->writes > 1 ? p * plan->v_plane + *sum * (plan->writes == 1) : WINO_NONE;
            plan->u_row[f][p] = active ? *sum : WINO_NONE;
            if (active) *sum += plan->deep;
        }
}

/* A group's units: as many as the cache holds, but several groups for every thread where there are many tiles. */
static size_t N(wino_group_of)(const wino_plan *plan) {
    const size_t tile = WINO_PLANES * (plan->v_row + plan->writes * TN) * sizeof(real);
    const size_t most = min_size(max_size(WINO_CACHE / tile, 2 * MR), WINO_MOST) / plan->wide;
    const size_t least = ceil_div(MR, plan->wide), shares = plan->units / WINO_GROUPS;
    const size_t group = max_size(min_size(most, max_size(shares, least)), 1);
    return ceil_div(plan->units, ceil_div(plan->units, group));
}

/* Of the forward pass and the input gradient. `ready`: U has been made before. */
static void N(wino_layout)(wino_plan *plan, int ready) {
    const size_t tiles = plan->units * plan->wide;
    plan->deep = plan->reads > 1 ? ceil_div(plan->channels, VL) * VL : plan->channels;
    plan->v_row = N(wino_row)(plan->reads * plan->deep);
    plan->panels = ceil_div(plan->outputs, TN);
    plan->few = tiles <= WINO_MOST / 4 || (plan->panels >= 4 && (tiles <= WINO_MOST || 2 * tiles <= plan->outputs));
    plan->group = plan->few ? plan->units : N(wino_group_of)(plan);
    plan->v_plane = N(wino_odd)(plan->group * plan->wide * plan->v_row);
    plan->m_plane = N(wino_odd)(plan->group * plan->wide * TN);
    plan->by_panel = plan->few && !ready;
    plan->u_panels = plan->by_panel ? 1 : plan->panels;
    plan->u_deep = plan->by_panel && plan->reads == 1 ? gemm_block_of(plan->deep) : plan->deep;
    plan->u_plane = N(wino_odd)(plan->u_panels * plan->reads * plan->u_deep * TN);
    N(wino_places)(plan);
}

static size_t N(wino_u_room)(const wino_plan *plan) { return plan->writes * WINO_PLANES * plan->u_plane; }
static size_t N(wino_v_room)(const wino_plan *plan) { return WINO_PLANES * plan->v_plane; }
static size_t N(wino_m_room)(const wino_plan *plan) { return plan->writes * WINO_PLANES * plan->m_plane; }
static size_t N(wino_strip_room)(const wino_plan *plan) {
    const size_t cols = plan->read_step * WINO_TILE * (plan->wide - 1) + plan->reach[1];
    const size_t out = plan->write_step * WINO_TILE * plan->write_step * WINO_TILE * plan->wide;
    return N(wino_odd)(max_size(plan->reach[0] * cols, out) * VL);
}

/* Multiply-adds */
static double N(wino_work)(const wino_plan *plan) {
    double sums = 0;
    for (size_t f = 0; f < plan->writes; f++)
        for (size_t p = 0; p < WINO_PLANES; p++) sums += (double)plan->sum[f][p];
    return sums * (double)(plan->units * plan->wide) * (double)(plan->outputs * plan->groups);
}
