/* The weight gradient as F(3 x 3, 4 x 4): the derivative of the forward pass. The tiles of x and those of dy, transformed, are multiplied
 * plane by plane, summed over the tiles: a group of them after the other, in the one order whatever the number of threads. */

/* VL outputs from o on of all tiles of dy of a group */
static void N(wino_spread_group)(N(wino_job) *job, size_t group, size_t o, real *strip) {
    const wino_plan *plan = job->plan;
    const size_t first = group * plan->group, last = min_size(first + plan->group, plan->units), lanes = min_size(VL, plan->outputs - o);
    wino_parts at = wino_parts_of(plan, group);
    for (size_t unit = first; unit < last; unit++) {
        const wino_unit u = wino_unit_at(plan, unit);
        const size_t cols = WINO_TILE * u.wide;
        const ptrdiff_t y = (ptrdiff_t)(WINO_TILE * u.row), x = (ptrdiff_t)(WINO_TILE * u.column);
        const real *image = job->to + wino_channel(plan, &plan->to, plan->outputs, u.image, job->output + o);
        N(strip_read)(strip, &plan->to, image, lanes, y, x, WINO_TILE, cols);
        if (u.row + 1 < plan->rows) N(strip_fetch)(&plan->to, image, lanes, y + WINO_TILE, x, WINO_TILE, cols, 0);
        for (size_t t = 0; t < u.wide; t++) {
            const size_t size[2] = {u.results, t + u.lasts < u.wide ? WINO_TILE : plan->last[1]};
            real *to = job->u + o + wino_tile_at(&at, &u, t) * plan->m_row;
            N(wino_spread)(strip + t * WINO_TILE * VL, cols * VL, size, to, plan->m_plane);
        }
        wino_advance(&at, &u);
    }
}

/* Items of the first step: vectors of channels, then of outputs */
static void N(wino_both)(N(wino_job) *job, size_t item, real *room) {
    const size_t channels = ceil_div(job->plan->channels, VL);
    if (item < channels) N(wino_read)(job, job->group, item * VL, job->v, room);
    else N(wino_spread_group)(job, job->group, (item - channels) * VL, room);
}

/* Sums of a plane for `rows` outputs from o on, in its rows of `to` */
static void N(wino_add_rows)(const N(wino_job) *job, size_t p, size_t c, size_t o, size_t rows, real *to) {
    const wino_plan *plan = job->plan;
    const size_t columns = plan->sum[0][p], full = rows / MR, rest = rows % MR;
    if (c >= columns) return;
    size_t first;
    const size_t tiles = wino_tiles_of(plan, &job->parts, p, &first);
    const N(tile_function) run = N(tile_function_for)(min_size(ceil_div(columns - c, VL), NV), 1);
    N(tile) t = {.k = tiles, .kc = tiles, .a = job->u + p * plan->m_plane + first * plan->m_row + o,
                 .b = job->v + p * plan->v_plane + first * plan->v_row + c, .lda = (ptrdiff_t)plan->m_row,
                 .ldb = (ptrdiff_t)plan->v_row, .to = to + c, .to_ld = (ptrdiff_t)plan->v_row, .count = full, .a_step = MR};
    t.from = job->group > 0 ? t.to : NULL, t.from_ld = t.to_ld;
    if (full > 0) run(MR, &t);
    if (rest == 0) return;
    t.a += full * MR, t.to += full * MR * plan->v_row, t.count = 1;
    if (t.from) t.from = t.to;
    run(rest, &t);
}

/* The gradients of output o from its row of each plane's sums */
static void N(wino_taps_grad)(const N(wino_job) *job, size_t o, const real *row) {
    const wino_plan *plan = job->plan;
    const size_t step = plan->read_step, taps = plan->kernel[0] * plan->kernel[1];
    _Alignas(64) real out[WINO_MOST_TAPS * VL], nowhere[VL];
    for (size_t c = 0; c < plan->channels; c += VL) {
        for (size_t f = 0; f < plan->reads; f++) {
            const real *sums[WINO_PLANES];
            real *tap[WINO_TAPS * WINO_TAPS];
            for (size_t p = 0; p < WINO_PLANES; p++)
                sums[p] = plan->u_row[f][p] == WINO_NONE ? NULL : row + p * plan->u_plane + plan->u_row[f][p] + c;
            for (size_t j = 0; j < WINO_TAPS * WINO_TAPS; j++) {
                const size_t y = plan->phase[0][f / step].tap[j / WINO_TAPS], x = plan->phase[1][f % step].tap[j % WINO_TAPS];
                tap[j] = y == WINO_NONE || x == WINO_NONE ? nowhere : out + (y * plan->kernel[1] + x) * VL;
            }
            N(wino_gather)(sums, tap);
        }
        real *to = job->weight_grad + (o * plan->channels + c) * taps;
        for (size_t t = 0; t < taps; t += VL)
            N(strip_write_few)(out + t * VL, to + t, min_size(VL, taps - t), taps, min_size(VL, plan->channels - c));
    }
}

