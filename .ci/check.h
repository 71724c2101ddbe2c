/* What the checks of the kernels share (.ci/neon): numbers, memory with an edge, comparisons in ulp. TABLE names the table: pd_isa_neon. */
#ifndef CHECK_H
#define CHECK_H
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pydl.h"

extern const pd_isa TABLE;

double uniform(double low, double high);
/* Bytes that are all 0xff (NaN, -1), `offset` behind a multiple of 64, between 64 more of them; release() tells whether these are as they
 * were. */
void *guarded(size_t bytes, size_t offset);
void release(const char *what, void *p);
#define RELEASE(what, ...)                                                                                   \
    for (size_t k = 0; k < sizeof((void *[]){__VA_ARGS__}) / sizeof(void *); k++) release(what, ((void *[]){__VA_ARGS__})[k])
void *numbers(int dtype, size_t count, double low, double high); /* guarded, every other time off the vector's alignment */
/* At most `most` ulp of `scale` */
void expect(const char *what, int dtype, size_t n, size_t i, double got, double want, double scale, double most);
void launch(int id, int dtype, pd_launch *L);

static inline double get(const void *p, int dtype, size_t i) { return dtype == PD_F32 ? ((const float *)p)[i] : ((const double *)p)[i]; }
static inline void set(void *p, int dtype, size_t i, double x) {
    if (dtype == PD_F32) ((float *)p)[i] = (float)x;
    else ((double *)p)[i] = x;
}
static inline size_t width(int dtype) { return dtype == PD_F32 ? 4 : 8; }
static inline size_t volume_of(const size_t *of) { return of[0] * of[1] * of[2]; }

/* All of an output, against sums whose terms have together the size `scale` */
static inline void expect_all(const char *what, int dtype, size_t n, const void *got, const double *want, const double *scale,
                              double most) {
    for (size_t i = 0; i < n; i++) expect(what, dtype, n, i, get(got, dtype, i), want[i], scale[i], most);
}

void check_convolutions(void);
void check_pools(void);
void check_images(void);
void check_boxes(void);
#endif
