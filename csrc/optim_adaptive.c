/* More optimizer steps, on the frame of optim.c. All share one layout of buffers:
 * buf: p, g, t (float, counts steps; advanced here), hyper, places, then the state in the order each kernel names.
 * Everywhere d = sign * g + weight_decay * p, sign being -1 to maximize. Overwrites p and the state. No fused multiply-add:
 * every instruction set and thread count gives the same bits, within 6 roundings of the equations. */
#ifndef PD_OPTIM_ADAPTIVE_ONCE
#define PD_OPTIM_ADAPTIVE_ONCE

enum { BUF_T = 2, BUF_HYPER, BUF_PLACES, BUF_STATE };

/* What the step count t makes of the hyperparameters; `scalar` holds what a parameter has of its own, or is NULL. */
typedef void (*step_factors)(step_place *place, double t, const double *hyper, float *const *scalar);

/* Advances the step counts and runs every chunk. The own scalars of a parameter, if any, follow `arrays` arrays of state. */
static UNUSED void step_counted(const pd_launch *launch, step_part part, step_factors factors, size_t arrays, size_t scalars) {
    step_place *place = launch->buf[BUF_PLACES];
    for (size_t i = 0; i < launch->step.count; i++) {
        float *t = step_buffer(launch, BUF_T, i), *own[2] = {NULL, NULL};
        const double *hyper = step_buffer(launch, BUF_HYPER, i);
        for (size_t s = 0; s < scalars; s++) own[s] = step_buffer(launch, BUF_STATE + arrays + s, i);
        *t += 1;
        if (!factors) continue;
        if (!scalars && i > 0 && *t == *(float *)step_buffer(launch, BUF_T, i - 1) && hyper == step_buffer(launch, BUF_HYPER, i - 1))
            place[i] = place[i - 1];
        else factors(&place[i], *t, hyper, own);
    }
    step_run(launch, place, part);
}

/* hyper {lr, lr_decay, ...} */
static UNUSED void adagrad_factors(step_place *place, double t, const double *hyper, float *const *scalar) {
    (void)scalar;
    place->a = hyper[0] / (1 + (t - 1) * hyper[1]);
}

/* hyper {lr, beta1, ...} */
static UNUSED void adamax_factors(step_place *place, double t, const double *hyper, float *const *scalar) {
    (void)scalar;
    place->a = hyper[0] / (1 - pow(hyper[1], t));
}

/* hyper {lr, beta1, beta2, eps, weight_decay, sign, decoupled, momentum_decay}; scalar: the product of all mu so far */
static UNUSED void nadam_factors(step_place *place, double t, const double *hyper, float *const *scalar) {
    const double mu = hyper[1] * (1 - 0.5 * pow(0.96, t * hyper[7]));
    const double next = hyper[1] * (1 - 0.5 * pow(0.96, (t + 1) * hyper[7]));
    *scalar[0] *= (float)mu;
    place->a = hyper[0] * (1 - mu) / (1 - (double)*scalar[0]);
    place->b = hyper[0] * next / (1 - (double)*scalar[0] * next);
    place->c = 1 / sqrt(1 - pow(hyper[2], t));
}

/* hyper {lr, beta1, beta2, ...}; b says whether the variance can be told yet */
static UNUSED void radam_factors(step_place *place, double t, const double *hyper, float *const *scalar) {
    const double power = pow(hyper[2], t), longest = 2 / (1 - hyper[2]) - 1, rho = longest - 2 * t * power / (1 - power);
    (void)scalar;
    place->a = hyper[0] / (1 - pow(hyper[1], t));
    place->b = rho > 5;
    if (rho > 5)
        place->a *= sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho) * (1 - power));
}

/* hyper {lr, lambd, alpha, t0, ...}; scalars: eta and mu, those of this step when called, of the next one afterwards */
static UNUSED void asgd_factors(step_place *place, double t, const double *hyper, float *const *scalar) {
    place->a = *scalar[0];
    place->b = *scalar[1];
    *scalar[0] = (float)(hyper[0] / pow(1 + hyper[1] * hyper[0] * t, hyper[2]));
    *scalar[1] = (float)(1 / fmax(1, t - hyper[3]));
}

#endif

/* d. Without decay p does not count, not even an infinite one: `reach` is then 0, else infinite. A clamp, as the compiler would
 * make two loops of a condition. */
INLINE real N(decayed)(real g, real p, real sign, real decay, real reach) {
    return sign * g + decay * (p > reach ? reach : p < -reach ? -reach : p);
}