/* Items of the second step: a plane and a panel of its channels; of the last one: an output */
static void N(wino_add)(N(wino_job) *job, size_t item, real *room) {
    (void)room;
    const size_t p = item / job->plan->panels, c = item % job->plan->panels * TN;
    N(wino_add_rows)(job, p, c, 0, job->plan->outputs, job->sums + p * job->plan->u_plane);
}
static void N(wino_finish)(N(wino_job) *job, size_t o, real *room) {
    (void)room;
    N(wino_taps_grad)(job, o, job->sums + o * job->plan->v_row);
}

/* Both at once where there is one group of tiles: some outputs */
static void N(wino_add_finish)(N(wino_job) *job, size_t item, real *room) {
    const wino_plan *plan = job->plan;
    const size_t o = item * MR, rows = min_size(MR, plan->outputs - o);
    for (size_t p = 0; p < WINO_PLANES; p++)
        for (size_t c = 0; c < plan->panels; c++) N(wino_add_rows)(job, p, c * TN, o, rows, room + p * plan->u_plane);
    for (size_t i = 0; i < rows; i++) N(wino_taps_grad)(job, o + i, room + i * plan->v_row);
}

static void N(wino_grad_layout)(wino_plan *plan) {
    plan->deep = plan->reads > 1 ? ceil_div(plan->channels, VL) * VL : plan->channels;
    plan->v_row = N(wino_row)(plan->reads * plan->deep + TN - VL);
    plan->m_row = N(wino_row)(plan->outputs);
    plan->panels = ceil_div(plan->reads * plan->deep, TN);
    const size_t most = WINO_SHARED / (WINO_PLANES * (plan->v_row + plan->m_row) * sizeof(real));
    plan->group = max_size(min_size(max_size(most, WINO_LEAST), WINO_TERMS) / plan->wide, 1);
    plan->group = ceil_div(plan->units, ceil_div(plan->units, plan->group));
    plan->v_plane = N(wino_odd)(plan->group * plan->wide * plan->v_row);
    plan->m_plane = N(wino_odd)(plan->group * plan->wide * plan->m_row);
    plan->few = plan->group == plan->units;
    plan->u_plane = N(wino_odd)((plan->few ? MR : plan->outputs) * plan->v_row);
    N(wino_places)(plan);
}

static size_t N(wino_grad_slot)(const wino_plan *plan) {
    return plan->few ? max_size(WINO_PLANES * plan->u_plane, N(wino_strip_room)(plan)) : N(wino_strip_room)(plan);
}

static size_t N(wino_grad_slots)(const wino_plan *plan) {
    const size_t most = max_size(WINO_ROOM / (N(wino_grad_slot)(plan) * sizeof(real)), 4);
    const size_t steps = max_size(ceil_div(plan->channels, VL) + ceil_div(plan->outputs, VL), ceil_div(plan->outputs, MR));
    return min_size(min_size(WINO_SLOTS, most), steps);
}

static size_t N(wino_grad_room)(const pd_launch *L) {
    wino_plan plan;
    wino_shape(&plan, &L->window, 0);
    N(wino_grad_layout)(&plan);
    const size_t planes = WINO_PLANES * (plan.v_plane + plan.m_plane + (plan.few ? 0 : plan.u_plane));
    return (planes + N(wino_grad_slots)(&plan) * N(wino_grad_slot)(&plan)) * sizeof(real);
}

static void N(wino_grad)(const pd_launch *L) {
    wino_plan plan;
    wino_shape(&plan, &L->window, 0);
    N(wino_grad_layout)(&plan);
    const int threaded = N(wino_work)(&plan) > WINO_THREAD_WORK;
    real *room = L->workspace;
    N(wino_job) job = {.plan = &plan, .from = L->buf[1], .to = L->buf[0], .v = room, .u = room + WINO_PLANES * plan.v_plane,
                       .weight_grad = L->buf[3], .slot = N(wino_grad_slot)(&plan), .most = N(wino_grad_slots)(&plan)};
    job.sums = job.u + WINO_PLANES * plan.m_plane;
    job.slots = job.sums + (plan.few ? 0 : WINO_PLANES * plan.u_plane);
    for (size_t g = 0; g < plan.groups; g++, job.channel += plan.channels, job.output += plan.outputs) {
        for (job.group = 0; job.group * plan.group < plan.units; job.group++) {
            job.parts = wino_parts_of(&plan, job.group);
            N(wino_share)(&job, N(wino_both), ceil_div(plan.channels, VL) + ceil_div(plan.outputs, VL), threaded);
            if (!plan.few) N(wino_share)(&job, N(wino_add), WINO_PLANES * plan.panels, threaded);
        }
        job.group = 0;
        if (plan.few) N(wino_share)(&job, N(wino_add_finish), ceil_div(plan.outputs, MR), threaded);
        else N(wino_share)(&job, N(wino_finish), plan.outputs, threaded);
        job.weight_grad += plan.outputs * plan.channels * plan.kernel[0] * plan.kernel[1];
    }
}
