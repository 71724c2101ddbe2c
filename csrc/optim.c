/* Optimizer steps: each kernel updates all parameters of a launch in one pass over memory.
 * Buffers hold arrays of `count` pointers, one a parameter: p the parameter, g its gradient, its state, its hyperparameters
 * (parameters of a group share theirs); every array of a parameter is contiguous, sizes[i] long. Hyperparameters are read
 * when the kernel runs, and step counts live in memory the kernel itself advances: the same launch run again is the next
 * step. No fused multiply-add and no order of summation: every instruction set and thread count gives the same bits, within
 * 4 roundings of the equations. Subnormal numbers count as zero: else the state of what gets no gradient any more would
 * decay to the smallest of them and stay there, where processors take several times as long.
 * The parameters are one long line cut into chunks of STEP_GRAIN, small ones together.
 * `places`, the last buffer, is scratch for count step_place. */
#ifndef PD_OPTIM_ONCE
#define PD_OPTIM_ONCE

enum { STEP_GRAIN = 16384, STEP_ALIGN = 16 };

/* Where parameter i starts on the line, and what its step count makes of the hyperparameters. */
typedef struct step_place {
    size_t start;
    double a, b, c;
} step_place;
_Static_assert(sizeof(step_place) == PD_STEP_PLACE, "whoever launches a step allocates the places");

typedef struct step_job step_job;
typedef void (*step_part)(const step_job *job, size_t parameter, size_t from, size_t n);
struct step_job {
    const pd_launch *launch;
    const step_place *place;
    step_part part;
    size_t total;
};

static UNUSED void *step_buffer(const pd_launch *launch, size_t buffer, size_t parameter) {
    return ((void *const *)launch->buf[buffer])[parameter];
}

static UNUSED void step_chunk(void *context, size_t chunk) {
    const step_job *job = context;
    const pd_step *step = &job->launch->step;
    const size_t first = chunk * STEP_GRAIN, last = min_size(first + STEP_GRAIN, job->total);
    size_t low = 0, high = step->count; /* the last parameter that starts at or before `first` */
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (job->place[middle].start <= first) low = middle;
        else high = middle;
    }
    for (size_t i = low; i < step->count && job->place[i].start < last; i++) {
        const size_t start = job->place[i].start, from = first > start ? first - start : 0;
        const size_t end = min_size(last - start, step->sizes[i]);
        if (from < end) job->part(job, i, from, end - from);
    }
}

/* Subnormal operands and results are zero for this thread from now on -> how it was. */
static UNUSED uint64_t flush_subnormals(void) {
    uint64_t before = 0;
#if defined(__x86_64__) || defined(__i386__)
    before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr((unsigned)before | 0x8040); /* flush to zero, denormals are zero */
#elif defined(__aarch64__)
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (uint64_t)1 << 24));
#endif
    return before;
}

static UNUSED void restore_subnormals(uint64_t before) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_ldmxcsr((unsigned)before);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
#else
    (void)before;
#endif
}

static UNUSED void step_chunk_flushing(void *context, size_t chunk) {
    const uint64_t before = flush_subnormals();
    step_chunk(context, chunk);
    restore_subnormals(before);
}

/* Fills the places' starts and runs every chunk. */
static UNUSED void step_each(const pd_launch *launch, step_place *place, step_part part, pd_task run_chunk) {
    step_job job = {launch, place, part, 0};
    for (size_t i = 0; i < launch->step.count; i++) {
        place[i].start = job.total;
        job.total += ceil_div(launch->step.sizes[i], STEP_ALIGN) * STEP_ALIGN;
    }
    const size_t chunks = ceil_div(job.total, STEP_GRAIN);
    if (chunks <= 4)
        for (size_t chunk = 0; chunk < chunks; chunk++) run_chunk(&job, chunk);
    else pd_parallel(chunks, run_chunk, &job);
}

static UNUSED void step_run(const pd_launch *launch, step_place *place, step_part part) {
    step_each(launch, place, part, step_chunk_flushing);
}

