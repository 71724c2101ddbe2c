/* Activations, elementwise. x: the input, y: the output, dy: the gradient of the output; s: the op's attributes.
 * A backward kernel takes (x, dy) or (y, dy), whichever needs less. Largest errors in ulp (float32, float64) are
 * measured by tests/test_ulp.py. Values at kinks are PyTorch's: a derivative at 0 is that of the negative side. */

/* max(x, 0); NaN stays. Exact. */
MAP1_MOVE(relu_fwd, v_at_least(x, v_set(0)))
MAP2_MOVE(relu_bwd, v_keep(~(x <= 0), y)) /* (y or x, dy) */

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

/* x above 0, s[0] expm1(x) below (Clevert, Unterthiner & Hochreiter 2015) */
MAP1(elu_fwd, v_blend(x < 0, (real)s[0] * v_expm1(x), x))
MAP2(elu_bwd, v_blend(x > 0, y, y * ((real)s[0] * v_exp(x)))) /* (x, dy) */

/* log(1 + exp(s[0] x)) / s[0]; x itself where s[0] x > s[1] */
INLINE vreal N(softplus)(vreal x, real beta, real threshold) {
    const vreal scaled = x * beta;
    return v_blend(scaled > threshold, x, v_log1p(v_exp(scaled)) / beta);
}
MAP1(softplus_fwd, N(softplus)(x, (real)s[0], (real)s[1]))
MAP2(softplus_bwd, v_blend(x * (real)s[0] > (real)s[1], y, y * v_sigmoid(x * (real)s[0]))) /* (x, dy) */
#undef MAP_COST
#define MAP_COST COST_MOVE
