/* Which instruction set runs: the only file that asks the CPU anything. PD_HAVE_<ISA> says which tables are linked. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "pydl.h"

extern const pd_isa pd_isa_base;

static int always(void) { return 1; }

#ifdef PD_HAVE_AVX512
extern const pd_isa pd_isa_avx512;
/* __builtin_cpu_supports also asks the operating system (xgetbv) whether it keeps the wide registers. */
static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}
#endif
#ifdef PD_HAVE_AVX2
extern const pd_isa pd_isa_avx2;
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif
#ifdef PD_HAVE_NEON
extern const pd_isa pd_isa_neon;
#endif

/* Best first. Every aarch64 CPU has NEON. */
static const struct {
    const pd_isa *table;
    int (*runs_here)(void);
} linked[] = {
#ifdef PD_HAVE_AVX512
    {&pd_isa_avx512, has_avx512},
#endif
#ifdef PD_HAVE_AVX2
    {&pd_isa_avx2, has_avx2},
#endif
#ifdef PD_HAVE_NEON
    {&pd_isa_neon, always},
#endif
    {&pd_isa_base, always},
};
enum { LINKED = sizeof(linked) / sizeof(linked[0]) };

static _Atomic(const pd_isa *) in_use;

static const pd_isa *available(size_t index) {
    for (size_t i = 0; i < LINKED; i++)
        if (linked[i].runs_here() && index-- == 0) return linked[i].table;
    return NULL;
}

const char *pd_isa_available(size_t index) {
    const pd_isa *isa = available(index);
    return isa ? isa->name : NULL;
}

int pd_isa_select(const char *name) {
    const pd_isa *isa;
    for (size_t i = 0; (isa = available(i)) != NULL; i++)
        if (strcmp(isa->name, name) == 0) {
            atomic_store(&in_use, isa);
            return 0;
        }
    return -1;
}

/* A PYDL_ISA that names nothing usable leaves the best one; the importing module checks it first and raises. */
const pd_isa *pd_isa_in_use(void) {
    const pd_isa *isa = atomic_load_explicit(&in_use, memory_order_acquire);
    if (isa) return isa;
    const char *wanted = getenv("PYDL_ISA");
    if (!wanted || !*wanted || pd_isa_select(wanted) != 0) {
        const pd_isa *none = NULL;
        atomic_compare_exchange_strong(&in_use, &none, available(0));
    }
    return atomic_load(&in_use);
}

static const char *const kernel_names[PD_KERNELS] = {
#define NAME(name) [PD_##name] = #name,
#define REAL NAME
#define INT NAME
#define NUM NAME
#define ALL NAME
#define ONE NAME
#define WORKSPACE(name)
#include "kernels.inc"
};

const char *pd_kernel_name(int id) { return id >= 0 && id < PD_KERNELS ? kernel_names[id] : NULL; }

const char *pd_compiler(void) {
#ifdef __clang__
    return __VERSION__;
#elif defined(__GNUC__)
    return "GCC " __VERSION__;
#else
    return "unknown";
#endif
}
