/* All gradients of a model at once: buf[0] is an array of step.count pointers, step.sizes their lengths; see optim.c. */
enum { N(CLIP_RUN) = 64 };

INLINE vreal N(clip_step)(vreal a, vreal x, const int p) {
    return p == 2 ? v_fma(x, x, a) : p == 1 ? a + v_abs(x) : v_max(a, v_abs(x));
}

/* sum x^2 (p = 2), sum |x| (p = 1) or max |x| (p = 0 stands for infinity) of n elements */
INLINE double N(clip_part_of)(const T *x, size_t n, const int p) {
    double total = 0;
    for (size_t i = 0; i < n;) {
        const size_t end = min_size(n, i + N(CLIP_RUN) * VL);
        vreal a[4];
        for (size_t j = 0; j < 4; j++) a[j] = v_set(0);
        for (; i + 4 * VL <= end; i += 4 * VL) {
            V_UNROLL
            for (size_t j = 0; j < 4; j++) a[j] = N(clip_step)(a[j], v_load(x + i + j * VL), p);
        }
        for (; i < end; i += VL) a[0] = N(clip_step)(a[0], v_load_left(x + i, end - i), p);
        i = end;
        if (p) total += N(merge_lanes)(N(plus_v), a[0] + a[1] + (a[2] + a[3]));
        else {
            const double most = N(merge_lanes)(N(larger_v), v_max(v_max(a[0], a[1]), v_max(a[2], a[3])));
            total = total > most || total != total ? total : most;
        }
    }
    return total;
}

/* Parts are numbered along the line: a further one is in a further chunk, or of a further parameter. */
static void N(clip_norm_part)(const step_job *job, size_t i, size_t from, size_t n) {
    const T *x = (const T *)step_buffer(job->launch, 0, i) + from;
    double *to = (double *)job->launch->workspace + (job->place[i].start + from) / STEP_GRAIN + i;
    const double p = job->launch->scalar[0];
    *to = p == 2 ? N(clip_part_of)(x, n, 2) : p == 1 ? N(clip_part_of)(x, n, 1) : N(clip_part_of)(x, n, 0);
}

static size_t N(clip_parts)(const pd_launch *launch) {
    size_t total = 0;
    for (size_t i = 0; i < launch->step.count; i++) total += ceil_div(launch->step.sizes[i], STEP_ALIGN) * STEP_ALIGN;
    return ceil_div(total, STEP_GRAIN) + launch->step.count;
}

/* buf: x, places (scratch of optim.c), out (one double); scalar[0]: p = 2, 1, or 0 for infinity. NaN gives NaN.
 * out = sum |x|^p, or max |x|; sums in double, part after part. */
static void N(clip_norm)(const pd_launch *launch) {
    const size_t parts = N(clip_parts)(launch);
    double *part = launch->workspace, total = 0;
    memset(part, 0, parts * sizeof(double));
    step_each(launch, launch->buf[1], N(clip_norm_part), step_chunk);
    for (size_t k = 0; k < parts; k++) {
        if (launch->scalar[0] != 0) total += part[k];
        else total = total > part[k] || total != total ? total : part[k];
    }
    *(double *)launch->buf[2] = total;
}
static size_t N(clip_norm_workspace)(const pd_launch *launch) { return N(clip_parts)(launch) * sizeof(double); }

static void N(clip_scale_part)(const step_job *job, size_t i, size_t from, size_t n) {
    T *x = (T *)step_buffer(job->launch, 0, i) + from;
    const double *factor = job->launch->buf[2];
    const T by = (T)(factor ? *factor : job->launch->scalar[0]);
    for (size_t j = 0; j < n; j++) x[j] *= by;
}

/* buf: x, places, factor (one double, or NULL: it is scalar[0]); x *= factor, in place */
static void N(clip_scale)(const pd_launch *launch) { step_each(launch, launch->buf[1], N(clip_scale_part), step_chunk); }
