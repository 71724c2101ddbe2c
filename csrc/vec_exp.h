/* exp and what is made of it, for vectors of `real`. Reduction after Cody & Waite (Software Manual for the Elementary
 * Functions, 1980): x = n ln 2 + r, |r| <= ln 2 / 2, so that exp(x) = 2^n (1 + p(r)); p is a minimax polynomial.
 * ln 2 is split so that n times its upper part is exact: the reduction is as good without a fused multiply-add. */
#ifndef PD_VEC_EXP_ONCE
#define PD_VEC_EXP_ONCE
#define v_exp N(v_exp)
#define v_exp_sum N(v_exp_sum)
#define v_exp_reduce N(v_exp_reduce)
#define v_exp_finish N(v_exp_finish)
#define v_expm1_small N(v_expm1_small)
#define v_half_expm1 N(v_half_expm1)
#define v_half_exp N(v_half_exp)
#define v_exp2 N(v_exp2)
#define v_expm1 N(v_expm1)
#define v_sinh N(v_sinh)
#define v_cosh N(v_cosh)
#define v_tanh N(v_tanh)
#define v_sigmoid N(v_sigmoid)
#endif

#undef EXP_BIAS
#undef EXP_FLUSHED
#undef EXP_LOW
#undef EXP_HIGH
#undef EXPM1_LOW
#undef TANH_HIGH
#undef LN2_HIGH
#undef LN2_LOW
#if BITS == 32
#define EXP_BIAS 127
#define EXP_LOW -104.0f /* exp is 0 below, infinite above EXP_HIGH */
#define EXP_HIGH 89.0f
#define EXP_FLUSHED -88.0f /* exp is below the least normal number */
#define EXPM1_LOW -20.0f   /* expm1 is -1 below */
#define TANH_HIGH 10.0f  /* tanh is 1 above */
#define LN2_HIGH 0x1.63p-1f
#define LN2_LOW -0x1.bd0106p-13f
static const real N(expm1_coefficients)[] = {0.5f, 0.16666542f, 0.0416662768f, 0.0083667757f, 0.00139468443f};
#else
#define EXP_BIAS 1023
#define EXP_LOW -746.0
#define EXP_HIGH 710.0
#define EXP_FLUSHED -709.0
#define EXPM1_LOW -40.0
#define TANH_HIGH 22.0
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
static const real N(expm1_coefficients)[] = {
    0.5, 0.16666666666666677, 0.041666666666666699, 0.0083333333333213411, 0.0013888888888866323, 0.00019841269886945742,
    2.4801587361584028e-05, 2.7557243306973839e-06, 2.755724187409155e-07, 2.5109375969900242e-08, 2.0924718726314689e-09};
#endif

/* x = n ln 2 + r for EXP_LOW <= x <= EXP_HIGH; *n holds n + bias in its low bits. Adding 1.5 * 2^MANTISSA rounds to an
 * integer and leaves it there. */
INLINE vreal v_exp_reduce(vreal x, real bias, vuint *n) {
    const real shift = (real)1.5 * (real)V_INTEGRAL + bias;
    const vreal shifted = v_fma(x, v_set((real)1.44269504088896340736), v_set(shift)), integer = shifted - shift;
    *n = (vuint)shifted;
    return v_fma(integer, v_set(-LN2_LOW), v_fma(integer, v_set(-LN2_HIGH), x));
}

/* expm1(r) for |r| <= ln 2 / 2 */
INLINE vreal v_expm1_small(vreal r) { return v_fma(r * r, V_POLY(r, N(expm1_coefficients)), r); }

/* 2^n exp(r), *n biased by 2 * EXP_BIAS, in two steps, so that overflow and subnormal results come out as they should */
INLINE vreal v_exp_finish(vreal r, vuint n) {
    const vuint half = n >> 1;
    const vreal low = (vreal)(half << MANTISSA), high = (vreal)((n - half) << MANTISSA);
    return (1 + v_expm1_small(r)) * low * high;
}

/* exp(x): 1.1, 1.0 ulp */
INLINE vreal v_exp(vreal x) {
    vuint n;
    const vreal r = v_exp_reduce(v_at_most(v_at_least(x, v_set(EXP_LOW)), v_set(EXP_HIGH)), 2 * EXP_BIAS, &n);
    return v_exp_finish(r, n);
}

