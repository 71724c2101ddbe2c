/* Comparison, choice and logic, elementwise. The result of a comparison is a bool (one byte, 0 or 1); where takes
 * (condition, x, y) with a condition of bool or uint8. A NaN equals nothing, itself included. */
EACH2(eq, uint8_t, x == y)
EACH2(ne, uint8_t, x != y)
EACH2(lt, uint8_t, x < y)
EACH2(le, uint8_t, x <= y)
EACH2(gt, uint8_t, x > y)
EACH2(ge, uint8_t, x >= y)
EACH2(logical_and, uint8_t, (x != 0) & (y != 0))
EACH2(logical_or, uint8_t, (x != 0) | (y != 0))
EACH2(logical_xor, uint8_t, (x != 0) ^ (y != 0))
EACH1(logical_not, uint8_t, x == 0)

/* The bits of T decide nothing here, so that a choice keeps every NaN as it is. */
static void N(where_row)(MAP_ROW_ARGS) {
    const uint8_t *condition = in[0];
    const T *a = in[1], *b = in[2];
    T *to = out;
    (void)scalar;
    for (size_t i = 0; i < n; i++) to[i] = condition[i] ? a[i] : b[i];
}
MAP_KERNEL(where, 3, {1, sizeof(T), sizeof(T), sizeof(T)})

#if PD_REAL
EACH1(isnan, uint8_t, x != x)
EACH1(isinf, uint8_t, x == (T)INFINITY || x == -(T)INFINITY)
EACH1(isfinite, uint8_t, x - x == 0)
#else
EACH2(bitwise_and, T, x &y)
EACH2(bitwise_or, T, x | y)
EACH2(bitwise_xor, T, x ^ y)
EACH1(bitwise_not, T, ~x)
#endif
