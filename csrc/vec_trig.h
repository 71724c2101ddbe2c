/* Circular functions and their inverses for vectors of `real`. Reduction after Cody & Waite: x = n pi/2 + r with pi/2 in
 * four parts, of which n times each but the last is exact; lanes too large for that (n above 2^13 or 2^20) ask libm,
 * which carries as many digits of pi as it takes. Polynomials are minimax. */
#ifndef PD_VEC_TRIG_ONCE
#define PD_VEC_TRIG_ONCE
#define v_trig_reduce N(v_trig_reduce)
#define v_sin_small N(v_sin_small)
#define v_cos_small N(v_cos_small)
#define v_by_libm N(v_by_libm)
#define v_bit_mask N(v_bit_mask)
#define v_sin N(v_sin)
#define v_cos N(v_cos)
#define v_tan N(v_tan)
#define v_atan_small N(v_atan_small)
#define v_atan N(v_atan)
#define v_atan2 N(v_atan2)
#define v_asin_small N(v_asin_small)
#define v_asin N(v_asin)
#define v_acos N(v_acos)
#endif

#undef TRIG_LIMIT
#undef PIO2_1
#undef PIO2_2
#undef PIO2_3
#undef PIO2_4
#undef PIO2_HIGH
#undef PIO2_LOW
#if BITS == 32
#define TRIG_LIMIT 12000.0f
#define PIO2_1 0x1.92p+0f
#define PIO2_2 0x1.fb4p-12f
#define PIO2_3 0x1.444p-24f
#define PIO2_4 0x1.68c234p-39f
#define PIO2_HIGH 1.57079637f
#define PIO2_LOW -4.37113883e-08f
static const real N(sin_coefficients)[] = {-0.166666672f, 0.00833332911f, -0.000198393274f, 2.71823706e-06f};
static const real N(cos_coefficients)[] = {0.0416666456f, -0.00138873619f, 2.44377297e-05f};
static const real N(atan_coefficients)[] = {-0.333333194f, 0.199986368f, -0.142460436f, 0.106094733f, -0.0611265711f};
static const real N(asin_coefficients)[] = {0.166666612f, 0.0750047341f, 0.0445213616f,
                                            0.0317784064f, 0.014530018f, 0.0374081396f};
#else
#define TRIG_LIMIT 1.6e6
#define PIO2_1 1.57079632673412561417e+00
#define PIO2_2 6.07710050630396597660e-11
#define PIO2_3 2.02226624871116645580e-21
#define PIO2_4 8.47842766036889956997e-32
#define PIO2_HIGH 1.5707963267948966
#define PIO2_LOW 6.123233995736766e-17
static const real N(sin_coefficients)[] = {-0.16666666666666666, 0.0083333333333333245, -0.00019841269841256047,
                                           2.7557319214598603e-06, -2.5052105000216121e-08, 1.6058376282638894e-10,
                                           -7.5791148093332442e-13};
static const real N(cos_coefficients)[] = {0.041666666666666616, -0.0013888888888876037, 2.4801587290497018e-05,
                                           -2.7557314607724522e-07, 2.08757540627333e-09, -1.1361080722308561e-11};
static const real N(atan_coefficients)[] = {
    -0.33333333333333304, 0.19999999999976628, -0.14285714282085302, 0.11111110863634399, -0.090908997692981719,
    0.076920920346686808, -0.066634302214739871, 0.058500525154065182, -0.050482642554678783, 0.038275240959047767,
    -0.018121953293334627};
static const real N(asin_coefficients)[] = {
    0.16666666666666688, 0.074999999999852865, 0.044642857163456194, 0.030381943160072308, 0.022372203898996721,
    0.017351788902121166, 0.013978908919328098, 0.011413176576592736, 0.010706662759215656, 0.0039641989873835728,
    0.021122084763075161, -0.020221871809143987, 0.032170564308731657};
#endif

/* r in [-pi/4, pi/4] and the quadrant n (its low bits) of |x| <= TRIG_LIMIT */
INLINE vreal v_trig_reduce(vreal x, vuint *n) {
    const vreal magic = v_set((real)(1.5 * V_INTEGRAL));
    const vreal shifted = v_fma(x, v_set((real)0.636619772367581343076), magic), integer = shifted - magic;
    vreal r = v_fma(integer, v_set(-PIO2_1), x);
    r = v_fma(integer, v_set(-PIO2_2), r);
    r = v_fma(integer, v_set(-PIO2_3), r);
    *n = (vuint)shifted;
    return v_fma(integer, v_set(-PIO2_4), r);
}

/* sin(r), cos(r) for |r| <= pi/4, z = r^2 */
INLINE vreal v_sin_small(vreal r, vreal z) { return v_copysign(v_fma(r * z, V_POLY(z, N(sin_coefficients)), r), r); }
INLINE vreal v_cos_small(vreal z) {
    return v_fma(z * z, V_POLY(z, N(cos_coefficients)), v_fma(z, v_set((real)-0.5), v_set(1)));
}

/* All ones where the lowest bit of n is set */
INLINE vint v_bit_mask(vuint n) { return (vint)(-(n & 1)); }

/* f of the lanes of x that are beyond the limit or NaN, y of the others */
static UNUSED void v_by_libm(const vreal *x, vreal *y, double (*f)(double)) {
    for (size_t i = 0; i < VL; i++)
        if (!((*x)[i] <= TRIG_LIMIT && (*x)[i] >= -TRIG_LIMIT)) (*y)[i] = (real)f((double)(*x)[i]);
}

