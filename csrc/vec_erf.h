/* erf, erfc and the normal distribution for vectors of `real`. erfc(z) = exp(-z^2) W(z) for z >= 0; W is smooth and is a
 * minimax polynomial of t = (z - a) / (z + a). z^2 is carried to twice T's precision, as exp magnifies its error. */
#ifndef PD_VEC_ERF_ONCE
#define PD_VEC_ERF_ONCE
#define v_erfcx N(v_erfcx)
#define v_erfc_tail N(v_erfc_tail)
#define v_erf_small N(v_erf_small)
#define v_erfc N(v_erfc)
#define v_erf N(v_erf)
#define v_normal_density N(v_normal_density)
#define v_normal_cdf N(v_normal_cdf)
#define v_gelu N(v_gelu)
#define v_gelu_slope N(v_gelu_slope)
#endif

#undef ERFC_CENTRE
#undef ERFC_HIGH
#undef NORMAL_HIGH
#if BITS == 32
#define ERFC_CENTRE 3
#define ERFC_HIGH 10.2f   /* erfc is 0 above */
#define NORMAL_HIGH 14.4f /* the normal density is 0 above */
static const real N(erfcx_coefficients)[] = {
    0.179001153f, -0.326233566f, 0.2456038f, -0.150115788f, 0.0716658607f, -0.0243942328f,
    0.00426887674f, 0.000715732458f, -0.000594569778f, 2.88787778e-05f, 5.59151667e-05f};
static const real N(erf_coefficients)[] = {0.128379166f, -0.37612626f, 0.112835854f, -0.0268538147f,
                                           0.00518833054f, -0.000801020244f, 7.85384982e-05f};
#else
#define ERFC_CENTRE 4
#define ERFC_HIGH 27.3
#define NORMAL_HIGH 38.7
static const real N(erfcx_coefficients)[] = {
    0.13699945762506138, -0.25906804876017164, 0.21871967891826521, -0.16425781669730832, 0.10896317739888561,
    -0.063107815639758452, 0.03129905651915247, -0.012843946031070422, 0.0040602636182787534, -0.00079912681579012105,
    -2.1761681724644432e-05, 7.8983190989971152e-05, -2.255620862599533e-05, -1.9032353630637514e-06,
    2.9450415162605804e-06, -4.0867854666173035e-07, -2.8502970551306013e-07, 9.6060836940466018e-08,
    2.6482043102062268e-08, -1.498353044447546e-08, -3.1223606039099026e-09, 1.5936478000367677e-09,
    4.4314953921556956e-10};
static const real N(erf_coefficients)[] = {
    0.12837916709551259, -0.37612638903183748, 0.11283791670954858, -0.026866170645072959, 0.0052239776247813702,
    -0.00085483269787651485, 0.00012055331037551108, -1.4925593518728226e-05, 1.6460972954153765e-06,
    -1.6350026192077269e-07, 1.4657883530919653e-08, -1.136567067182716e-09, 5.945255584223488e-11};
#endif

/* exp(z^2) erfc(z) for z >= 0 */
INLINE vreal v_erfcx(vreal z) {
    const vreal t = (z - ERFC_CENTRE) / (z + ERFC_CENTRE);
    return V_POLY(t, N(erfcx_coefficients));
}

/* erfc(|x|) */
INLINE vreal v_erfc_tail(vreal x) {
    const vreal z = v_at_most(v_abs(x), v_set(ERFC_HIGH)), square = z * z;
    return v_exp_sum(v_neg(square), v_neg(v_product_low(z, z, square))) * v_erfcx(z);
}

/* erf(x) for |x| < 1 */
INLINE vreal v_erf_small(vreal x) { return v_fma(x, V_POLY(x * x, N(erf_coefficients)), x); }

/* erf(x) */
INLINE vreal v_erf(vreal x) {
    return v_blend(v_abs(x) < 1, v_erf_small(x), v_copysign(1 - v_erfc_tail(x), x));
}

/* 1 - erf(x) without loss in the upper tail */
INLINE vreal v_erfc(vreal x) {
    const vreal tail = v_erfc_tail(x), large = v_blend(x < 0, 2 - tail, tail);
    return v_blend(v_abs(x) < (real)0.5, 1 - v_erf_small(x), large);
}

/* exp(-x^2 / 2) */
INLINE vreal v_normal_density(vreal x) {
    const vreal z = v_at_most(v_abs(x), v_set(NORMAL_HIGH)), square = z * z;
    return v_exp_sum((real)-0.5 * square, (real)-0.5 * v_product_low(z, z, square));
}

/* The normal distribution function, where density = v_normal_density(x): no loss in the lower tail */
INLINE vreal v_normal_cdf(vreal x, vreal density) {
    const vreal z = v_at_most(v_abs(x), v_set(NORMAL_HIGH)) * (real)0.707106781186547524401;
    const vreal tail = (real)0.5 * density * v_erfcx(z);
    return v_blend(x < 0, tail, 1 - tail);
}

/* x Phi(x) (Hendrycks & Gimpel 2016) and its derivative Phi(x) + x phi(x) */
INLINE vreal v_gelu(vreal x) { return x * v_normal_cdf(x, v_normal_density(x)); }
INLINE vreal v_gelu_slope(vreal x) {
    const vreal density = v_normal_density(x);
    return v_fma(x * (real)0.398942280401432677940, density, v_normal_cdf(x, density));
}
