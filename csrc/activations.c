/* Activations, elementwise. x: the input, y: the output, dy: the gradient of the output; s: the op's attributes.
 * A backward kernel takes (x, dy) or (y, dy), whichever needs less. Largest errors in ulp (float32, float64) are
 * measured by tests/test_ulp.py. Values at kinks are PyTorch's: a derivative at 0 is that of the negative side. */

/* max(x, 0); NaN stays. Exact. threshold: s[1] where x <= s[0]. */
MAP1_MOVE(relu_fwd, v_at_least(x, v_set(0)))
MAP1_MOVE(threshold_fwd, v_blend(x <= (real)s[0], v_set((real)s[1]), x))
MAP2_MOVE(relu_bwd, v_keep(~(x <= (real)s[0]), y)) /* (y or x, dy); of threshold, too */

/* x between the bounds s[0] and s[1]. relu6 is that of 0 and 6. */
MAP1_MOVE(hardtanh_fwd, v_at_most(v_at_least(x, v_set((real)s[0])), v_set((real)s[1])))
MAP2_MOVE(hardtanh_bwd, v_keep((x > (real)s[0]) & (x < (real)s[1]), y)) /* (x, dy) */

/* relu6(x + 3) / 6, and x times that (Howard et al. 2019) */
INLINE vreal N(hard_gate)(vreal x) { return v_at_most(v_at_least(x + 3, v_set(0)), v_set(6)) * (real)(1.0 / 6); }
MAP1_MOVE(hardsigmoid_fwd, N(hard_gate)(x))
MAP2_MOVE(hardsigmoid_bwd, v_keep((x > -3) & (x < 3), y *(real)(1.0 / 6))) /* (x, dy) */
MAP1_MOVE(hardswish_fwd, x *N(hard_gate)(x))
INLINE vreal N(hardswish_slope)(vreal x) { return v_fma(x, v_set((real)(1.0 / 3)), v_set((real)0.5)); } /* from -3 to 3 */
MAP2_MOVE(hardswish_bwd, v_blend(x >= 3, y, v_keep(~(x <= -3), y *N(hardswish_slope)(x)))) /* (x, dy) */

/* 0 from -s[0] to s[0]; beyond that x, or x less s[0] */
MAP1_MOVE(hardshrink_fwd, v_keep(~(v_abs(x) <= (real)s[0]), x))
MAP1_MOVE(softshrink_fwd, x - v_at_most(v_at_least(x, v_set(-(real)s[0])), v_set((real)s[0])))
MAP2_MOVE(shrink_bwd, v_keep(v_abs(x) > (real)s[0], y)) /* (x, dy) */

/* x above 0, y x below: y are the slopes (He, Zhang, Ren & Sun 2015) */
MAP2_MOVE(prelu_fwd, v_blend(x > 0, x, x *y))
MAP3(prelu_bwd, v_blend(x > 0, z, z *y))           /* (x, slopes, dy) */
MAP2_MOVE(prelu_slope_bwd, v_keep(~(x > 0), x *y)) /* (x, dy) */

/* x / (1 + |x|). Infinity gives NaN, and so does its slope. */
MAP1_MOVE(softsign_fwd, x / (1 + v_abs(x)))
INLINE vreal N(softsign_slope)(vreal x) {
    const vreal rest = 1 / (1 + v_abs(x));
    return v_fma(rest, rest, x - x);
}
MAP2_MOVE(softsign_bwd, y *N(softsign_slope)(x)) /* (x, dy) */

#undef MAP_COST
#define MAP_COST COST_LIGHT
MAP1(sigmoid_fwd, v_sigmoid(x))
MAP2(sigmoid_bwd, y * (x * (1 - x))) /* (y, dy) */

MAP1(tanh_fwd, v_tanh(x))
MAP2(tanh_bwd, y * ((1 - x) * (1 + x))) /* (y, dy) */

MAP1(gelu_fwd, v_gelu(x))
MAP2(gelu_bwd, y * v_gelu_slope(x)) /* (x, dy) */

/* x sigmoid(2 u) = x (1 + tanh u) / 2, u = sqrt(2 / pi) (x + 0.044715 x^3). The slope is 0 or 1 long before +-100. */
INLINE vreal N(gelu_tanh_twice_u)(vreal x) {
    return x * v_fma(x * x, v_set((real)(1.5957691216057308 * 0.044715)), v_set((real)1.5957691216057308));
}
INLINE vreal N(gelu_tanh_slope)(vreal unbounded) {
    const vreal x = v_at_most(v_at_least(unbounded, v_set(-100)), v_set(100));
    const vreal gate = v_sigmoid(N(gelu_tanh_twice_u)(x));
    const vreal du = v_fma(x * x, v_set((real)(3 * 1.5957691216057308 * 0.044715)), v_set((real)1.5957691216057308));
    return v_fma(x * du, gate * (1 - gate), gate);
}
MAP1(gelu_tanh_fwd, x * v_sigmoid(N(gelu_tanh_twice_u)(x)))
MAP2(gelu_tanh_bwd, y * N(gelu_tanh_slope)(x)) /* (x, dy) */

