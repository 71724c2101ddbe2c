/* The three steps and who does them: transform the tiles of a group, multiply them by a panel of weights, transform the sums back. */
#ifndef PD_WINO_RUN_ONCE
#define PD_WINO_RUN_ONCE
enum { WINO_TAKEN = 8, WINO_MOST_TAPS = WINO_STRIDE * WINO_TAPS * WINO_STRIDE * WINO_TAPS };
#endif

typedef struct N(wino_job) {
    const wino_plan *plan;
    const real *from, *weight, *bias;
    real *to, *u, *v;           /* v: of a group that all work on, or NULL */
    real *sums, *weight_grad;   /* of the weight gradient, whose `to` is read and whose u is dy transformed */
    size_t group;               /* of it: the present group of tiles ... */
    wino_parts parts;           /* ... and theirs */
    real *slots;                /* room of each slot */
    size_t slot, most;          /* elements of it; how many there are */
    pd_activation activation;
    size_t channel, output;     /* the group of channels: its first one read and written */
    size_t count, next;         /* items of the present step; the next one that nobody has taken */
    void (*work)(struct N(wino_job) *job, size_t item, real *room);
} N(wino_job);

static void N(wino_slot)(void *context, size_t slot) {
    N(wino_job) *job = context;
    size_t item;
    while ((item = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < job->count) job->work(job, item, job->slots + slot * job->slot);
}

/* Items one after the other to whoever is free, each with room of its own. */
static void N(wino_share)(N(wino_job) *job, void (*work)(N(wino_job) *, size_t, real *), size_t count, int threaded) {
    job->work = work, job->count = count, job->next = 0;
    if (threaded) pd_parallel(min_size(min_size(count, job->most), pd_num_threads()), N(wino_slot), job);
    else N(wino_slot)(job, 0);
}

/* ---- Weights ---- */

/* All taps of `count` channels from k on, for `lanes` <= VL outputs from o on: a vector each. There is room for VL more. */
static void N(wino_taps)(const wino_plan *plan, const real *weight, size_t o, size_t lanes, size_t k, size_t count, real *to) {
    const size_t taps = plan->kernel[0] * plan->kernel[1], end = plan->outputs * plan->channels * taps;
    if (plan->weight_channel == taps) {
        N(strip_row)(to, weight + o * plan->weight_output, k * taps, count * taps, plan->weight_output, plan->channels * taps, lanes);
        return;
    }
    for (size_t i = 0; i < count; i++)
        for (size_t t = 0; t < taps; t += VL) {
            const size_t at = o * plan->weight_output + (k + i) * plan->weight_channel + t;
            const int inside = at + (lanes - 1) * plan->weight_output + VL <= end;
            N(strip_row)(to + (i * taps + t) * VL, weight + at, 0, inside ? VL : min_size(VL, taps - t), plan->weight_output, 0, lanes);
        }
}

/* The transformed weights of one phase, for `count` channels from k on and VL outputs from o on, in a block [plane][channel][TN] */
static void N(wino_weights_phase)(const N(wino_job) *job, size_t f, size_t o, size_t k, size_t count, real *block) {
    const wino_plan *plan = job->plan;
    const size_t step = plan->read_step * plan->write_step, taps = plan->kernel[0] * plan->kernel[1];
    const size_t there = o < plan->outputs && k < plan->channels ? min_size(count, plan->channels - k) : 0;
    _Alignas(64) real room[(WINO_TAKEN * WINO_MOST_TAPS + VL) * VL];
    if (there > 0) N(wino_taps)(plan, job->weight, o, min_size(VL, plan->outputs - o), k, there, room);
    const real *tap[WINO_TAPS * WINO_TAPS];
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < WINO_TAPS * WINO_TAPS; j++) {
            const size_t y = plan->phase[0][f / step].tap[j / WINO_TAPS], x = plan->phase[1][f % step].tap[j % WINO_TAPS];
            tap[j] = i >= there || y == WINO_NONE || x == WINO_NONE ? NULL : room + (i * taps + y * plan->kernel[1] + x) * VL;
        }
        N(wino_weight)(tap, block + i * TN, WINO_TAKEN * TN);
    }
}