/* Advances the step count t of every parameter; a = lr / (1 - beta1^t), b = 1 / sqrt(1 - beta2^t). */
static UNUSED void adam_corrections(const pd_launch *launch, step_place *place) {
    const double *hyper = NULL;
    float last = -1;
    double a = 0, b = 0;
    for (size_t i = 0; i < launch->step.count; i++) {
        float *t = step_buffer(launch, 5, i);
        *t += 1;
        if (*t != last || step_buffer(launch, 6, i) != hyper) {
            last = *t;
            hyper = step_buffer(launch, 6, i);
            a = hyper[0] / (1 - pow(hyper[1], (double)last));
            b = 1 / sqrt(1 - pow(hyper[2], (double)last));
        }
        place[i].a = a;
        place[i].b = b;
    }
}

#endif

INLINE real N(root)(real x) { return sizeof(real) == 4 ? (real)sqrtf((float)x) : (real)sqrt((double)x); }

/* Stochastic gradient descent with momentum (Sutskever et al. 2013; Nesterov 1983).
 *   d = sign * g + weight_decay * p
 *   m = d on a parameter's first step, else momentum * m + (1 - dampening) * d      (momentum != 0)
 *   d = d + momentum * m (nesterov), else m
 *   p = p - lr * d
 * buf: p, g, m (NULL without momentum), started (count uint8: 0 before a parameter's first step; set here),
 *      hyper {lr, momentum, dampening, weight_decay, sign (-1 to maximize), nesterov}, places. */
static void N(sgd_plain)(size_t n, real *restrict p, const real *restrict g, real lr, real decay, real sign) {
    for (size_t i = 0; i < n; i++) p[i] -= lr * (sign * g[i] + decay * p[i]);
}

static void N(sgd_momentum)(size_t n, real *restrict p, const real *restrict g, real *restrict m, const double *hyper,
                            int started) {
    const real lr = (real)hyper[0], decay = (real)hyper[3], sign = (real)hyper[4], momentum = (real)hyper[1];
    const real keep = started ? momentum : 0, gain = started ? (real)(1 - hyper[2]) : 1;
    if (!started) memset(m, 0, n * sizeof(real));
    if (hyper[5] != 0)
        for (size_t i = 0; i < n; i++) {
            const real d = sign * g[i] + decay * p[i];
            m[i] = keep * m[i] + gain * d;
            p[i] -= lr * (d + momentum * m[i]);
        }
    else
        for (size_t i = 0; i < n; i++) {
            m[i] = keep * m[i] + gain * (sign * g[i] + decay * p[i]);
            p[i] -= lr * m[i];
        }
}

static void N(sgd_part)(const step_job *job, size_t i, size_t from, size_t n) {
    const pd_launch *L = job->launch;
    const double *hyper = step_buffer(L, 4, i);
    real *p = (real *)step_buffer(L, 0, i) + from;
    const real *g = (const real *)step_buffer(L, 1, i) + from;
    real *m = step_buffer(L, 2, i);
    if (!m) N(sgd_plain)(n, p, g, (real)hyper[0], (real)hyper[3], (real)hyper[4]);
    else N(sgd_momentum)(n, p, g, m + from, hyper, ((const uint8_t *)L->buf[3])[i]);
}

static void N(sgd_step)(const pd_launch *launch) {
    step_run(launch, launch->buf[5], N(sgd_part));
    memset(launch->buf[3], 1, launch->step.count);
}

/* Adam (Kingma & Ba 2015; amsgrad: Reddi, Kale & Kumar 2018), weight decay coupled: added to the gradient.
 *   d = sign * g + weight_decay * p
 *   m = m + (1 - beta1) * (d - m)          v = beta2 * v + (1 - beta2) * d^2
 *   w = max(w, v) (amsgrad), else v
 *   p = p - lr / (1 - beta1^t) * m / (sqrt(w) / sqrt(1 - beta2^t) + eps)
 * buf: p, g, m, v, w (NULL without amsgrad), t (float, counts steps; advanced here),
 *      hyper {lr, beta1, beta2, eps, weight_decay, sign (-1 to maximize)}, places. */
