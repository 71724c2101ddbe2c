/* A vector of `real` for this instruction set: VL lanes, loads and stores at any address, masked tails, comparison
 * blends, fused multiply-add, square root and rounding; vec_exp.h, vec_log.h, vec_erf.h, vec_trig.h and vec_power.h
 * build the maths vocabulary on them. GNU vector extensions; an intrinsic stands only where they have no word for it.
 *
 * "1.1, 1.0 ulp" in a comment is the largest error found in float32 and float64, with and without fused multiply-add
 * (tests/test_ulp.py holds the functions to it).
 * A lane's result depends on that lane's arguments alone, never on its place or its neighbours. The instruction sets
 * may differ in the last bits: the base has no fused multiply-add, where v_fma(a, b, c) rounds twice.
 *
 *   v_load v_store v_load_part v_store_part   memory                 v_set          the same number in every lane
 *   v_load_left v_store_left                  a vector, or what is left of a row
 *   v_fma v_sqrt v_abs v_neg v_copysign       arithmetic             v_round v_floor v_ceil v_trunc   exact
 *   v_blend v_keep v_max v_min                choice                 v_at_least v_at_most   clamps that let NaN through
 *   v_if_equal v_if_nan                       choice by a comparison
 *   v_even v_odd                              every other lane of two vectors
 *   v_zip_low v_zip_high                      and back: the lanes of two turn by turn, the lower half and the upper one
 *   v_poly                                    Horner's rule
 */
#ifndef PD_VEC_ONCE
#define PD_VEC_ONCE

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define UINT2(bits) uint##bits##_t
#define UINT1(bits) UINT2(bits)
#define ubits_t UINT1(BITS)

#define vreal N(vreal) /* VL lanes of T */
#define vint N(vint)   /* VL integers of T's width: lanes of a comparison are 0 or -1 */
#define vuint N(vuint) /* the same, unsigned: bit patterns, where overflow and left shifts are defined */
#define VL (VBYTES / sizeof(T))

#define v_load N(v_load)
#define v_store N(v_store)
#define v_load_part N(v_load_part)
#define v_store_part N(v_store_part)
#define v_load_left N(v_load_left)
#define v_store_left N(v_store_left)
#define v_set N(v_set)
#define v_bits N(v_bits)
#define v_blend N(v_blend)
#define v_keep N(v_keep)
#define v_max N(v_max)
#define v_min N(v_min)
#define v_at_least N(v_at_least)
#define v_at_most N(v_at_most)
#define v_abs N(v_abs)
#define v_neg N(v_neg)
#define v_copysign N(v_copysign)
#define v_fma N(v_fma)
#define v_product_low N(v_product_low)
#define v_sqrt N(v_sqrt)
#define v_round N(v_round)
#define v_floor N(v_floor)
#define v_ceil N(v_ceil)
#define v_trunc N(v_trunc)
#define v_any N(v_any)
#define v_if_equal N(v_if_equal)
#define v_if_nan N(v_if_nan)
#define v_even N(v_even)
#define v_odd N(v_odd)
#define v_zip_low N(v_zip_low)
#define v_zip_high N(v_zip_high)
#define v_poly N(v_poly)
#define v_horner N(v_horner)
#define V_HORNER(x, table) v_horner(x, table, sizeof(table) / sizeof(table[0]))
#define V_POLY(x, table) v_poly(x, table, sizeof(table) / sizeof(table[0]))

#if defined(__clang__)
#define V_UNROLL _Pragma("unroll")
#define V_UNROLL4 _Pragma("unroll 4")
#else
#define V_UNROLL _Pragma("GCC unroll 32")
#define V_UNROLL4 _Pragma("GCC unroll 4")
#endif

#if defined(__AVX512F__)
#define V_X86_2(op, type) _mm512_##op##_##type
#elif defined(__AVX2__)
#define V_X86_2(op, type) _mm256_##op##_##type
#elif defined(__SSE2__)
#define V_X86_2(op, type) _mm_##op##_##type
#endif
#define V_X86_1(op, type) V_X86_2(op, type)
#define V_X86(op) V_X86_1(op, X86_TYPE)

