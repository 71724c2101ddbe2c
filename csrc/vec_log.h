/* Logarithms of vectors of `real`. Reduction and form after fdlibm (Sun, 1993): x = 2^k (1 + f) with
 * sqrt(1/2) <= 1 + f < sqrt(2), s = f / (2 + f), log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)); R is a minimax polynomial. */
#ifndef PD_VEC_LOG_ONCE
#define PD_VEC_LOG_ONCE
#define v_log_split N(v_log_split)
#define v_log_rest N(v_log_rest)
#define v_log_special N(v_log_special)
#define v_log_based N(v_log_based)
#define v_log N(v_log)
#define v_log1p N(v_log1p)
#define v_log1p_exp N(v_log1p_exp)
#define v_log2 N(v_log2)
#define v_log10 N(v_log10)
#define v_asinh N(v_asinh)
#define v_acosh N(v_acosh)
#define v_atanh N(v_atanh)
#endif

#undef LOG_SMALLEST
#undef ONE_BITS
#undef ROOT_HALF_BITS
#undef V_INFINITY
#undef LOG2E_HIGH
#undef LOG2E_LOW
#undef LOG10E_HIGH
#undef LOG10E_LOW
#undef LOG10_2_HIGH
#undef LOG10_2_LOW
#if BITS == 32
#define LOG_SMALLEST FLT_MIN
#define ONE_BITS UINT32_C(0x3f800000)
#define ROOT_HALF_BITS UINT32_C(0x3f3504f3)
#define LOG2E_HIGH 0x1.716p+0f /* upper parts short enough for exact products */
#define LOG2E_LOW -0.000176052861f
#define LOG10E_HIGH 0x1.bccp-2f
#define LOG10E_LOW -3.16899717e-05f
#define LOG10_2_HIGH 0x1.344p-2f
#define LOG10_2_LOW 4.60503898e-06f
static const real N(log_coefficients)[] = {0.666666627f, 0.400003374f, 0.285372406f, 0.235835537f};
#else
#define LOG_SMALLEST DBL_MIN
#define ONE_BITS UINT64_C(0x3ff0000000000000)
#define ROOT_HALF_BITS UINT64_C(0x3fe6a09e667f3bcd)
#define LOG2E_HIGH 0x1.7154768p+0
#define LOG2E_LOW -1.0542692476429138e-08
#define LOG10E_HIGH 0x1.bcb7b18p-2
#define LOG10E_LOW -2.6524694553078553e-09
#define LOG10_2_HIGH 0x1.344135p-2
#define LOG10_2_LOW 5.801722962879576e-10
static const real N(log_coefficients)[] = {0.66666666666667351, 0.3999999999941109, 0.28571428743262689, 0.22222198475985216,
                                           0.18183569739853339, 0.15313903245646124, 0.14797507719017533};
#endif
#define V_INFINITY ((real)INFINITY)

/* f and k (as a real) of a positive finite x */
INLINE vreal v_log_split(vreal x, vreal *k) {
    const vint subnormal = x < LOG_SMALLEST;
    const vreal scale = v_set((real)V_INTEGRAL);
    const vuint u = (vuint)v_blend(subnormal, x * scale, x) + (ONE_BITS - ROOT_HALF_BITS);
    const vuint magic = (vuint)v_set((real)(1.5 * V_INTEGRAL));
    const vreal exponent = (vreal)((u >> MANTISSA) + magic) - (real)(1.5 * V_INTEGRAL + EXP_BIAS);
    *k = exponent - v_keep(subnormal, v_set(MANTISSA));
    return (vreal)((u & v_bits(((ubits_t)1 << MANTISSA) - 1)) + ROOT_HALF_BITS) - 1;
}

/* log(1 + f) - (f - half), where half = f^2 / 2 */
INLINE vreal v_log_rest(vreal f, vreal half) {
    const vreal s = f / (2 + f), z = s * s;
    return s * v_fma(z, V_POLY(z, N(log_coefficients)), half);
}

/* y, but -infinity for 0, infinity for infinity, NaN for NaN and below 0 */
INLINE vreal v_log_special(vreal x, vreal y) {
    const vreal other = v_blend(x == 0, v_set(-V_INFINITY), v_blend(x < 0, v_set((real)NAN), x));
    return v_blend((x > 0) & (x < V_INFINITY), y, other);
}

