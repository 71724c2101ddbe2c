/* Functions of one float (and a few of two or three), elementwise; vec*.h hold the mathematics and the largest errors in ulp. */
MAP1_MOVE(square, x *x)
MAP1_MOVE(cube, x *x *x)
MAP1_MOVE(floor, v_floor(x))
MAP1_MOVE(ceil, v_ceil(x))
MAP1_MOVE(round, v_round(x))
MAP1_MOVE(trunc, v_trunc(x))
MAP1_MOVE(reciprocal, 1 / x)
MAP1_MOVE(frac, x - v_trunc(x))
/* NaN becomes s[0], infinity s[1], -infinity s[2] */
INLINE vreal N(number_for)(vreal x, const double *s) {
    const vreal endless = v_set((real)INFINITY), y = v_if_nan(x, v_set((real)s[0]), x);
    return v_if_equal(x, endless, v_set((real)s[1]), v_if_equal(x, -endless, v_set((real)s[2]), y));
}
MAP1_MOVE(nan_to_num, N(number_for)(x, s))
#undef MAP_COST
#define MAP_COST COST_LIGHT
MAP1(sqrt, v_sqrt(x))
MAP1(rsqrt, 1 / v_sqrt(x))
MAP1(exp, v_exp(x))
MAP1(exp2, v_exp2(x))
MAP1(expm1, v_expm1(x))
MAP1(log, v_log(x))
MAP1(sinh, v_sinh(x))
MAP1(cosh, v_cosh(x))
#undef MAP_COST
#define MAP_COST COST_HEAVY
MAP1(log1p, v_log1p(x))
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