INLINE real N(reach_of)(real decay) { return decay != 0 ? (real)INFINITY : 0; }

#define STEP_HEAD                                                                                            \
    const pd_launch *L = job->launch;                                                                        \
    const double *hyper = step_buffer(L, BUF_HYPER, i);                                                      \
    real *restrict p = (real *)step_buffer(L, 0, i) + from;                                                  \
    const real *restrict g = (const real *)step_buffer(L, 1, i) + from;
#define STEP_ARRAY(array) ((real *)step_buffer(L, BUF_STATE + (array), i) + from)

/* RMSprop (Hinton, Srivastava & Swersky 2012, lecture 6e; centered: Graves 2013).
 *   v = alpha * v + (1 - alpha) * d^2
 *   a = a + (1 - alpha) * (d - a);   s = sqrt(max(v - a^2, 0)) (centered), else sqrt(v)
 *   m = momentum * m + d / (s + eps);   p = p - lr * m            (momentum != 0)
 *   p = p - lr * d / (s + eps)                                    (momentum = 0)
 * state: v, m (NULL without momentum), a (NULL unless centered); hyper {lr, alpha, eps, weight_decay, momentum, sign}. */
INLINE void N(rmsprop_loop)(size_t n, real *restrict p, const real *restrict g, real *restrict v, real *restrict m,
                            real *restrict a, const double *hyper) {
    const real lr = (real)hyper[0], keep = (real)hyper[1], gain = (real)(1 - hyper[1]), eps = (real)hyper[2];
    const real decay = (real)hyper[3], momentum = (real)hyper[4], sign = (real)hyper[5];
    const real reach = N(reach_of)(decay);
    for (size_t j = 0; j < n; j++) {
        const real d = N(decayed)(g[j], p[j], sign, decay, reach);
        v[j] = keep * v[j] + gain * d * d;
        real square = v[j];
        if (a) {
            a[j] += gain * (d - a[j]);
            square -= a[j] * a[j];
            square = square < 0 ? 0 : square;
        }
        real change = d / (N(root)(square) + eps);
        if (m) change = m[j] = momentum * m[j] + change;
        p[j] -= lr * change;
    }
}

static void N(rmsprop_part)(const step_job *job, size_t i, size_t from, size_t n) {
    STEP_HEAD
    const int moves = step_buffer(L, BUF_STATE + 1, i) != NULL, centered = step_buffer(L, BUF_STATE + 2, i) != NULL;
    real *v = STEP_ARRAY(0);
    if (moves && centered) N(rmsprop_loop)(n, p, g, v, STEP_ARRAY(1), STEP_ARRAY(2), hyper);
    else if (moves) N(rmsprop_loop)(n, p, g, v, STEP_ARRAY(1), NULL, hyper);
    else if (centered) N(rmsprop_loop)(n, p, g, v, NULL, STEP_ARRAY(2), hyper);
    else N(rmsprop_loop)(n, p, g, v, NULL, NULL, hyper);
}

static void N(rmsprop_step)(const pd_launch *launch) { step_counted(launch, N(rmsprop_part), NULL, 3, 0); }

/* Adagrad (Duchi, Hazan & Singer 2011).
 *   v = v + d^2;   p = p - lr / (1 + (t - 1) * lr_decay) * d / (sqrt(v) + eps)
 * state: v; hyper {lr, lr_decay, weight_decay, eps, sign}. */
static void N(adagrad_part)(const step_job *job, size_t i, size_t from, size_t n) {
    STEP_HEAD
    real *restrict v = STEP_ARRAY(0);
    const real rate = (real)job->place[i].a, decay = (real)hyper[2], eps = (real)hyper[3], sign = (real)hyper[4];
    const real reach = N(reach_of)(decay);
    for (size_t j = 0; j < n; j++) {
        const real d = N(decayed)(g[j], p[j], sign, decay, reach);
        v[j] += d * d;
        p[j] -= rate * d / (N(root)(v[j]) + eps);
    }
}

static void N(adagrad_step)(const pd_launch *launch) { step_counted(launch, N(adagrad_part), adagrad_factors, 1, 0); }

/* Adadelta (Zeiler 2012).
 *   v = rho * v + (1 - rho) * d^2;   x = sqrt(u + eps) / sqrt(v + eps) * d
 *   u = rho * u + (1 - rho) * x^2;   p = p - lr * x
 * state: v, u; hyper {lr, rho, eps, weight_decay, sign}. */