/* log(x): 0.87, 0.84 ulp */
INLINE vreal v_log(vreal x) {
    vreal k;
    const vreal f = v_log_split(x, &k), half = (real)0.5 * f * f;
    const vreal low = v_fma(k, v_set(LN2_LOW), v_log_rest(f, half)) - half;
    return v_log_special(x, v_fma(k, v_set(LN2_HIGH), low + f));
}

/* log(1 + x): what 1 + x rounds away comes back as a first-order term: 0.83, 0.77 ulp */
INLINE vreal v_log1p(vreal x) {
    vreal k;
    const vreal u = 1 + x, back = u - 1, lost = (1 - (u - back)) + (x - back);
    const vreal f = v_log_split(u, &k), half = (real)0.5 * f * f;
    const vreal low = v_fma(k, v_set(LN2_LOW), lost / u + v_log_rest(f, half)) - half;
    return v_copysign(v_log_special(u, v_fma(k, v_set(LN2_HIGH), low + f)), x);
}

/* log(1 + exp(x)) for x <= 0: with e = exp(x) in [0, 1] it is log(1 + e), or ln 2 + log(1 + (e - 1) / 2) from sqrt(2) - 1 on, by
 * the same polynomial of s: 2.4, 2.5 ulp */
INLINE vreal v_log1p_exp(vreal x) {
    const vreal e = v_exp(x);
    const vint large = e > (real)0.41421356237309503;
    const vreal s = (e - v_keep(large, v_set(1))) / (e + v_blend(large, v_set(3), v_set(2))), z = s * s;
    const vreal rest = v_fma(s * z, V_POLY(z, N(log_coefficients)), s + s);
    return rest + v_keep(large, v_set((real)0.693147180559945309417));
}

/* k + (log(1 + f)) * (high + low) with the product carried to more than T's precision: the log of any base */
INLINE vreal v_log_based(vreal x, real per_k_high, real per_k_low, real high, real low) {
    vreal k;
    const vreal f = v_log_split(x, &k), half = (real)0.5 * f * f;
    const vreal coarse = (vreal)((vuint)(f - half) & v_bits(HIGH_HALF));
    const vreal rest = ((f - coarse) - half) + v_log_rest(f, half);
    const vreal small = v_fma(rest, v_set(high), (rest + coarse) * low) + k * per_k_low;
    const vreal large = coarse * high, whole = k * per_k_high, sum = whole + large;
    return v_log_special(x, sum + (((whole - sum) + large) + small));
}

/* 0.75, 0.71 and 0.68, 0.65 ulp */
INLINE vreal v_log2(vreal x) { return v_log_based(x, 1, 0, LOG2E_HIGH, LOG2E_LOW); }
INLINE vreal v_log10(vreal x) { return v_log_based(x, LOG10_2_HIGH, LOG10_2_LOW, LOG10E_HIGH, LOG10E_LOW); }

/* asinh(x) = log1p(a + a^2 / (1 + sqrt(1 + a^2))), a = |x|; log(2 a) where a^2 may overflow: 1.6, 1.7 ulp */
INLINE vreal v_asinh(vreal x) {
    const vreal a = v_abs(x), square = a * a;
    const vint large = a > V_INTEGRAL;
    const vreal y = v_log1p(v_blend(large, (real)0.5 * a, a + square / (1 + v_sqrt(1 + square))));
    return v_copysign(v_blend(large, y + (real)(2 * 0.693147180559945309417), y), x);
}

/* acosh(x) = log1p(t + sqrt(2 t + t^2)), t = x - 1: 2.0, 2.1 ulp */
INLINE vreal v_acosh(vreal x) {
    const vreal t = x - 1;
    const vint large = x > V_INTEGRAL;
    const vreal y = v_log1p(v_blend(large, (real)0.5 * x, t + v_sqrt(v_fma(t, t, t + t))));
    return v_blend(x < 1, v_set((real)NAN), v_blend(large, y + (real)(2 * 0.693147180559945309417), y));
}

/* atanh(x) = log1p(2 a / (1 - a)) / 2, a = |x|: 1.9, 1.9 ulp */
INLINE vreal v_atanh(vreal x) {
    const vreal a = v_abs(x);
    return v_copysign((real)0.5 * v_log1p((a + a) / (1 - a)), x);
}
