/* What other kernels could do in several passes, elementwise. x, y, z: the inputs in order. */
MAP3(addcmul, v_fma((real)s[0] * y, z, x)) /* x + s[0] y z */
MAP3(addcdiv, x + (real)s[0] * y / z)
/* x + z (y - x), taken from the nearer end, so that z = 0 gives x and z = 1 gives y */
MAP3(lerp, v_blend(v_abs(z) < (real)0.5, v_fma(z, y - x, x), v_fma(z - 1, y - x, y)))
#undef MAP_COST
#define MAP_COST COST_LIGHT
/* 0 where x is 0, whatever y is, but NaN */
MAP2(xlogy, v_blend((x == 0) & (y == y), v_set(0), x *v_log(y)))
/* sqrt(x^2 + y^2) without overflow: the larger one times sqrt(1 + the square of their quotient) */
INLINE vreal N(hypotenuse)(vreal x, vreal y) {
    const vreal a = v_abs(x), b = v_abs(y), large = v_max(a, b), rest = v_min(a, b) / large;
    const vreal endless = v_set((real)INFINITY);
    return v_blend((a == endless) | (b == endless), endless, v_blend(large == 0, large, large * v_sqrt(v_fma(rest, rest, v_set(1)))));
}
MAP2(hypot, N(hypotenuse)(x, y))
#undef MAP_COST
#define MAP_COST COST_HEAVY
MAP2(logaddexp, v_max(x, y) + v_log1p_exp(v_blend(x == y, v_set(0), v_neg(v_abs(x - y)))))
#undef MAP_COST
#define MAP_COST COST_MOVE