static void N(adam_part)(const step_job *job, size_t i, size_t from, size_t n) {
    const pd_launch *L = job->launch;
    const double *hyper = step_buffer(L, 6, i);
    real *restrict p = (real *)step_buffer(L, 0, i) + from;
    const real *restrict g = (const real *)step_buffer(L, 1, i) + from;
    real *restrict m = (real *)step_buffer(L, 2, i) + from, *restrict v = (real *)step_buffer(L, 3, i) + from;
    const real rate = (real)job->place[i].a, scale = (real)job->place[i].b, eps = (real)hyper[3];
    const real gain1 = (real)(1 - hyper[1]), keep2 = (real)hyper[2], gain2 = (real)(1 - hyper[2]);
    const real decay = (real)hyper[4], sign = (real)hyper[5];
    if (step_buffer(L, 4, i)) {
        real *restrict w = (real *)step_buffer(L, 4, i) + from;
        for (size_t j = 0; j < n; j++) {
            const real d = sign * g[j] + decay * p[j];
            m[j] += gain1 * (d - m[j]);
            v[j] = keep2 * v[j] + gain2 * d * d;
            w[j] = v[j] > w[j] || v[j] != v[j] ? v[j] : w[j];
            p[j] -= rate * m[j] / (N(root)(w[j]) * scale + eps);
        }
    } else
        for (size_t j = 0; j < n; j++) {
            const real d = sign * g[j] + decay * p[j];
            m[j] += gain1 * (d - m[j]);
            v[j] = keep2 * v[j] + gain2 * d * d;
            p[j] -= rate * m[j] / (N(root)(v[j]) * scale + eps);
        }
}

static void N(adam_step)(const pd_launch *launch) {
    adam_corrections(launch, launch->buf[7]);
    step_run(launch, launch->buf[7], N(adam_part));
}

/* AdamW (Loshchilov & Hutter 2019): Adam with weight decay decoupled from the gradient.
 *   p = p - lr * weight_decay * p
 *   m = m + (1 - beta1) * (sign * g - m)   v = beta2 * v + (1 - beta2) * g^2
 *   w = max(w, v) (amsgrad), else v
 *   p = p - lr / (1 - beta1^t) * m / (sqrt(w) / sqrt(1 - beta2^t) + eps)
 * buf and hyper as for adam_step. */
static void N(adamw_part)(const step_job *job, size_t i, size_t from, size_t n) {
    const pd_launch *L = job->launch;
    const double *hyper = step_buffer(L, 6, i);
    real *restrict p = (real *)step_buffer(L, 0, i) + from;
    const real *restrict g = (const real *)step_buffer(L, 1, i) + from;
    real *restrict m = (real *)step_buffer(L, 2, i) + from, *restrict v = (real *)step_buffer(L, 3, i) + from;
    const real rate = (real)job->place[i].a, scale = (real)job->place[i].b, eps = (real)hyper[3];
    const real gain1 = (real)(1 - hyper[1]), keep2 = (real)hyper[2], gain2 = (real)(1 - hyper[2]);
    const real shrink = (real)(1 - hyper[0] * hyper[4]), sign = (real)hyper[5];
    if (step_buffer(L, 4, i)) {
        real *restrict w = (real *)step_buffer(L, 4, i) + from;
        for (size_t j = 0; j < n; j++) {
            m[j] += gain1 * (sign * g[j] - m[j]);
            v[j] = keep2 * v[j] + gain2 * g[j] * g[j];
            w[j] = v[j] > w[j] || v[j] != v[j] ? v[j] : w[j];
            p[j] = shrink * p[j] - rate * m[j] / (N(root)(w[j]) * scale + eps);
        }
    } else
        for (size_t j = 0; j < n; j++) {
            m[j] += gain1 * (sign * g[j] - m[j]);
            v[j] = keep2 * v[j] + gain2 * g[j] * g[j];
            p[j] = shrink * p[j] - rate * m[j] / (N(root)(v[j]) * scale + eps);
        }
}

static void N(adamw_step)(const pd_launch *launch) {
    adam_corrections(launch, launch->buf[7]);
    step_run(launch, launch->buf[7], N(adamw_part));
}