#if defined(__AVX2__) && !defined(__AVX512F__)
/* A window of VL entries that starts VL - count before the middle selects the first `count` lanes. */
static const int32_t v_window_f32[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
static const int64_t v_window_f64[8] = {-1, -1, -1, -1};
#endif
#endif

#undef X86_TYPE
#undef MANTISSA
#undef V_SIGN
#undef V_INTEGRAL
#undef HIGH_HALF
#if BITS == 32
#define X86_TYPE ps
#define MANTISSA 23
#define V_SIGN UINT32_C(0x80000000)
#define V_INTEGRAL 0x1p23f /* from here on every float is an integer */
#define HIGH_HALF UINT32_C(0xfffff000) /* drops the lower half of a mantissa */
#else
#define X86_TYPE pd
#define MANTISSA 52
#define V_SIGN UINT64_C(0x8000000000000000)
#define V_INTEGRAL 0x1p52
#define HIGH_HALF UINT64_C(0xfffffffff8000000)
#endif

typedef T vreal __attribute__((vector_size(VBYTES)));
typedef bits_t vint __attribute__((vector_size(VBYTES)));
typedef ubits_t vuint __attribute__((vector_size(VBYTES)));
typedef T N(vreal_u) __attribute__((vector_size(VBYTES), aligned(BITS / 8), may_alias));
typedef bits_t N(vint_u) __attribute__((vector_size(VBYTES), aligned(BITS / 8), may_alias));

INLINE vreal v_load(const real *p) { return *(const N(vreal_u) *)p; }
INLINE void v_store(real *p, vreal x) { *(N(vreal_u) *)p = x; }

/* The first `count` < VL lanes; the others read as zero and are not written. */
#if defined(__AVX512F__)
INLINE vreal v_load_part(const real *p, size_t count) { return V_X86(maskz_loadu)((1u << count) - 1, p); }
INLINE void v_store_part(real *p, vreal x, size_t count) { V_X86(mask_storeu)(p, (1u << count) - 1, x); }
#elif defined(__AVX2__)
INLINE vreal v_load_part(const real *p, size_t count) {
    return V_X86(maskload)((const void *)p, (__m256i)*(const N(vint_u) *)(N(v_window) + VL - count));
}
INLINE void v_store_part(real *p, vreal x, size_t count) {
    V_X86(maskstore)((void *)p, (__m256i)*(const N(vint_u) *)(N(v_window) + VL - count), x);
}
#else
INLINE vreal v_load_part(const real *p, size_t count) {
    vreal x = {0};
    for (size_t i = 0; i < VL - 1; i++)
        if (i < count) x[i] = p[i];
    return x;
}
INLINE void v_store_part(real *p, vreal x, size_t count) {
    for (size_t i = 0; i < VL - 1; i++)
        if (i < count) p[i] = x[i];
}
#endif

/* `left` elements are left: a whole vector where that many are. */
INLINE vreal v_load_left(const real *p, size_t left) { return left >= VL ? v_load(p) : v_load_part(p, left); }
INLINE void v_store_left(real *p, vreal x, size_t left) {
    if (left >= VL) v_store(p, x);
    else v_store_part(p, x, left);
}

INLINE vreal v_set(real x) { return x - (vreal){0}; }
INLINE vuint v_bits(ubits_t x) { return x - (vuint){0}; }

/* mask ? x : 0 */
INLINE vreal v_keep(vint mask, vreal x) { return (vreal)(mask & (vint)x); }
INLINE vreal v_abs(vreal x) { return (vreal)((vuint)x & ~v_bits(V_SIGN)); }
INLINE vreal v_neg(vreal x) { return (vreal)((vuint)x ^ v_bits(V_SIGN)); }
/* |x| with the sign of `sign` */
INLINE vreal v_copysign(vreal x, vreal sign) {
    return (vreal)(((vuint)x & ~v_bits(V_SIGN)) | ((vuint)sign & v_bits(V_SIGN)));
}

/* v_blend: mask ? a : b, lane by lane. v_at_least, v_at_most: a clamp on one side that keeps a NaN in x.
 * v_fma: a * b + c. v_sqrt: correctly rounded. */
#if defined(__AVX512F__)
/* A comparison and two xors, one of them masked: the compiler keeps the mask in a mask register only if no intrinsic asks for it. */
INLINE vreal v_blend(vint mask, vreal a, vreal b) { return (vreal)((((vint)a ^ (vint)b) & mask) ^ (vint)b); }
#elif defined(__AVX2__)
INLINE vreal v_blend(vint mask, vreal a, vreal b) { return V_X86(blendv)(b, a, (vreal)mask); }
#else
INLINE vreal v_blend(vint mask, vreal a, vreal b) { return (vreal)(((vint)a & mask) | ((vint)b & ~mask)); }
#endif

#if defined(__SSE2__)
INLINE vreal v_at_least(vreal x, vreal low) { return V_X86(max)(low, x); }
INLINE vreal v_at_most(vreal x, vreal high) { return V_X86(min)(high, x); }
INLINE vreal v_sqrt(vreal x) { return V_X86(sqrt)(x); }
#else
INLINE vreal v_at_least(vreal x, vreal low) { return v_blend(x < low, low, x); }
INLINE vreal v_at_most(vreal x, vreal high) { return v_blend(x > high, high, x); }
INLINE vreal v_sqrt(vreal x) {
    for (size_t i = 0; i < VL; i++) x[i] = BITS == 32 ? (real)sqrtf((float)x[i]) : (real)sqrt((double)x[i]);
    return x;
}
#endif

#if defined(__FMA__)
INLINE vreal v_fma(vreal a, vreal b, vreal c) { return V_X86(fmadd)(a, b, c); }
#elif defined(__aarch64__) && BITS == 32
INLINE vreal v_fma(vreal a, vreal b, vreal c) { return (vreal)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
#elif defined(__aarch64__)
INLINE vreal v_fma(vreal a, vreal b, vreal c) { return (vreal)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
#else
INLINE vreal v_fma(vreal a, vreal b, vreal c) { return a * b + c; }
#endif

/* Is any lane of the mask set? */
INLINE int v_any(vint mask) {
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif !defined(__SSE2__)
    bits_t any = 0;
    for (size_t i = 0; i < VL; i++) any |= mask[i];
    return any != 0;
#else
    return V_X86(movemask)((vreal)mask) != 0;
#endif
}

/* a where x equals y (is NaN), else b */
#if defined(__AVX512F__) && BITS == 32
INLINE vreal v_if_equal(vreal x, vreal y, vreal a, vreal b) { return _mm512_mask_mov_ps(b, _mm512_cmp_ps_mask(x, y, _CMP_EQ_OQ), a); }
INLINE vreal v_if_nan(vreal x, vreal a, vreal b) { return _mm512_mask_mov_ps(b, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), a); }
#elif defined(__AVX512F__)
INLINE vreal v_if_equal(vreal x, vreal y, vreal a, vreal b) { return _mm512_mask_mov_pd(b, _mm512_cmp_pd_mask(x, y, _CMP_EQ_OQ), a); }
INLINE vreal v_if_nan(vreal x, vreal a, vreal b) { return _mm512_mask_mov_pd(b, _mm512_cmp_pd_mask(x, x, _CMP_UNORD_Q), a); }
#else
INLINE vreal v_if_equal(vreal x, vreal y, vreal a, vreal b) { return v_blend(x == y, a, b); }
INLINE vreal v_if_nan(vreal x, vreal a, vreal b) { return v_blend(x != x, a, b); }
#endif

/* NaN in either argument gives NaN */
INLINE vreal v_max(vreal a, vreal b) { return v_if_nan(a, a, v_at_least(b, a)); }
INLINE vreal v_min(vreal a, vreal b) { return v_if_nan(a, a, v_at_most(b, a)); }

/* To an integral value: v_round half to even. Exact; signed zeros, infinities and NaN come back as they are. */
#if defined(__AVX512F__)
INLINE vreal v_round(vreal x) { return V_X86(roundscale)(x, 0x08); }
INLINE vreal v_floor(vreal x) { return V_X86(roundscale)(x, 0x09); }
INLINE vreal v_ceil(vreal x) { return V_X86(roundscale)(x, 0x0a); }
INLINE vreal v_trunc(vreal x) { return V_X86(roundscale)(x, 0x0b); }
#elif defined(__AVX2__)
INLINE vreal v_round(vreal x) { return V_X86(round)(x, 0x08); }
INLINE vreal v_floor(vreal x) { return V_X86(round)(x, 0x09); }
INLINE vreal v_ceil(vreal x) { return V_X86(round)(x, 0x0a); }
INLINE vreal v_trunc(vreal x) { return V_X86(round)(x, 0x0b); }
#else
INLINE vreal v_round(vreal x) {
    const vreal a = v_abs(x), big = v_set(V_INTEGRAL);
    return v_blend(a < big, v_copysign((a + big) - big, x), x);
}
INLINE vreal v_floor(vreal x) {
    const vreal r = v_round(x);
    return v_blend(r > x, v_copysign(r - 1, x), r);
}
INLINE vreal v_ceil(vreal x) {
    const vreal r = v_round(x);
    return v_blend(r < x, v_copysign(r + 1, x), r);
}
INLINE vreal v_trunc(vreal x) { return v_copysign(v_floor(v_abs(x)), x); }
#endif

/* The lanes of two vectors that have even numbers, and those that have odd ones; and two vectors, lane by lane in turn, in halves */
#if VBYTES * 8 / BITS == 2
INLINE vreal v_even(vreal x, vreal y) { return __builtin_shufflevector(x, y, 0, 2); }
INLINE vreal v_odd(vreal x, vreal y) { return __builtin_shufflevector(x, y, 1, 3); }
INLINE vreal v_zip_low(vreal x, vreal y) { return v_even(x, y); }
INLINE vreal v_zip_high(vreal x, vreal y) { return v_odd(x, y); }
#elif VBYTES * 8 / BITS == 4
INLINE vreal v_even(vreal x, vreal y) { return __builtin_shufflevector(x, y, 0, 2, 4, 6); }
INLINE vreal v_odd(vreal x, vreal y) { return __builtin_shufflevector(x, y, 1, 3, 5, 7); }
INLINE vreal v_zip_low(vreal x, vreal y) { return __builtin_shufflevector(x, y, 0, 4, 1, 5); }
INLINE vreal v_zip_high(vreal x, vreal y) { return __builtin_shufflevector(x, y, 2, 6, 3, 7); }
#elif VBYTES * 8 / BITS == 8
INLINE vreal v_even(vreal x, vreal y) { return __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14); }
INLINE vreal v_odd(vreal x, vreal y) { return __builtin_shufflevector(x, y, 1, 3, 5, 7, 9, 11, 13, 15); }
INLINE vreal v_zip_low(vreal x, vreal y) { return __builtin_shufflevector(x, y, 0, 8, 1, 9, 2, 10, 3, 11); }
INLINE vreal v_zip_high(vreal x, vreal y) { return __builtin_shufflevector(x, y, 4, 12, 5, 13, 6, 14, 7, 15); }
#else
INLINE vreal v_even(vreal x, vreal y) { return __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30); }
INLINE vreal v_odd(vreal x, vreal y) { return __builtin_shufflevector(x, y, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31); }
INLINE vreal v_zip_low(vreal x, vreal y) { return __builtin_shufflevector(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23); }
INLINE vreal v_zip_high(vreal x, vreal y) { return __builtin_shufflevector(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31); }
#endif

