/* Vectors of REAL as wide as the instruction set this file is compiled for, on gcc's and clang's vector extensions. */
#ifndef LMRNN_VECTOR_H
#define LMRNN_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

#define IS_FLOAT (sizeof(REAL) == 4)
#define LANES ((int)(VECTOR_BYTES / sizeof(REAL)))
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

typedef REAL vec __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef REAL vec_loose __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
typedef __typeof__((vec){0} > (vec){0}) mask; /* signed integers of REAL's size: 0 or -1 */

INLINE vec load(const REAL *p) { return *(const vec *)p; }
INLINE void store(REAL *p, vec x) { *(vec *)p = x; }
INLINE vec load_loose(const REAL *p) { return *(const vec_loose *)p; }
INLINE void store_loose(REAL *p, vec x) { *(vec_loose *)p = x; }
INLINE vec broadcast(REAL x) { return x - (vec){0}; }

/* Keep a value in a register: gcc would rather read it again from memory at each use, and loads are the bottleneck. */
#if defined(__AVX512F__)
#define HOLD(x) __asm__("" : "+v"(x))
#elif defined(__x86_64__)
#define HOLD(x) __asm__("" : "+x"(x))
#elif defined(__aarch64__)
#define HOLD(x) __asm__("" : "+w"(x))
#else
#define HOLD(x) (void)(x)
#endif

INLINE vec keep(mask m, vec x) { return (vec)((mask)x & m); } /* x where m, else 0 */
INLINE vec choose(mask m, vec x, vec y) { return (vec)(((mask)x & m) | ((mask)y & ~m)); }
INLINE vec absolute(vec x) { return keep(~(mask)broadcast((REAL)-0.0), x); }

/* max(x, 0) that passes a NaN on, as torch.relu does: a diverged network must show as one. */
INLINE vec relu(vec x) {
#if defined(__AVX512F__)
    return IS_FLOAT ? (vec)_mm512_max_ps(_mm512_setzero_ps(), (__m512)x)
                    : (vec)_mm512_max_pd(_mm512_setzero_pd(), (__m512d)x);
#else
    return keep(~(x <= (vec){0}), x);
#endif
}

/* x where y > 0, else 0. */
INLINE vec keep_positive(vec y, vec x) {
#if defined(__AVX512F__)
    return IS_FLOAT ? (vec)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)y, _mm512_setzero_ps(), _CMP_GT_OQ), (__m512)x)
                    : (vec)_mm512_maskz_mov_pd(_mm512_cmp_pd_mask((__m512d)y, _mm512_setzero_pd(), _CMP_GT_OQ), (__m512d)x);
#else
    return keep(y > (vec){0}, x);
#endif
}

/* Signs: one bit a number, set where it is > 0; those of a vector fill LANES / 8 bytes. */
#if defined(__AVX512F__)
enum { HAVE_SIGNS = 1 };
INLINE void store_signs(char *to, vec x) {
    if (IS_FLOAT) *(uint16_t *)to = _mm512_cmp_ps_mask((__m512)x, _mm512_setzero_ps(), _CMP_GT_OQ);
    else *(uint8_t *)to = _mm512_cmp_pd_mask((__m512d)x, _mm512_setzero_pd(), _CMP_GT_OQ);
}
/* x where the sign is set, else 0. */
INLINE vec keep_signs(const char *from, vec x) {
    return IS_FLOAT ? (vec)_mm512_maskz_mov_ps(*(const uint16_t *)from, (__m512)x)
                    : (vec)_mm512_maskz_mov_pd(*(const uint8_t *)from, (__m512d)x);
}
#else
enum { HAVE_SIGNS = 0 };
INLINE void store_signs(char *to, vec x) { (void)to, (void)x; }
INLINE vec keep_signs(const char *from, vec x) { return (void)from, x; }
#endif

INLINE vec max(vec x, vec y) { return choose(x > y, x, y); }

INLINE REAL horizontal_sum(vec x) {
#if defined(__AVX512F__)
    return IS_FLOAT ? (REAL)_mm512_reduce_add_ps((__m512)x) : (REAL)_mm512_reduce_add_pd((__m512d)x);
#else
    REAL sum = 0;
    for (int i = 0; i < LANES; i++) sum += x[i];
    return sum;
#endif
}

/* ---- elementary functions: single precision by polynomials (Cephes' coefficients, S. Moshier), double by libm ---- */

#define BY_LANE(name, expression)           \
    INLINE vec name(vec x) {                \
        vec y;                              \
        for (int i = 0; i < LANES; i++) {   \
            double a = (double)x[i];        \
            y[i] = (REAL)(expression);      \
        }                                   \
        return y;                           \
    }