/* exp(x + low) for x <= EXP_HIGH and a `low` below the last places of x: keeps what x alone would have lost */
INLINE vreal v_exp_sum(vreal x, vreal low) {
    vuint n;
    const vreal r = v_exp_reduce(v_at_least(x, v_set(EXP_LOW)), 2 * EXP_BIAS, &n);
    return v_exp_finish(r + low, n);
}

/* exp(x) / 2 for x >= 0: does not overflow before cosh does */
INLINE vreal v_half_exp(vreal x) {
    vuint n;
    const vreal r = v_exp_reduce(v_at_most(x, v_set(EXP_HIGH + 1)), 2 * EXP_BIAS - 1, &n);
    return v_exp_finish(r, n);
}

/* 2^x: 1.1, 1.1 ulp */
INLINE vreal v_exp2(vreal x) {
    const real shift = (real)1.5 * (real)V_INTEGRAL + 2 * EXP_BIAS;
    const vreal bounded = v_at_most(v_at_least(x, v_set(-EXP_BIAS - MANTISSA - 1)), v_set(EXP_BIAS + 1));
    const vreal shifted = bounded + shift, r = bounded - (shifted - shift);
    return v_exp_finish(r * (real)0.693147180559945309417, (vuint)shifted);
}

/* (exp(x) - 1) / 2, and its terms of first and higher order apart; half of it, as 2^n may overflow before 2^n exp(r) does.
 * In float64 the small term also takes what rounds off the large one: without that tanh reaches 2.05 ulp. */
INLINE vreal v_half_expm1(vreal x, vreal *large, vreal *small) {
    vuint n;
    const vreal r = v_exp_reduce(x, EXP_BIAS - 1, &n), power = (vreal)(n << MANTISSA);
    const vreal offset = power - (real)0.5, squared = power * (r * r), p = V_POLY(r, N(expm1_coefficients));
    *large = v_fma(power, r, offset);
    *small = BITS == 32 ? squared * p : v_fma(squared, p, v_fma(power, r, offset - *large));
    return BITS == 32 ? v_fma(squared, p, *large) : *large + *small;
}

/* exp(x) - 1: 1.3, 1.6 ulp */
INLINE vreal v_expm1(vreal x) {
    vreal large, small;
    const vreal bounded = v_at_most(v_at_least(x, v_set(EXPM1_LOW)), v_set(EXP_HIGH));
    return v_copysign(2 * v_half_expm1(bounded, &large, &small), x);
}

/* tanh(x) = q = H / (H + 1), H = expm1(2 |x|) / 2; where H is small as H - H q, which feels fewer roundings: 1.65, 1.7 ulp */
INLINE vreal v_tanh(vreal x) {
    vreal large, small;
    const vreal a = v_at_most(v_abs(x), v_set(TANH_HIGH));
    const vreal h = v_half_expm1(a + a, &large, &small), q = h / (h + 1);
    const vreal y = v_blend(h < (real)0.34, large + v_fma(v_neg(h), q, small), q);
    return (vreal)((vuint)y | ((vuint)x & v_bits(V_SIGN)));
}

/* 1 / (1 + exp(-x)) without loss in the lower tail, down to the least normal number, 0 below it: 2.5, 2.5 ulp */
INLINE vreal v_sigmoid(vreal x) {
    vuint n;
    const vreal negative = (vreal)((vuint)x | v_bits(V_SIGN));
    const vreal r = v_exp_reduce(v_at_least(negative, v_set(EXP_FLUSHED)), EXP_BIAS, &n);
    const vreal power = (vreal)(n << MANTISSA);
    const vreal e = v_fma(power * (r * r), V_POLY(r, N(expm1_coefficients)), v_fma(power, r, power));
    return v_blend(x < 0, e, v_set(1)) / (1 + e);
}

/* sinh(x) = (E + E / (E + 1)) / 2, E = expm1(|x|); exp(|x|) / 2 where E + 1 = E: 2.3, 2.2 ulp */
INLINE vreal v_sinh(vreal x) {
    const vreal a = v_abs(x), e = v_expm1(v_at_most(a, v_set(TANH_HIGH * 2)));
    const vreal y = (real)0.5 * (e + e / (e + 1));
    return v_copysign(v_blend(a > TANH_HIGH * 2, v_half_exp(a), y), x);
}

/* cosh(x): 1.5, 1.4 ulp */
INLINE vreal v_cosh(vreal x) {
    const vreal e = v_half_exp(v_abs(x));
    return e + (real)0.25 / e;
}
