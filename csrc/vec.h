/* A vector of `real` for this instruction set: VL lanes, loads and stores at any address, masked tails, and the maths
 * vocabulary with its largest error in ulp. Only GNU vector extensions, so that one text serves every instruction set. */
#ifndef PD_VEC_ONCE
#define PD_VEC_ONCE
#define vreal N(vreal)  /* VL lanes of T */
#define vint N(vint)    /* VL integers of T's width: lanes of a comparison are 0 or -1 */
#define VL (VBYTES / sizeof(T))

#define v_load N(v_load)
#define v_store N(v_store)
#define v_load_part N(v_load_part)
#define v_store_part N(v_store_part)
#define v_set N(v_set)
#define v_blend N(v_blend)
#define v_max N(v_max)
#define v_min N(v_min)
#define v_abs N(v_abs)
#endif

typedef T vreal __attribute__((vector_size(VBYTES)));
typedef bits_t vint __attribute__((vector_size(VBYTES)));
typedef T N(vreal_u) __attribute__((vector_size(VBYTES), aligned(BITS / 8), may_alias));

INLINE vreal v_load(const real *p) { return *(const N(vreal_u) *)p; }
INLINE void v_store(real *p, vreal x) { *(N(vreal_u) *)p = x; }

/* The first `count` < VL lanes; the others read as zero and are not written. */
INLINE vreal v_load_part(const real *p, size_t count) {
    vreal x = {0};
    memcpy(&x, p, count * sizeof(real));
    return x;
}
INLINE void v_store_part(real *p, vreal x, size_t count) { memcpy(p, &x, count * sizeof(real)); }

INLINE vreal v_set(real x) { return x - (vreal){0}; }
/* mask ? a : b, lane by lane */
INLINE vreal v_blend(vint mask, vreal a, vreal b) { return (vreal)(((vint)a & mask) | ((vint)b & ~mask)); }
/* NaN in either argument gives NaN */
INLINE vreal v_max(vreal a, vreal b) { return v_blend((a > b) | (a != a), a, b); }
INLINE vreal v_min(vreal a, vreal b) { return v_blend((a < b) | (a != a), a, b); }
INLINE vreal v_abs(vreal x) { return (vreal)((vint)x & (vint)(((vint){0} - 1) ^ ((vint){0} + ((bits_t)1 << (BITS - 1))))); }