BY_LANE(exp_by_lane, exp(a))
BY_LANE(log_by_lane, log(a))
BY_LANE(log1p_by_lane, log1p(a))
BY_LANE(tanh_by_lane, tanh(a))

typedef int32_t word __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef float single __attribute__((vector_size(VECTOR_BYTES), may_alias));

/* A short row of floats in registers, to pick from by index. */
typedef struct {
    single low, high;
} Table;
#if defined(__AVX512F__)
enum { TABLE = 32 }; /* floats that it holds */
INLINE Table read_table(const float *row, int64_t count) {
    const uint32_t there = (uint32_t)(((uint64_t)1 << count) - 1);
    return (Table){(single)_mm512_maskz_loadu_ps((__mmask16)there, row),
                   (single)_mm512_maskz_loadu_ps((__mmask16)(there >> 16), row + 16)};
}
/* x + the number at each index; 0 where the index is negative. */
INLINE single add_picked(single x, Table t, word index) {
    const __mmask16 there = _mm512_movepi32_mask(~(__m512i)index);
    return (single)_mm512_maskz_add_ps(there, (__m512)x, _mm512_permutex2var_ps((__m512)t.low, (__m512i)index, (__m512)t.high));
}
#else
enum { TABLE = 0 };
INLINE Table read_table(const float *row, int64_t count) { return (void)row, (void)count, (Table){{0}, {0}}; }
INLINE single add_picked(single x, Table t, word index) { return (void)t, (void)index, x; }
#endif

INLINE single exp_single(single x) {
    single low = (single){0} - 87.3f, high = (single){0} + 88.3f;
    x = (single)(((word)x & ~(x < low)) | ((word)low & (x < low)));
    x = (single)(((word)x & ~(x > high)) | ((word)high & (x > high)));
    single shifted = x * 1.44269504088896341f + 12582912.f; /* adding 1.5 * 2^23 rounds to an integer */
    single n = shifted - 12582912.f;
    x = x - n * 0.693359375f;
    x = x + n * 2.12194440e-4f;
    single y = 1.9875691500e-4f * x + 1.3981999507e-3f;
    y = y * x + 8.3334519073e-3f;
    y = y * x + 4.1665795894e-2f;
    y = y * x + 1.6666665459e-1f;
    y = y * x + 5.0000001201e-1f;
    y = y * (x * x) + x + 1.f;
    word exponent = (word)shifted << 23; /* the low bits of `shifted` are n: 2^n by adding to y's exponent */
    return (single)((word)y + exponent);
}

INLINE single log_single(single x) { /* for normal positive x */
    word bits = (word)x - 0x3f3504f3; /* sqrt(1/2): the mantissa m lies in [sqrt(1/2), sqrt(2)) */
    word exponent = bits >> 23;
    single m = (single)((word)x - (exponent << 23)) - 1.f, e = __builtin_convertvector(exponent, single);
    single y = 7.0376836292e-2f * m - 1.1514610310e-1f;
    y = y * m + 1.1676998740e-1f;
    y = y * m - 1.2420140846e-1f;
    y = y * m + 1.4249322787e-1f;
    y = y * m - 1.6668057665e-1f;
    y = y * m + 2.0000714765e-1f;
    y = y * m - 2.4999993993e-1f;
    y = y * m + 3.3333331174e-1f;
    single square = m * m;
    return e * 0.693359375f + (m + (e * -2.12194440e-4f - 0.5f * square + y * m * square));
}

INLINE vec vexp(vec x) { return IS_FLOAT ? (vec)exp_single((single)x) : exp_by_lane(x); }
INLINE vec vlog(vec x) { return IS_FLOAT ? (vec)log_single((single)x) : log_by_lane(x); }

INLINE vec log1p_unit(vec x) { /* 0 <= x <= 1 */
    if (!IS_FLOAT) return log1p_by_lane(x);
    vec u = x + 1;
    return vlog(u) + (x - (u - 1)) / u; /* the second term gives back what rounding 1 + x took */
}

INLINE vec vtanh(vec x) {
    if (!IS_FLOAT) return tanh_by_lane(x);
    vec size = absolute(x), e = vexp(size * -2), square = x * x;
    vec large = (1 - e) / (1 + e);
    large = (vec)((mask)large | ((mask)x & (mask)broadcast((REAL)-0.0)));
    vec y = (REAL)-5.70498872745e-3 * square + (REAL)2.06390887954e-2;
    y = y * square - (REAL)5.37397155531e-2;
    y = y * square + (REAL)1.33314422036e-1;
    y = y * square - (REAL)3.33332819422e-1;
    return choose(size < (REAL)0.625, y * square * x + x, large);
}

#endif