/* What rounding took from product = a * b (exact; after Dekker 1971 where there is no fused multiply-add) */
INLINE vreal v_product_low(vreal a, vreal b, vreal product) {
#if defined(__FMA__) || defined(__aarch64__)
    return v_fma(a, b, v_neg(product));
#else
    const vuint upper = v_bits(HIGH_HALF);
    const vreal ah = (vreal)((vuint)a & upper), al = a - ah, bh = (vreal)((vuint)b & upper), bl = b - bh;
    return ((ah * bh - product) + ah * bl + al * bh) + al * bl;
#endif
}

/* c[0] + c[1] x + c[2] x^2 + ... by Horner's rule */
INLINE vreal v_horner(vreal x, const real *c, size_t n) {
    vreal p = v_set(c[n - 1]);
    V_UNROLL
    for (size_t i = n - 1; i > 0; i--) p = v_fma(p, x, v_set(c[i - 1]));
    return p;
}

/* The same by the even and the odd powers apart, which halves the chain of waits; less accurate where they cancel */
INLINE vreal v_poly(vreal x, const real *c, size_t n) {
    const vreal square = x * x;
    if (n == 5) {
        const vreal low = v_fma(v_set(c[1]), x, v_set(c[0])), high = v_fma(v_set(c[3]), x, v_set(c[2]));
        return v_fma(v_fma(v_set(c[4]), square, high), square, low);
    }
    vreal even = v_set(c[(n - 1) / 2 * 2]), odd = v_set(c[n / 2 * 2 - 1]);
    V_UNROLL
    for (size_t i = (n - 1) / 2; i > 0; i--) even = v_fma(even, square, v_set(c[2 * i - 2]));
    V_UNROLL
    for (size_t i = n / 2; i > 1; i--) odd = v_fma(odd, square, v_set(c[2 * i - 3]));
    return v_fma(odd, x, even);
}

#include "vec_exp.h"
#include "vec_log.h"
#include "vec_erf.h"
#include "vec_trig.h"
#include "vec_power.h"
