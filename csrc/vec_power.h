/* pow and fmod for vectors of `real`. pow carries log|x| to about twice T's precision as a sum of two terms (Dekker
 * 1971), as exp magnifies its error by up to 88 (float32) or 709 (float64). */
#ifndef PD_VEC_POWER_ONCE
#define PD_VEC_POWER_ONCE
#define v_log_pair N(v_log_pair)
#define v_is_odd N(v_is_odd)
#define v_pow N(v_pow)
#define v_fmod N(v_fmod)
#define v_fmod_by_libm N(v_fmod_by_libm)
#define v_remainder N(v_remainder)
#define v_floor_divide N(v_floor_divide)
#endif

/* log(1 + f) = 2 s + s (2/3 z + z^2 P(z)), s = f / (2 + f), z = s^2 */
#undef TWO_THIRDS
#undef TWO_THIRDS_LOW
#undef FMOD_LIMIT
#if BITS == 32
#define FMOD_LIMIT 0x1p22f /* quotients whose product with y splits exactly */
#define TWO_THIRDS 0.666666687f
#define TWO_THIRDS_LOW -1.98682155e-08f
static const real N(log_pair_coefficients)[] = {0.400001526f, 0.285470903f, 0.234196752f};
#else
#define FMOD_LIMIT 0x1p26
#define TWO_THIRDS 0.66666666666666663
#define TWO_THIRDS_LOW 3.7007434154171883e-17
static const real N(log_pair_coefficients)[] = {0.39999999999999997, 0.28571428571434271, 0.22222222219795443,
                                                0.18181818627911886, 0.15384571559648055, 0.13335809260127252,
                                                0.11684187497260938, 0.1191755409063975};
#endif

/* log(x) = high + *low for finite x > 0 */
INLINE vreal v_log_pair(vreal x, vreal *low) {
    vreal k;
    const vreal f = v_log_split(x, &k), d = 2 + f, d_low = f - (d - 2);
    const vreal s = f / d, product = s * d;
    const vreal s_low = (((f - product) - v_product_low(s, d, product)) - s * d_low) / d;
    const vreal z = s * s, z_low = v_product_low(s, s, z) + 2 * s * s_low;
    const vreal u = z * TWO_THIRDS, u_low = v_product_low(z, v_set(TWO_THIRDS), u) + z_low * TWO_THIRDS + z * TWO_THIRDS_LOW;
    const vreal w = v_fma(z * z, V_POLY(z, N(log_pair_coefficients)), u_low);
    const vreal r = u + w, r_low = (u - r) + w;
    const vreal t = s * r, t_low = v_product_low(s, r, t) + s * r_low + s_low * r;
    const vreal l = 2 * s + t, l_low = (2 * s - l) + t + (2 * s_low + t_low);
    const vreal whole = k * LN2_HIGH, sum = whole + l, rest = ((whole - sum) + l) + v_fma(k, v_set(LN2_LOW), l_low);
    const vreal high = sum + rest;
    *low = (sum - high) + rest;
    return high;
}

INLINE vint v_is_odd(vreal y) {
    const vreal half = (real)0.5 * y;
    return (v_trunc(y) == y) & (v_trunc(half) != half);
}

/* x to the power of y, with the special values of C99's pow: 1.2, 1.2 ulp */
INLINE vreal v_pow(vreal x, vreal y) {
    vreal low;
    const vreal a = v_abs(x);
    const vint usual = (a > 0) & (a < V_INFINITY);
    const vreal finite = v_log_pair(v_blend(usual, a, v_set(1)), &low);
    const vreal high = v_blend(usual, finite, v_blend(a == 0, v_set(-V_INFINITY), a));
    const vreal product = y * high;
    const vint ordinary = (product > EXP_LOW) & (product < EXP_HIGH);
    const vreal rest = v_keep(ordinary, v_product_low(y, high, product) + y * low);
    vreal p = v_exp_sum(v_at_most(product, v_set(EXP_HIGH)), rest);
    p = v_blend((a == 1) & (y == y), v_set(1), p);
    p = (vreal)((vuint)p | ((vuint)x & (vuint)v_is_odd(y) & v_bits(V_SIGN)));
    p = v_blend((x < 0) & (v_trunc(y) != y) & (x != -V_INFINITY), v_set((real)NAN), p);
    return v_blend((x == 1) | (y == 0), v_set(1), p);
}

static UNUSED void v_fmod_by_libm(const vreal *x, const vreal *y, const vint *lanes, vreal *r) {
    for (size_t i = 0; i < VL; i++)
        if ((*lanes)[i]) (*r)[i] = (real)fmod((double)(*x)[i], (double)(*y)[i]);
}

/* The remainder of trunc(x / y), exact, with the sign of x. A large quotient or a tiny y asks libm. */
INLINE vreal v_fmod(vreal x, vreal y) {
    const vreal a = v_abs(x), b = v_abs(y), quotient = a / b;
    const vreal q = v_trunc(quotient), product = q * b;
    vreal r = (a - product) - v_product_low(q, b, product); /* q is exact or one too large */
    r = v_copysign(v_blend(r < 0, r + b, r), x);
    const vint lanes = ~((quotient < FMOD_LIMIT) & (b > LOG_SMALLEST * (real)V_INTEGRAL) & (b < V_INFINITY));
    if (UNLIKELY(v_any(lanes))) v_fmod_by_libm(&x, &y, &lanes, &r);
    return r;
}

/* x - y floor(x / y): has the sign of y, as Python's % */
INLINE vreal v_remainder(vreal x, vreal y) {
    const vreal r = v_fmod(x, y);
    return v_blend((r != 0) & ((r < 0) ^ (y < 0)), r + y, r);
}

/* floor(x / y) from the exact remainder, as Python's //; x / y where y is 0 */
INLINE vreal v_floor_divide(vreal x, vreal y) {
    const vreal r = v_fmod(x, y), quotient = (x - r) / y;
    const vreal q = quotient + v_keep((r != 0) & ((r < 0) ^ (y < 0)), v_set(-1));
    const vreal down = v_floor(q), nearest = v_blend(q - down > (real)0.5, down + 1, down);
    return v_blend(y == 0, x / y, v_blend(q == 0, v_copysign(v_set(0), x / y), nearest));
}