/* Transformed weights of WINO_TAKEN channels for a panel of outputs. By way of a block, as 36 streams of single lines are slow. */
static void N(wino_weights_part)(const N(wino_job) *job, size_t q, size_t k, real *u) {
    const wino_plan *plan = job->plan;
    const size_t count = min_size(WINO_TAKEN, plan->deep - k), place = q % plan->u_panels, row = k % plan->u_deep;
    _Alignas(64) real block[WINO_PLANES * WINO_TAKEN * TN];
    for (size_t f = 0; f < plan->reads * plan->writes; f++) {
        const size_t write = plan->writes > 1 ? f : 0;
        for (size_t o = 0; o < TN; o += VL) N(wino_weights_phase)(job, f, q * TN + o, k, count, block + o);
        for (size_t p = 0; p < WINO_PLANES; p++)
            if (plan->u_row[f][p] != WINO_NONE)
                N(strip_copy)(u + (write * WINO_PLANES + p) * plan->u_plane + (place * plan->sum[write][p] + plan->u_row[f][p] + row) * TN,
                              block + p * WINO_TAKEN * TN, count * TN / VL);
    }
}

static void N(wino_weights_item)(N(wino_job) *job, size_t item, real *room) {
    (void)room;
    const size_t parts = ceil_div(job->plan->deep, WINO_TAKEN);
    N(wino_weights_part)(job, item / parts, item % parts * WINO_TAKEN, job->u);
}

/* ---- Tiles ---- */

/* A unit's strip, and each phase's tiles in it. `kept`: the strip holds that of the unit above. */
static void N(wino_read_unit)(N(wino_job) *job, const wino_unit *u, const wino_parts *at, size_t c, real *strip, real *v, int kept) {
    const wino_plan *plan = job->plan;
    const size_t step = plan->read_step, move = step * WINO_TILE, cols = move * (u->wide - 1) + plan->reach[1];
    const size_t old = kept ? plan->reach[0] - move : 0, lanes = min_size(VL, plan->channels - c);
    const real *image = job->from + wino_channel(plan, &plan->from, plan->channels, u->image, job->channel + c);
    const ptrdiff_t top = (ptrdiff_t)(move * u->row) + plan->low[0], left = (ptrdiff_t)(move * u->column) + plan->low[1];
    N(strip_copy)(strip, strip + move * cols * VL, old * cols);
    N(strip_read)(strip + old * cols * VL, &plan->from, image, lanes, top + (ptrdiff_t)old, left, plan->reach[0] - old, cols);
    if (u->row + 1 < plan->rows) N(strip_fetch)(&plan->from, image, lanes, top + (ptrdiff_t)plan->reach[0], left, move, cols, 0);
    for (size_t f = 0; f < plan->reads; f++) {
        const size_t y = (size_t)(plan->phase[0][f / step].shift - plan->low[0]);
        const size_t x = (size_t)(plan->phase[1][f % step].shift - plan->low[1]);
        for (size_t t = 0; t < u->wide; t++) {
            const size_t size[2] = {u->results, t + u->lasts < u->wide ? WINO_TILE : plan->last[1]};
            N(wino_input)(strip + (y * cols + x + move * t) * VL, step * cols * VL, step * VL, size,
                          v + wino_tile_at(at, u, t) * plan->v_row + c, plan->v_place[f]);
        }
    }
}

/* VL channels from c on of all tiles of a group */
static void N(wino_read)(N(wino_job) *job, size_t group, size_t c, real *v, real *strip) {
    const wino_plan *plan = job->plan;
    const size_t first = group * plan->group, last = min_size(first + plan->group, plan->units);
    wino_parts at = wino_parts_of(plan, group);
    for (size_t unit = first; unit < last; unit++) {
        const wino_unit u = wino_unit_at(plan, unit);
        N(wino_read_unit)(job, &u, &at, c, strip, v, unit > first && u.row > 0 && plan->across == 1);
        wino_advance(&at, &u);
    }
}

/* M = V U for a panel, or M += V U with the terms from `from` on: as many as U has. */
static void N(wino_multiply)(const wino_plan *plan, const real *v, const real *u, real *m, const wino_parts *parts, size_t panel,
                             size_t from) {
    const size_t place = panel % plan->u_panels;
    const size_t vecs = min_size(ceil_div(plan->outputs - panel * TN, VL), NV);
    const N(tile_function) run = N(tile_function_for)(vecs, 0);
    _Alignas(64) real total[TILE_ROOM];
    for (size_t f = 0; f < plan->writes; f++)
        for (size_t p = 0; p < WINO_PLANES; p++, m += plan->m_plane, u += plan->u_plane) {
            const size_t k = plan->sum[f][p];
            size_t first;
            const size_t tiles = wino_tiles_of(plan, parts, p, &first);
            if (tiles == 0) continue;
            if (k == 0) {
                N(strip_clear)(m + first * TN, tiles * TN / VL);
                continue;
            }
            const size_t rows = ceil_div(tiles, ceil_div(tiles, MR)), full = tiles / rows, rest = tiles % rows;
            real *to = m + first * TN;
            N(tile) t = {.k = plan->by_panel && plan->reads == 1 ? min_size(k - from, plan->u_deep) : k, .kc = gemm_block_of(k),
                         .a = v + p * plan->v_plane + first * plan->v_row + from, .b = u + place * k * TN,
                         .lda = (ptrdiff_t)plan->v_row, .ldb = (ptrdiff_t)TN, .from = from > 0 ? to : NULL,
                         .from_ld = (ptrdiff_t)TN, .to = to, .to_ld = (ptrdiff_t)TN, .total = total,
                         .count = full, .a_step = (ptrdiff_t)(rows * plan->v_row)};
            run(rows, &t);
            if (rest == 0) continue;
            t.a += full * rows * plan->v_row, t.to += full * rows * TN, t.count = 1;
            if (t.from) t.from = t.to;
            run(rest, &t);
        }
}