/* x sigmoid(x) (Elfwing, Uchibe & Doya 2017) */
INLINE vreal N(silu_slope)(vreal x) {
    const vreal gate = v_sigmoid(x);
    return v_fma(x * gate, 1 - gate, gate);
}
MAP1(silu_fwd, x * v_sigmoid(x))
MAP2(silu_bwd, y * N(silu_slope)(x)) /* (x, dy) */

/* x above 0, s[0] x below (Maas, Hannun & Ng 2013) */
MAP1(leaky_relu_fwd, v_blend(x > 0, x, x * (real)s[0]))
MAP2(leaky_relu_bwd, v_blend(x > 0, y, y * (real)s[0])) /* (x, dy) */

/* x above 0, s[0] expm1(s[1] x) below: elu for s[1] = 1 (Clevert, Unterthiner & Hochreiter 2015), celu for s[1] = 1 / s[0]
 * (Barron 2017) */
MAP1(elu_fwd, v_blend(x < 0, (real)s[0] * v_expm1(x * (real)s[1]), x))
MAP2(elu_bwd, v_blend(x > 0, y, y * ((real)(s[0] * s[1]) * v_exp(x * (real)s[1])))) /* (x, dy) */

/* elu times a constant, both such that layers keep mean 0 and variance 1 (Klambauer et al. 2017) */
#define SELU_SCALE 1.0507009873554804934193349852946
#define SELU_ALPHA 1.6732632423543772848170429916717
MAP1(selu_fwd, v_blend(x < 0, (real)(SELU_SCALE * SELU_ALPHA) * v_expm1(x), (real)SELU_SCALE *x))
MAP2(selu_bwd, y *v_blend(x > 0, v_set((real)SELU_SCALE), (real)(SELU_SCALE * SELU_ALPHA) * v_exp(x))) /* (x, dy) */

/* x - tanh(x): accurate relative to x, not to the small result near 0 */
INLINE vreal N(tanh_squared)(vreal x) {
    const vreal t = v_tanh(x);
    return t * t;
}
MAP1(tanhshrink_fwd, x - v_tanh(x))
MAP2(tanhshrink_bwd, y *N(tanh_squared)(x)) /* (x, dy) */

/* x tanh(log(1 + e)) = x n / (n + 2), e = exp(x), n = e (e + 2) (Misra 2019). From 40 on the quotient is 1 and its slope 0. */
INLINE vreal N(mish)(vreal x) {
    const vreal e = v_exp(v_at_most(x, v_set(40))), n = e * (e + 2);
    return x * (n / (n + 2));
}
INLINE vreal N(mish_slope)(vreal x) {
    const vreal e = v_exp(v_at_most(x, v_set(40))), n = e * (e + 2), rest = 1 / (n + 2);
    const vreal slope = 4 * (e * rest) * ((1 + e) * rest);
    return v_fma(x, v_keep(x < 40, slope), v_blend(x < 40, n * rest, v_set(1)));
}
MAP1(mish_fwd, N(mish)(x))
MAP2(mish_bwd, y *N(mish_slope)(x)) /* (x, dy) */

/* x sigmoid(y) (Dauphin, Fan, Auli & Grangier 2017); in (dy, y) it is the gradient of x */
INLINE vreal N(gate_slope)(vreal y) {
    const vreal gate = v_sigmoid(y);
    return gate * (1 - gate);
}
MAP2(glu_fwd, x *v_sigmoid(y))
MAP3(glu_bwd, z *(x * N(gate_slope)(y))) /* (x, y, dy): the gradient of y */

/* log(1 + exp(s[0] x)) / s[0]; x itself where s[0] x > s[1]. exp never overflows. s[0] = -1, s[1] = infinity: logsigmoid. */
INLINE vreal N(softplus)(vreal x, real beta, real inverse, real threshold) {
    const vreal scaled = x * beta, rest = v_log1p_exp(v_neg(v_abs(scaled)));
    return v_blend(scaled > threshold, x, (v_at_least(scaled, v_set(0)) + rest) * inverse);
}
MAP1(softplus_fwd, N(softplus)(x, (real)s[0], (real)(1 / s[0]), (real)s[1]))
MAP2(softplus_bwd, v_blend(x * (real)s[0] > (real)s[1], y, y * v_sigmoid(x * (real)s[0]))) /* (x, dy) */
#undef MAP_COST
#define MAP_COST COST_MOVE