/* sin(x): 2.1, 1.7 ulp (0.5 by libm) */
INLINE vreal v_sin(vreal x) {
    vuint n;
    const vreal r = v_trig_reduce(x, &n), z = r * r;
    vreal y = v_blend(v_bit_mask(n), v_cos_small(z), v_sin_small(r, z));
    y = (vreal)((vuint)y ^ (n >> 1 << (BITS - 1)));
    if (UNLIKELY(v_any(~(v_abs(x) <= TRIG_LIMIT)))) v_by_libm(&x, &y, sin);
    return y;
}

/* cos(x): 2.1, 1.5 ulp */
INLINE vreal v_cos(vreal x) {
    vuint n;
    const vreal r = v_trig_reduce(x, &n), z = r * r;
    vreal y = v_blend(v_bit_mask(n), v_sin_small(r, z), v_cos_small(z));
    y = (vreal)((vuint)y ^ ((n + 1) >> 1 << (BITS - 1)));
    if (UNLIKELY(v_any(~(v_abs(x) <= TRIG_LIMIT)))) v_by_libm(&x, &y, cos);
    return y;
}

/* tan(x) = sin(x) / cos(x): 3.6, 3.4 ulp */
INLINE vreal v_tan(vreal x) {
    vuint n;
    const vreal r = v_trig_reduce(x, &n), z = r * r, s = v_sin_small(r, z), c = v_cos_small(z);
    const vint odd = v_bit_mask(n);
    vreal y = v_blend(odd, v_neg(c), s) / v_blend(odd, s, c);
    if (UNLIKELY(v_any(~(v_abs(x) <= TRIG_LIMIT)))) v_by_libm(&x, &y, tan);
    return y;
}

/* atan(t) + offset for |t| <= tan(pi/8) */
INLINE vreal v_atan_small(vreal t, vreal offset_high, vreal offset_low) {
    const vreal z = t * t;
    return offset_high + (t + v_fma(t * z, V_POLY(z, N(atan_coefficients)), offset_low));
}

/* atan(x): atan(a) = pi/4 + atan((a - 1) / (a + 1)) = pi/2 - atan(1 / a): 1.8, 1.6 ulp */
INLINE vreal v_atan(vreal x) {
    const vreal a = v_abs(x);
    const vint middle = a > (real)0.414213562373095, large = a > (real)2.41421356237309;
    const vreal up = v_blend(large, v_set(-1), v_blend(middle, a - 1, a));
    const vreal down = v_blend(large, a, v_blend(middle, a + 1, v_set(1)));
    const vreal quarters = v_blend(large, v_set(1), v_keep(middle, v_set((real)0.5)));
    return v_copysign(v_atan_small(up / down, quarters * PIO2_HIGH, quarters * PIO2_LOW), x);
}

/* The angle of the point (x, y); atan2(+-0, -0) = +-pi, atan2(+-0, +0) = +-0, as C99: 2.1, 2.1 ulp */
INLINE vreal v_atan2(vreal y, vreal x) {
    const vreal ax = v_abs(x), ay = v_abs(y);
    const vint steep = ay > ax, same = ax == ay, behind = (vint)x < 0;
    const vreal small = v_blend(steep, ax, ay), big = v_blend(steep, ay, ax);
    const vreal ratio = v_blend(same, v_blend(ax == 0, v_set(0), v_set(1)), small / big); /* 0 / 0, inf / inf */
    const vint middle = ratio > (real)0.414213562373095;
    const vreal t = v_blend(middle, (ratio - 1) / (ratio + 1), ratio);
    const vreal flip = v_blend(steep ^ behind, v_set(-1), v_set(1)); /* the angle runs backwards in these octants */
    const vreal base = v_blend(steep, v_set(1), v_keep(behind, v_set(2)));
    const vreal quarters = base + flip * v_keep(middle, v_set((real)0.5));
    const vreal angle = v_atan_small(flip * t, quarters * PIO2_HIGH, quarters * PIO2_LOW);
    return v_blend((x != x) | (y != y), x + y, v_copysign(angle, y));
}

/* asin(s) for |s| <= 1/2, z = s^2 */
INLINE vreal v_asin_small(vreal s, vreal z) { return v_fma(s * z, V_POLY(z, N(asin_coefficients)), s); }

/* asin(x) = pi/2 - 2 asin(sqrt((1 - a) / 2)) for a = |x| > 1/2; NaN above 1: 2.3, 2.1 ulp */
INLINE vreal v_asin(vreal x) {
    const vreal a = v_abs(x);
    const vint large = a > (real)0.5;
    const vreal z = v_blend(large, (real)0.5 * (1 - a), a * a), s = v_blend(large, v_sqrt(z), a);
    const vreal p = v_asin_small(s, z);
    return v_copysign(v_blend(large, PIO2_HIGH - (2 * p - PIO2_LOW), p), x);
}

/* acos(x) = 2 asin(sqrt((1 - x) / 2)) for x > 1/2; NaN outside [-1, 1]: 1.1, 1.1 ulp */
INLINE vreal v_acos(vreal x) {
    const vreal a = v_abs(x);
    const vint large = a > (real)0.5;
    const vreal z = v_blend(large, (real)0.5 * (1 - a), a * a), s = v_blend(large, v_sqrt(z), x);
    const vreal p = v_asin_small(s, z);
    const vreal ends = v_blend(x < 0, 2 * PIO2_HIGH - (2 * p - 2 * PIO2_LOW), 2 * p);
    return v_blend(large, ends, PIO2_HIGH - (p - PIO2_LOW));
}
