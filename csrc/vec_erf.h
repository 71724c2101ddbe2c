/* erf, erfc and the normal distribution for vectors of `real`. erfc(z) = exp(-z^2) W(z) for z >= 0; W is smooth and is a
 * minimax polynomial of t = (z - a) / (z + a). z^2 is carried to twice T's precision, as exp magnifies its error. */
#ifndef PD_VEC_ERF_ONCE
#define PD_VEC_ERF_ONCE
#define v_erfcx N(v_erfcx)
#define v_erfc_tail N(v_erfc_tail)
#define v_erf_small N(v_erf_small)
#define v_erfc N(v_erfc)
#define v_erf N(v_erf)
#define v_normal_tail N(v_normal_tail)
#define v_gelu N(v_gelu)
#define v_gelu_slope N(v_gelu_slope)
#endif

#undef ERFC_CENTRE
#undef ERFC_HIGH
#undef NORMAL_HIGH
#undef NORMAL_CENTRE
#undef NORMAL_POLY
#undef ERF_CENTRE
#if BITS == 32
#define ERFC_CENTRE 3
#define ERFC_HIGH 10.2f   /* erfc is 0 above */
#define NORMAL_CENTRE 3
#define NORMAL_POLY V_POLY
#define NORMAL_HIGH 13.27f /* the normal density is below the least normal number above */
static const real N(normal_coefficients)[] = {
    0.121513948f, -0.206402615f, 0.123225018f, -0.0462133139f, 0.00613218313f, 0.00290470268f,
    -0.000984182698f, -0.00033991129f, 0.000116037292f, 5.41508016e-05f};
static const real N(erfcx_coefficients)[] = {
    0.179001153f, -0.326233566f, 0.2456038f, -0.150115788f, 0.0716658607f, -0.0243942328f,
    0.00426887674f, 0.000715732458f, -0.000594569778f, 2.88787778e-05f, 5.59151667e-05f};
#define GELU_HIGH 5.4f
static const real N(gelu_coefficients)[] = {0.99999994f, 1.1511122f, 0.459147602f, 0.052675698f, -0.00730436994f,
                                            0.000298858562f, 0.0001328746f, -3.30481562e-05f, 3.37553161e-06f,
                                            -1.36223775e-07f};
static const real N(exp2_coefficients)[] = {0.693146944f, 0.24022235f, 0.0555074066f, 0.00967194606f, 0.00132638577f};
#define ERF_CENTRE (real)0.5
static const real N(erf_coefficients)[] = {-0.0345312618f, -0.281072199f, 0.0794100314f, -0.0182832759f,
                                           0.00347970007f, -0.000565641094f, 8.01619972e-05f};
#else
#define ERFC_CENTRE 4
#define ERFC_HIGH 27.3
#define NORMAL_CENTRE (real)5.5
#define NORMAL_POLY V_HORNER
#define NORMAL_HIGH 37.655
static const real N(normal_coefficients)[] = {
    0.070342694025127883, -0.13263209589552227, 0.11097999178516664, -0.082058686759646712, 0.053174681650142386,
    -0.029779592983336402, 0.014072788252172057, -0.0053655537618356296, 0.0014878630215586332, -0.00019757987976179475,
    -5.4011512166337947e-05, 3.599432052321111e-05, -5.0086307128387441e-06, -2.5853611089512237e-06,
    1.1423089672316221e-06, 9.4340444729768031e-08, -1.5925635464672527e-07, 8.1660964022207511e-09,
    2.0720855224792721e-08, -2.4556029356308063e-09, -2.5957487126992397e-09, 2.6948365163882947e-10,
    2.3072579131074476e-10};
static const real N(erfcx_coefficients)[] = {
    0.13699945762506138, -0.25906804876017164, 0.21871967891826521, -0.16425781669730832, 0.10896317739888561,
    -0.063107815639758452, 0.03129905651915247, -0.012843946031070422, 0.0040602636182787534, -0.00079912681579012105,
    -2.1761681724644432e-05, 7.8983190989971152e-05, -2.255620862599533e-05, -1.9032353630637514e-06,
    2.9450415162605804e-06, -4.0867854666173035e-07, -2.8502970551306013e-07, 9.6060836940466018e-08,
    2.6482043102062268e-08, -1.498353044447546e-08, -3.1223606039099026e-09, 1.5936478000367677e-09,
    4.4314953921556956e-10};
#define ERF_CENTRE 0
static const real N(erf_coefficients)[] = {
    0.12837916709551259, -0.37612638903183748, 0.11283791670954858, -0.026866170645072959, 0.0052239776247813702,
    -0.00085483269787651485, 0.00012055331037551108, -1.4925593518728226e-05, 1.6460972954153765e-06,
    -1.6350026192077269e-07, 1.4657883530919653e-08, -1.136567067182716e-09, 5.945255584223488e-11};
