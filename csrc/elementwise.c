/* Functions of one float (and a few of two or three), elementwise; vec*.h hold the mathematics and the largest errors in ulp. */
MAP1(square, x *x)
MAP1(floor, v_floor(x))
MAP1(ceil, v_ceil(x))
MAP1(round, v_round(x))
MAP1(trunc, v_trunc(x))
MAP1(reciprocal, 1 / x)
MAP1(frac, x - v_trunc(x))
/* NaN becomes s[0], infinity s[1], -infinity s[2] */
MAP1(nan_to_num, v_blend(x != x, v_set((real)s[0]),
                         v_blend(v_abs(x) == v_set((real)INFINITY), v_blend(x > 0, v_set((real)s[1]), v_set((real)s[2])), x)))
/* x + z (y - x), taken from the nearer end, so that z = 0 gives x and z = 1 gives y */
MAP3(lerp, v_blend(v_abs(z) < (real)0.5, v_fma(z, y - x, x), v_fma(z - 1, y - x, y)))
MAP3(addcdiv, x + (real)s[0] * y / z)
#undef MAP_COST
#define MAP_COST COST_LIGHT
MAP1(sqrt, v_sqrt(x))
MAP1(rsqrt, 1 / v_sqrt(x))
MAP1(exp, v_exp(x))
MAP1(exp2, v_exp2(x))
MAP1(expm1, v_expm1(x))
MAP1(log, v_log(x))
/* 0 where x is 0, whatever y is, but NaN */
MAP2(xlogy, v_blend((x == 0) & (y == y), v_set(0), x *v_log(y)))
/* sqrt(x^2 + y^2) without overflow: the larger one times sqrt(1 + the square of their quotient) */
INLINE vreal N(hypotenuse)(vreal x, vreal y) {
    const vreal a = v_abs(x), b = v_abs(y), large = v_max(a, b), rest = v_min(a, b) / large;
    const vreal endless = v_set((real)INFINITY);
    return v_blend((a == endless) | (b == endless), endless, v_blend(large == 0, large, large * v_sqrt(v_fma(rest, rest, v_set(1)))));
}
MAP2(hypot, N(hypotenuse)(x, y))
MAP1(sinh, v_sinh(x))
MAP1(cosh, v_cosh(x))
#undef MAP_COST
#define MAP_COST COST_HEAVY
MAP1(log1p, v_log1p(x))
MAP2(logaddexp, v_max(x, y) + v_log1p_exp(v_blend(x == y, v_set(0), v_neg(v_abs(x - y)))))
MAP1(log2, v_log2(x))
MAP1(log10, v_log10(x))
MAP1(sin, v_sin(x))
MAP1(cos, v_cos(x))
MAP1(tan, v_tan(x))
MAP1(asin, v_asin(x))
MAP1(acos, v_acos(x))
MAP1(atan, v_atan(x))
MAP2(atan2, v_atan2(x, y)) /* (y, x) in the usual names */
MAP1(asinh, v_asinh(x))
MAP1(acosh, v_acosh(x))
MAP1(atanh, v_atanh(x))
MAP1(erf, v_erf(x))
MAP1(erfc, v_erfc(x))
#undef MAP_COST
#define MAP_COST COST_MOVE