static void N(adadelta_part)(const step_job *job, size_t i, size_t from, size_t n) {
    STEP_HEAD
    real *restrict v = STEP_ARRAY(0), *restrict u = STEP_ARRAY(1);
    const real lr = (real)hyper[0], keep = (real)hyper[1], gain = (real)(1 - hyper[1]), eps = (real)hyper[2];
    const real decay = (real)hyper[3], sign = (real)hyper[4];
    const real reach = N(reach_of)(decay);
    for (size_t j = 0; j < n; j++) {
        const real d = N(decayed)(g[j], p[j], sign, decay, reach);
        v[j] = keep * v[j] + gain * d * d;
        const real x = N(root)(u[j] + eps) / N(root)(v[j] + eps) * d;
        u[j] = keep * u[j] + gain * x * x;
        p[j] -= lr * x;
    }
}

static void N(adadelta_step)(const pd_launch *launch) { step_counted(launch, N(adadelta_part), NULL, 2, 0); }

/* Adamax (Kingma & Ba 2015, section 7.1).
 *   m = m + (1 - beta1) * (d - m);   u = max(beta2 * u, |d| + eps);   p = p - lr / (1 - beta1^t) * m / u
 * state: m, u; hyper {lr, beta1, beta2, eps, weight_decay, sign}. */
static void N(adamax_part)(const step_job *job, size_t i, size_t from, size_t n) {
    STEP_HEAD
    real *restrict m = STEP_ARRAY(0), *restrict u = STEP_ARRAY(1);
    const real rate = (real)job->place[i].a, gain = (real)(1 - hyper[1]), keep = (real)hyper[2], eps = (real)hyper[3];
    const real decay = (real)hyper[4], sign = (real)hyper[5];
    const real reach = N(reach_of)(decay);
    for (size_t j = 0; j < n; j++) {
        const real d = N(decayed)(g[j], p[j], sign, decay, reach), old = keep * u[j], now = (d < 0 ? -d : d) + eps;
        m[j] += gain * (d - m[j]);
        u[j] = old > now || old != old ? old : now;
        p[j] -= rate * m[j] / u[j];
    }
}

static void N(adamax_step)(const pd_launch *launch) { step_counted(launch, N(adamax_part), adamax_factors, 2, 0); }

/* NAdam: Adam with Nesterov's momentum (Dozat 2016). mu(t) = beta1 * (1 - 0.96^(t * momentum_decay) / 2), M = its product.
 *   p = p - lr * weight_decay * p and d = sign * g (decoupled)
 *   m = m + (1 - beta1) * (d - m);   v = beta2 * v + (1 - beta2) * d^2
 *   p = p - lr * ((1 - mu(t)) / (1 - M(t)) * d + mu(t+1) / (1 - M(t+1)) * m) / (sqrt(v / (1 - beta2^t)) + eps)
 * state: m, v, M (one float); hyper as nadam_factors has it. */
static void N(nadam_part)(const step_job *job, size_t i, size_t from, size_t n) {
    STEP_HEAD
    real *restrict m = STEP_ARRAY(0), *restrict v = STEP_ARRAY(1);
    const step_place place = job->place[i];
    const real now = (real)place.a, next = (real)place.b, scale = (real)place.c, eps = (real)hyper[3], sign = (real)hyper[5];
    const real gain1 = (real)(1 - hyper[1]), keep2 = (real)hyper[2], gain2 = (real)(1 - hyper[2]);
    const real decay = (real)(hyper[6] != 0 ? 0 : hyper[4]), left = (real)(hyper[6] != 0 ? 1 - hyper[0] * hyper[4] : 1);
    const real reach = N(reach_of)(decay);
    for (size_t j = 0; j < n; j++) {
        const real d = N(decayed)(g[j], p[j], sign, decay, reach);
        m[j] += gain1 * (d - m[j]);
        v[j] = keep2 * v[j] + gain2 * d * d;
        p[j] = left * p[j] - (now * d + next * m[j]) / (N(root)(v[j]) * scale + eps);
    }
}

static void N(nadam_step)(const pd_launch *launch) { step_counted(launch, N(nadam_part), nadam_factors, 2, 1); }

