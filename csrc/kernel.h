/* What a family file may use. Included once for every element type T, so it has no include guard; what does not depend
 * on T stands in the guarded part. Every function of a family is static: kernels leave this object only by its table. */
#ifndef PD_KERNEL_ONCE
#define PD_KERNEL_ONCE

#define N2(name, suffix) name##_##suffix
#define N1(name, suffix) N2(name, suffix)
#define N(name) N1(name, SUFFIX) /* the name of a function or type for the present T */
#define INT2(bits) int##bits##_t
#define INT1(bits) INT2(bits)

#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define INLINE static inline __attribute__((always_inline, unused))
#define UNUSED __attribute__((unused))

static UNUSED size_t min_size(size_t a, size_t b) { return a < b ? a : b; }
static UNUSED size_t max_size(size_t a, size_t b) { return a > b ? a : b; }
static UNUSED size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
static UNUSED size_t volume(const size_t *sizes) { return sizes[0] * sizes[1] * sizes[2]; } /* of PD_SPACE dimensions */

#ifdef PD_DEBUG
#include <assert.h>
#define ASSERT(x) assert(x)
#else
#define ASSERT(x) ((void)0)
#endif

#endif

/* The integer of T's width: comparison masks and bit patterns. */
#define bits_t INT1(BITS)

#if PD_REAL
#define real T
#include "vec.h"
#endif
