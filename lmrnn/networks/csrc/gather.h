/* The product of a sparse matrix with the states of one time step, two rows at a time. */
#ifndef LMRNN_GATHER_H
#define LMRNN_GATHER_H

#include "block.h"

/* How many pairs before a large network's rows are needed they are prefetched: where nothing was near, a time step's
 * states come from far, page by page, and the processor foresees only what follows within a page. */
enum { FRESH_AHEAD = 8, ROWS_AHEAD = 3 };

/* Position inside a Pairs structure. */
typedef struct {
    const int32_t *rows, *counts, *columns;
    const REAL *weights;
    const int32_t *fresh, *fresh_counts; /* those of the pair FRESH_AHEAD pairs further on */
    int64_t not_prefetched;              /* pairs whose fresh columns have not been prefetched */
} Cursor;

INLINE Cursor begin(const Pairs *pairs, const REAL *weights) {
    Cursor c = {pairs->rows, pairs->counts, pairs->columns, weights, pairs->fresh, pairs->fresh_counts, pairs->pairs};
    for (int i = 0; i < FRESH_AHEAD && c.not_prefetched > 0; i++, c.not_prefetched--) c.fresh += *c.fresh_counts++;
    return c;
}

INLINE void advance(Cursor *c) {
    c->columns += c->counts[0] + c->counts[1] + c->counts[2];
    c->weights += 2 * c->counts[0] + c->counts[1] + c->counts[2];
    c->rows += 2;
    c->counts += 3;
}

/* sum[r] += weights of row r times x, over one run of columns, for `rows` rows that all have them and `vectors` vectors
 * of trials of x (neurons, width); both are constants. A sum waits for its last addition: where there are few vectors,
 * columns take turns with several sums. */
INLINE void gather_run(const int32_t *column, int32_t count, const REAL *w, const REAL *x, int64_t width, const int rows,
                       const int vectors, vec *const *sum) {
    const int turns = vectors == 1 ? 4 : vectors == 2 ? 2 : 1;
    const int32_t *end = column + count;
    vec part[4][2][4]; /* of which [turns][rows][vectors] are used */
    UNROLL for (int k = 1; k < turns; k++)
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < vectors; v++) part[k][r][v] = (vec){0};
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < vectors; v++) part[0][r][v] = sum[r][v];
    for (; end - column >= turns; column += turns, w += turns * rows)
        UNROLL for (int k = 0; k < turns; k++) {
            const REAL *from = x + column[k] * width;
            UNROLL for (int v = 0; v < vectors; v++) {
                vec y = load(from + v * LANES);
                HOLD(y);
                UNROLL for (int r = 0; r < rows; r++) part[k][r][v] += w[k * rows + r] * y;
            }
        }
    for (; turns > 1 && column < end; column++, w += rows) {
        const REAL *from = x + *column * width;
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int v = 0; v < vectors; v++) part[0][r][v] += w[r] * load(from + v * LANES);
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++) {
            UNROLL for (int k = 1; k < turns; k++) part[0][r][v] += part[k][r][v];
            sum[r][v] = part[0][r][v];
        }
}

/* first += W[rows[0]] x, second += W[rows[1]] x, for `vectors` (a constant) vectors of trials of x (neurons, width). */
INLINE void gather(Cursor c, const REAL *x, int64_t width, const int vectors, vec *first, vec *second) {
    vec *const both[2] = {first, second};
    const int32_t shared = c.counts[0], own = c.counts[1];
    gather_run(c.columns, shared, c.weights, x, width, 2, vectors, both);
    gather_run(c.columns + shared, own, c.weights + 2 * shared, x, width, 1, vectors, both);
    gather_run(c.columns + shared + own, c.counts[2], c.weights + 2 * shared + own, x, width, 1, vectors, both + 1);
}

INLINE void prefetch_row(const REAL *row, const int vectors, const int to_write) {
    UNROLL for (int v = 0; v < vectors; v++) __builtin_prefetch(row + v * LANES, to_write, 3);
}

/* Prefetch the rows that a later pair writes to, and for those of x (null: none) that it is the first to use. */
INLINE void prefetch_ahead(Cursor *c, const REAL *written, const REAL *x, int64_t width, const int vectors) {
    const REAL *ahead = written + (c->rows[0] + 2 * ROWS_AHEAD) * width;
    prefetch_row(ahead, vectors, 1);
    prefetch_row(ahead + width, vectors, 1);
    if (!x || !c->not_prefetched) return;
    for (int32_t i = *c->fresh_counts++; i > 0; i--) prefetch_row(x + *c->fresh++ * width, vectors, 0);
    c->not_prefetched--;
}

/* Copy the vector of synapses into order of use. */
static __attribute__((noinline)) void arrange(const Pairs *pairs, const REAL *synapses, REAL *to) {
    for (int64_t e = 0; e < pairs->synapses; e++) to[e] = synapses[pairs->order[e]];
}

/* to[i] = packed[rank of bit i] where bit i of `bits` is set, else 0: the trials that are active, at their places. */
INLINE vec expand(const REAL *packed, uint32_t bits) {
#if defined(__AVX512F__)
    vec x = load_loose(packed);
    return IS_FLOAT ? (vec)_mm512_maskz_expand_ps((__mmask16)bits, (__m512)x)
                    : (vec)_mm512_maskz_expand_pd((__mmask8)bits, (__m512d)x);
#else
    vec x = {0};
    for (int i = 0; i < LANES; i++)
        if (bits >> i & 1) x[i] = *packed++;
    return x;
#endif
}

/* The reverse; writes no more than the packed trials. */
INLINE void compress(REAL *packed, uint32_t bits, vec x) {
#if defined(__AVX512F__)
    const uint32_t count = ((uint32_t)1 << __builtin_popcount(bits)) - 1;
    if (IS_FLOAT)
        _mm512_mask_storeu_ps(packed, (__mmask16)count, _mm512_maskz_compress_ps((__mmask16)bits, (__m512)x));
    else
        _mm512_mask_storeu_pd(packed, (__mmask8)count, _mm512_maskz_compress_pd((__mmask8)bits, (__m512d)x));
#else
    for (int i = 0; i < LANES; i++)
        if (bits >> i & 1) *packed++ = x[i];
#endif
}

/* Where the active trials of up to four vectors lie in the packed inputs of a time step. */
typedef struct {
    uint32_t bits[4];
    int32_t offset[4];
    int any;
} Places;

INLINE Places places(uint64_t active, int first) {
    Places p = {.any = active != 0};
    for (int v = 0; v < 4 && (first + v) * LANES < WIDTH; v++) {
        const int at = (first + v) * LANES;
        p.bits[v] = (uint32_t)(active >> at) & (uint32_t)(((uint64_t)1 << LANES) - 1);
        p.offset[v] = __builtin_popcountll(active & (((uint64_t)1 << at) - 1));
    }
    return p;
}

#endif
