/* Arithmetic of two operands (and of one), elementwise, for every number type. x, y, z: the inputs in order.
 * Integers wrap around as two's complement; what C leaves undefined is defined here: dividing by 0 gives 0 (the ops
 * refuse it before), the smallest integer divided by -1 is itself, a negative power is 0 unless the base is 1 or -1. */
#if PD_REAL
MAP2_MOVE(add, x + y)
MAP2_MOVE(sub, x - y)
MAP2_MOVE(mul, x *y)
MAP2_MOVE(div, x / y)
MAP2_MOVE(maximum, v_max(x, y))
MAP2_MOVE(minimum, v_min(x, y))
MAP3(clamp, v_min(v_max(x, y), z))
MAP1_MOVE(neg, v_neg(x))
MAP1_MOVE(abs, v_abs(x))
MAP1(sign, v_keep(x > 0, v_set(1)) - v_keep(x < 0, v_set(1))) /* 0 for NaN */
#undef MAP_COST
#define MAP_COST COST_HEAVY
MAP2(floor_divide, v_floor_divide(x, y))
MAP2(remainder, v_remainder(x, y))
MAP2(fmod, v_fmod(x, y))
MAP2(pow, v_pow(x, y))
#else
#define word_t WORD1(BITS) /* the unsigned integer of T's width, in which nothing overflows */
#ifndef WORD1
#define WORD2(bits) uint##bits##_t
#define WORD1(bits) WORD2(bits)
#endif

INLINE int N(negative)(T x) { return x < 1 && x != 0; } /* always false, without a warning, where T is unsigned */

/* Truncated quotient and remainder, defined everywhere */
INLINE T N(quotient)(T x, T y) { return y == 0 ? 0 : y == (T)-1 && (T)-1 < 0 ? (T)(0 - (word_t)x) : (T)(x / y); }
INLINE T N(rest)(T x, T y) { return y == 0 || (y == (T)-1 && (T)-1 < 0) ? 0 : (T)(x % y); }
INLINE T N(floor_quotient)(T x, T y) {
    const T q = N(quotient)(x, y), r = N(rest)(x, y);
    return r != 0 && N(negative)(r) != N(negative)(y) ? (T)(q - 1) : q;
}
INLINE T N(floor_rest)(T x, T y) {
    const T r = N(rest)(x, y);
    return r != 0 && N(negative)(r) != N(negative)(y) ? (T)(r + y) : r;
}
INLINE T N(power)(T x, T y) {
    if (N(negative)(y)) return x == 1 ? 1 : x == (T)-1 ? (y & 1 ? (T)-1 : 1) : 0;
    uint64_t base = (uint64_t)x, result = 1;
    for (uint64_t left = (uint64_t)y; left; left >>= 1, base *= base)
        if (left & 1) result *= base;
    return (T)result;
}

EACH2(add, T, (word_t)x + (word_t)y)
EACH2(sub, T, (word_t)x - (word_t)y)
EACH2(mul, T, (word_t)x *(word_t)y)
EACH2(maximum, T, x > y ? x : y)
EACH2(minimum, T, x < y ? x : y)
EACH3(clamp, T, (x > y ? x : y) < z ? (x > y ? x : y) : z)
EACH1(neg, T, 0 - (word_t)x)
EACH1(abs, T, N(negative)(x) ? (T)(0 - (word_t)x) : x)
EACH1(sign, T, (x > 0) - N(negative)(x))
#undef MAP_COST
#define MAP_COST COST_LIBM
EACH2(floor_divide, T, N(floor_quotient)(x, y))
EACH2(remainder, T, N(floor_rest)(x, y))
EACH2(fmod, T, N(rest)(x, y))
EACH2(pow, T, N(power)(x, y))
#undef word_t
#endif
#undef MAP_COST
#define MAP_COST COST_MOVE
