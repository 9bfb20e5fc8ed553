/* Picks the widest instruction set that both this library was compiled for and this processor has. */
#include "problem.h"

#define EXPORT __attribute__((visibility("default")))
#define DECLARE(variant)                       \
    int64_t bytes_##variant(const Problem *p); \
    int run_##variant(Problem *p);

DECLARE(baseline_float)
DECLARE(baseline_double)
#ifdef HAVE_AVX2
DECLARE(avx2_float)
DECLARE(avx2_double)
#endif
#ifdef HAVE_AVX512
DECLARE(avx512_float)
DECLARE(avx512_double)
#endif

typedef struct {
    const char *name;
    int64_t vector_bytes;
    int64_t (*bytes[2])(const Problem *);
    int (*run[2])(Problem *);
} Variant;

#define ENTRY(name, vector_bytes) \
    {#name, vector_bytes, {bytes_##name##_float, bytes_##name##_double}, {run_##name##_float, run_##name##_double}}

/* Narrowest first. */
static const Variant variants[] = {
    ENTRY(baseline, 16),
#ifdef HAVE_AVX2
    ENTRY(avx2, 32),
#endif
#ifdef HAVE_AVX512
    ENTRY(avx512, 64),
#endif
};

/* How many of the variants, from the first on, this processor can run. */
EXPORT int lmrnn_variants(void) {
    int usable = 1;
#ifdef HAVE_AVX2
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return usable;
    usable++;
#endif
#ifdef HAVE_AVX512
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq")) return usable;
    if (!__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512bw")) return usable;
    usable++;
#endif
    return usable;
}

/* The variant to use where `widest` is allowed: a batch that fills half of its vectors' lanes is done sooner in narrower
 * vectors; but not in the baseline's, which have no fused multiply-add. */
static const Variant *fitting(const Problem *p, int widest, int precision) {
    const int64_t bytes = p->batch * (precision ? 8 : 4);
    while (widest > 1 && variants[widest - 1].vector_bytes >= bytes) widest--;
    return &variants[widest];
}

EXPORT const char *lmrnn_variant_name(int variant) { return variants[variant].name; }

EXPORT int64_t lmrnn_problem_bytes(void) { return sizeof(Problem); }

EXPORT const int64_t lmrnn_constants[] = {CHANNELS, CLASSES, MOST_TOGETHER};

/* Digest of the files that all of this was compiled from. */
EXPORT const char lmrnn_sources[] = SOURCES;

/* Bytes of workspace that lmrnn_run needs; `precision` is 0 for float, 1 for double. */
EXPORT int64_t lmrnn_workspace_bytes(const Problem *p, int variant, int precision) {
    return fitting(p, variant, precision)->bytes[precision](p);
}

EXPORT int lmrnn_run(Problem *p, int variant, int precision) {
    return fitting(p, variant, precision)->run[precision](p);
}