/* The outputs o ... of the panel, of all tiles of a group */
static void N(wino_write)(N(wino_job) *job, size_t group, size_t panel, const real *m, real *strip) {
    const wino_plan *plan = job->plan;
    const size_t first = group * plan->group, last = min_size(first + plan->group, plan->units), step = plan->write_step;
    wino_parts at = wino_parts_of(plan, group);
    for (size_t unit = first; unit < last; unit++) {
        const wino_unit u = wino_unit_at(plan, unit);
        const size_t cols = step * WINO_TILE * u.wide, rows = step * WINO_TILE;
        for (size_t o = panel * TN; o < min_size((panel + 1) * TN, plan->outputs); o += VL) {
            const size_t lanes = min_size(VL, plan->outputs - o);
            real *image = job->to + wino_channel(plan, &plan->to, plan->outputs, u.image, job->output + o);
            N(strip_fetch)(&plan->to, image, lanes, (ptrdiff_t)(u.row * rows), (ptrdiff_t)(u.column * step * WINO_TILE), rows, cols, 1);
            const vreal bias = job->bias ? v_load_left(job->bias + job->output + o, lanes) : (vreal){0};
            for (size_t f = 0; f < plan->writes; f++)
                for (size_t t = 0; t < u.wide; t++) {
                    const size_t size[2] = {u.results, t + u.lasts < u.wide ? WINO_TILE : plan->last[1]};
                    const real *sums = m + f * WINO_PLANES * plan->m_plane + wino_tile_at(&at, &u, t) * TN + o % TN;
                    N(wino_output)(sums, plan->m_plane, size, bias,
                                   strip + (f / step * cols + f % step + t * step * WINO_TILE) * VL, step * cols * VL, step * VL);
                }
            N(gemm_activate)(job->activation, strip, rows * cols * VL);
            N(strip_write)(strip, &plan->to, image, lanes, u.row * rows, u.column * step * WINO_TILE, rows, cols);
        }
        wino_advance(&at, &u);
    }
}

/* ---- The order of work: many groups, each by one thread; or the channels, then the panels of one group after the other. ---- */

static void N(wino_group)(N(wino_job) *job, size_t group, real *room) {
    const wino_plan *plan = job->plan;
    real *v = room, *m = v + N(wino_v_room)(plan), *strip = m + N(wino_m_room)(plan);
    const wino_parts parts = wino_parts_of(plan, group);
    for (size_t c = 0; c < plan->channels; c += VL) N(wino_read)(job, group, c, v, strip);
    for (size_t panel = 0; panel < plan->panels; panel++) {
        N(wino_multiply)(plan, v, job->u, m, &parts, panel, 0);
        N(wino_write)(job, group, panel, m, strip);
    }
}

static void N(wino_channels)(N(wino_job) *job, size_t item, real *room) {
    N(wino_read)(job, 0, item * VL, job->v, room + N(wino_m_room)(job->plan));
}

static void N(wino_panel)(N(wino_job) *job, size_t panel, real *room) {
    const wino_plan *plan = job->plan;
    real *strip = room + N(wino_m_room)(plan), *u = strip + N(wino_strip_room)(plan);
    const wino_parts parts = wino_parts_of(plan, 0);
    if (!plan->by_panel) N(wino_multiply)(plan, job->v, job->u, room, &parts, panel, 0);
    for (size_t from = 0; plan->by_panel && from < plan->deep; from += plan->u_deep) {
        for (size_t k = from; k < min_size(from + plan->u_deep, plan->deep); k += WINO_TAKEN) N(wino_weights_part)(job, panel, k, u);
        N(wino_multiply)(plan, job->v, u, room, &parts, panel, from);
    }
    N(wino_write)(job, 0, panel, room, strip);
}