#endif

/* exp(z^2) erfc(z) for z >= 0 */
INLINE vreal v_erfcx(vreal z) {
    const vreal t = (z - ERFC_CENTRE) / (z + ERFC_CENTRE);
    return V_HORNER(t, N(erfcx_coefficients));
}

/* erfc(|x|) */
INLINE vreal v_erfc_tail(vreal x) {
    const vreal z = v_at_most(v_abs(x), v_set(ERFC_HIGH)), square = z * z;
    return v_exp_sum(v_neg(square), v_neg(v_product_low(z, z, square))) * v_erfcx(z);
}

/* erf(x) for |x| < 1: x + x p(x^2 - centre). About 0.5 the polynomial's terms, and so its roundings, are small where x p is
 * large. */
INLINE vreal v_erf_small(vreal x) {
    const vreal t = v_fma(x, x, v_set(-ERF_CENTRE));
    return v_fma(x, V_POLY(t, N(erf_coefficients)), x);
}

/* erf(x): 1.1, 1.0 ulp */
INLINE vreal v_erf(vreal x) {
    return v_blend(v_abs(x) < 1, v_erf_small(x), v_copysign(1 - v_erfc_tail(x), x));
}

/* 1 - erf(x) without loss in the upper tail: 5.2, 9 ulp, in float32 up to 7.3 where the result nears the least normal */
INLINE vreal v_erfc(vreal x) {
    const vreal tail = v_erfc_tail(x), large = v_blend(x < 0, 2 - tail, tail);
    return v_blend(v_abs(x) < (real)0.5, 1 - v_erf_small(x), large);
}

/* For 0 <= a <= NORMAL_HIGH: the tail of the normal distribution above a, and *density = exp(-a^2 / 2). Full relative
 * precision down to the least normal number, 0 below it. */
INLINE vreal v_normal_tail(vreal a, vreal *density) {
    const real shift = (real)1.5 * (real)V_INTEGRAL + EXP_BIAS;
    const real half = (real)0.5;
    const vreal square = a * a;
    const vreal shifted = v_fma(square, v_set((real)(-0.5 * 1.44269504088896340736)), v_set(shift)), n = shifted - shift;
    vreal r = v_fma(n, v_set(-LN2_HIGH), -half * square);
    r = v_fma(v_product_low(a, a, square), v_set(-half), v_fma(n, v_set(-LN2_LOW), r));
    const vreal power = (vreal)((vuint)shifted << MANTISSA), p = v_expm1_small(r);
    const vreal t = (a - NORMAL_CENTRE) / (a + NORMAL_CENTRE), w = NORMAL_POLY(t, N(normal_coefficients));
    *density = v_fma(power, p, power);
    return v_fma(w, p, w) * power;
}

/* x Phi(x) (Hendrycks & Gimpel 2016) = relu(x) - |x| tail(|x|); 0 at -infinity. In float64 12 ulp; in float32 2.4 ulp
 * of x, which is 7 ulp of the result above -1 and 70 above -5.4 */
#if BITS == 32
/* -log2 of the tail is a polynomial in |x|, which spares the division: gelu is 0 below -5.4, where it should be -1.8e-7 */
INLINE vreal v_gelu(vreal x) {
    const real shift = (real)1.5 * (real)V_INTEGRAL;
    const vreal a = v_at_most(v_abs(x), v_set(GELU_HIGH)), q = V_POLY(a, N(gelu_coefficients));
    const vreal shifted = q + shift, r = (shifted - shift) - q;
    const vreal p = v_fma(r, V_POLY(r, N(exp2_coefficients)), v_set(1));
    const vreal tail = (vreal)((vuint)p - ((vuint)shifted << MANTISSA));
    return v_fma(v_neg(a), v_keep(a < GELU_HIGH, tail), v_at_least(x, v_set(0)));
}
#else
INLINE vreal v_gelu(vreal x) {
    vreal density;
    const vreal a = v_at_most(v_abs(x), v_set(NORMAL_HIGH)), tail = v_normal_tail(a, &density);
    return v_fma(v_neg(a), tail, v_at_least(x, v_set(0)));
}
#endif

/* Its derivative Phi(x) + x phi(x) */
INLINE vreal v_gelu_slope(vreal x) {
    vreal density;
    const vreal a = v_at_most(v_abs(x), v_set(NORMAL_HIGH)), tail = v_normal_tail(a, &density);
    const vreal d = v_fma(a * density, v_set((real)0.398942280401432677940), v_neg(tail));
    return v_blend(x < 0, v_neg(d), 1 + d);
}