/* RAdam: Adam whose adaptive rate waits until its variance is known (Liu et al. 2020). R = 2 / (1 - beta2) - 1.
 *   p = p - lr * weight_decay * p and d = sign * g (decoupled)
 *   m = m + (1 - beta1) * (d - m);   v = beta2 * v + (1 - beta2) * d^2;   r = R - 2 t beta2^t / (1 - beta2^t)
 *   c = sqrt((r - 4) (r - 2) R / ((R - 4) (R - 2) r))
 *   p = p - lr / (1 - beta1^t) * m * c * sqrt(1 - beta2^t) / (sqrt(v) + eps)      (r > 5)
 *   p = p - lr / (1 - beta1^t) * m                                                (r <= 5)
 * state: m, v; hyper {lr, beta1, beta2, eps, weight_decay, sign, decoupled}. */
static void N(radam_part)(const step_job *job, size_t i, size_t from, size_t n) {
    STEP_HEAD
    real *restrict m = STEP_ARRAY(0), *restrict v = STEP_ARRAY(1);
    const real rate = (real)job->place[i].a, eps = (real)hyper[3], sign = (real)hyper[5];
    const real gain1 = (real)(1 - hyper[1]), keep2 = (real)hyper[2], gain2 = (real)(1 - hyper[2]);
    const real decay = (real)(hyper[6] != 0 ? 0 : hyper[4]), left = (real)(hyper[6] != 0 ? 1 - hyper[0] * hyper[4] : 1);
    const int adaptive = job->place[i].b != 0;
    const real reach = N(reach_of)(decay);
    for (size_t j = 0; j < n; j++) {
        const real d = N(decayed)(g[j], p[j], sign, decay, reach);
        m[j] += gain1 * (d - m[j]);
        v[j] = keep2 * v[j] + gain2 * d * d;
        p[j] = left * p[j] - (adaptive ? rate * m[j] / (N(root)(v[j]) + eps) : rate * m[j]);
    }
}

static void N(radam_step)(const pd_launch *launch) { step_counted(launch, N(radam_part), radam_factors, 2, 0); }

/* ASGD: averaged stochastic gradient descent (Polyak & Juditsky 1992; eta as Bottou 2010).
 *   p = p - eta * lambd * p - eta * d;   a = a + mu * (p - a)
 *   eta = lr / (1 + lambd * lr * t)^alpha;   mu = 1 / max(1, t - t0)              (for the next step)
 * state: a, eta, mu (one float each); hyper {lr, lambd, alpha, t0, weight_decay, sign}. */
static void N(asgd_part)(const step_job *job, size_t i, size_t from, size_t n) {
    STEP_HEAD
    real *restrict a = STEP_ARRAY(0);
    const real eta = (real)job->place[i].a, mu = (real)job->place[i].b, left = (real)(1 - hyper[1] * job->place[i].a);
    const real decay = (real)hyper[4], sign = (real)hyper[5];
    const real reach = N(reach_of)(decay);
    for (size_t j = 0; j < n; j++) {
        p[j] = left * p[j] - eta * N(decayed)(g[j], p[j], sign, decay, reach);
        a[j] = mu != 1 ? a[j] + mu * (p[j] - a[j]) : p[j];
    }
}

static void N(asgd_step)(const pd_launch *launch) { step_counted(launch, N(asgd_part), asgd_factors, 1, 2); }

/* Rprop (Riedmiller & Braun 1993; without backtracking: iRprop-, Igel & Huesken 2000). d = sign * g.
 *   s = clamp(s * (etaplus, etaminus or 1 where d * before is above, below or 0), smallest, largest)
 *   d = 0 where d * before < 0;   p = p - sgn(d) * s;   before = d
 * A NaN in g reaches p. state: before, s; hyper {etaminus, etaplus, smallest, largest, sign}. */
static void N(rprop_part)(const step_job *job, size_t i, size_t from, size_t n) {
    STEP_HEAD
    real *restrict before = STEP_ARRAY(0), *restrict size = STEP_ARRAY(1);
    const real down = (real)hyper[0], up = (real)hyper[1], low = (real)hyper[2], high = (real)hyper[3], sign = (real)hyper[4];
    for (size_t j = 0; j < n; j++) {
        const real d = sign * g[j], turn = d * before[j];
        const real s = size[j] * (turn > 0 ? up : turn < 0 ? down : 1), bounded = s < low ? low : s > high ? high : s;
        const real kept = turn < 0 ? 0 : d;
        size[j] = bounded;
        before[j] = kept;
        p[j] -= kept > 0 ? bounded : kept < 0 ? -bounded : kept;
    }
}

static void N(rprop_step)(const pd_launch *launch) { step_counted(launch, N(rprop_part), NULL, 2, 0); }
#undef STEP_HEAD
#undef STEP_ARRAY