static size_t N(wino_slot_room)(const wino_plan *plan) {
    return (plan->few ? 0 : N(wino_v_room)(plan)) + N(wino_m_room)(plan) + N(wino_strip_room)(plan) +
           (plan->by_panel ? N(wino_u_room)(plan) : 0);
}

/* How many may work at the same time: as many as there is work for, fewer where each needs much room. */
static size_t N(wino_slots)(const wino_plan *plan) {
    const size_t most = max_size(WINO_ROOM / (N(wino_slot_room)(plan) * sizeof(real)), 4);
    const size_t items = plan->few ? max_size(ceil_div(plan->channels, VL), plan->panels) : ceil_div(plan->units, plan->group);
    return min_size(min_size(WINO_SLOTS, most), items);
}

/* U of one group of channels, from its weights */
static void N(wino_weights)(const wino_plan *plan, const real *weight, real *u, int threaded) {
    N(wino_job) job = {.plan = plan, .weight = weight, .u = u, .most = WINO_SLOTS};
    N(wino_share)(&job, N(wino_weights_item), plan->panels * ceil_div(plan->deep, WINO_TAKEN), threaded);
}

/* One group of channels: with U ready, or by panels from the weight */
static void N(wino_run)(N(wino_job) *job, int threaded) {
    const wino_plan *plan = job->plan;
    if (!plan->few) {
        N(wino_share)(job, N(wino_group), ceil_div(plan->units, plan->group), threaded);
        return;
    }
    N(wino_share)(job, N(wino_channels), ceil_div(plan->channels, VL), threaded);
    N(wino_share)(job, N(wino_panel), plan->panels, threaded);
}

/* Of a launch whose weights are packed, buf[1] is U of all groups: it then needs neither room nor time. */
static size_t N(wino_conv_room)(const pd_launch *L, enum conv_pass pass) {
    const int ready = L->window.packed;
    wino_plan plan;
    wino_shape(&plan, &L->window, pass == CONV_INPUT_GRAD);
    N(wino_layout)(&plan, ready);
    const size_t shared = plan.few ? N(wino_v_room)(&plan) : ready ? 0 : N(wino_u_room)(&plan);
    return (shared + N(wino_slots)(&plan) * N(wino_slot_room)(&plan)) * sizeof(real);
}

static void N(wino_conv)(const pd_launch *L, enum conv_pass pass) {
    const int ready = L->window.packed;
    wino_plan plan;
    wino_shape(&plan, &L->window, pass == CONV_INPUT_GRAD);
    N(wino_layout)(&plan, ready);
    const int threaded = N(wino_work)(&plan) > WINO_THREAD_WORK;
    const size_t weights = ready ? N(wino_u_room)(&plan) : plan.kernel[0] * plan.kernel[1] * plan.channels * plan.outputs;
    real *room = L->workspace;
    N(wino_job) job = {.plan = &plan, .from = L->buf[0], .weight = L->buf[1], .bias = L->buf[2], .to = L->buf[3],
                       .slot = N(wino_slot_room)(&plan), .most = N(wino_slots)(&plan),
                       .activation = pass == CONV_FWD ? L->window.activation : PD_NO_ACTIVATION};
    if (plan.few) job.v = room, room += N(wino_v_room)(&plan);
    else if (!ready) job.u = room, room += N(wino_u_room)(&plan);
    job.slots = room;
    for (size_t g = 0; g < plan.groups; g++, job.channel += plan.channels, job.output += plan.outputs, job.weight += weights) {
        if (ready) job.u = (real *)job.weight;
        else if (job.u) N(wino_weights)(&plan, job.weight, job.u, threaded);
        N(wino_run)(&job, threaded);
    }
}

/* ---- Weights that are kept: U of every group ---- */

static size_t N(wino_packed)(const pd_window *w, enum conv_pass pass) {
    wino_plan plan;
    wino_shape(&plan, w, pass == CONV_INPUT_GRAD);
    N(wino_layout)(&plan, 1);
    return plan.groups * N(wino_u_room)(&plan) * sizeof(real);
}

static void N(wino_pack)(const pd_launch *L, enum conv_pass pass) {
    wino_plan plan;
    wino_shape(&plan, &L->window, pass == CONV_INPUT_GRAD);
    N(wino_layout)(&plan, 1);
    const size_t weights = plan.kernel[0] * plan.kernel[1] * plan.channels * plan.outputs;
    for (size_t g = 0; g < plan.groups; g++)
        N(wino_weights)(&plan, (const real *)L->buf[0] + g * weights, (real *)L->buf[1] + g * N(wino_u_room)(&plan), 1);
}
