/* Gradients of the weights: dot products over all time steps and trials. */
#ifndef LMRNN_GRADIENTS_H
#define LMRNN_GRADIENTS_H

#include "backward.h"

/* out[r * columns + c] += sum over the listed offsets of d[r][offset] * x[c][offset]. */
INLINE void dots(const REAL *const *d, const REAL *const *x, const int64_t *at_d, const int64_t *at_x, int64_t count,
                 const int rows, const int columns, REAL *out) {
    vec sum[6][8]; /* of which [rows][columns] are used: a variable size would keep them in memory */
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < columns; c++) sum[r][c] = (vec){0};
    for (int64_t i = 0; i < count; i++) {
        vec left[6];
        UNROLL for (int r = 0; r < rows; r++) {
            left[r] = load(d[r] + at_d[i]);
            HOLD(left[r]);
        }
        UNROLL for (int c = 0; c < columns; c++) {
            vec right = load(x[c] + at_x[i]);
            HOLD(right);
            UNROLL for (int r = 0; r < rows; r++) sum[r][c] += left[r] * right;
        }
    }
    UNROLL for (int c = 0; c < columns; c++)
        UNROLL for (int r = 0; r < rows; r++) out[c * rows + r] += horizontal_sum(sum[r][c]);
}

/* Histories are prefetched AHEAD pairs before they are needed: their time steps lie too far apart for the processor to
 * foresee it. AT_A_TIME cache lines at a time: it waits for no more than some twenty at once. */
enum { AHEAD = 1, AT_A_TIME = 12, MOST_QUEUED = 16 };

typedef struct {
    const REAL *of[MOST_QUEUED]; /* the first `left` are still to be prefetched, the last of them from offset `next` on */
    int64_t left, next;
} Queue;

typedef struct {
    const REAL *h, *delta;
    const int64_t *at;
    int64_t count, width;
    Queue *queue;
} Products;

/* Prefetch up to `most` cache lines of the history whose turn it is. */
INLINE void prefetch_queued(const Products *p, int64_t most) {
    Queue *a = p->queue;
    if (!a->left) return;
    const REAL *history = a->of[a->left - 1];
    const int64_t end = a->next + most < p->count ? a->next + most : p->count;
    for (int64_t i = a->next; i < end; i++) __builtin_prefetch(history + p->at[i], 0, 2);
    __asm__ volatile(""); /* gcc drops calls of a function that does nothing but prefetch */
    a->next = end < p->count ? end : 0;
    a->left -= end == p->count;
}

/* Add a history to those to be prefetched; one that was begun, or one too many, is prefetched at once. */
INLINE void queue_history(const Products *p, const REAL *history) {
    Queue *a = p->queue;
    if (a->next || a->left == MOST_QUEUED) prefetch_queued(p, p->count);
    a->of[a->left++] = history;
}

#define DOTS(rows, columns) case columns: dots(d, x, p->at, p->at, p->count, rows, columns, out); break;

static void pair_dots(const Products *p, const REAL *const *d, const REAL *const *x, int columns, REAL *out) {
    switch (columns) { DOTS(2, 1) DOTS(2, 2) DOTS(2, 3) DOTS(2, 4) DOTS(2, 5) DOTS(2, 6) }
}

static void single_dots(const Products *p, const REAL *const *d, const REAL *const *x, int columns, REAL *out) {
    switch (columns) { DOTS(1, 1) DOTS(1, 2) DOTS(1, 3) DOTS(1, 4) DOTS(1, 5) DOTS(1, 6) DOTS(1, 7) DOTS(1, 8) }
}

/* One run of columns, in even portions of at most `most`. */
static REAL *run_dots(const Products *p, int64_t row0, int64_t row1, const int32_t *columns, int count, REAL *out) {
    const int rows = row1 >= 0 ? 2 : 1, most = rows == 2 ? 6 : 8;
    const REAL *d[2] = {p->delta + row0 * p->width, p->delta + (row1 >= 0 ? row1 : row0) * p->width}, *x[8];
    for (int portions = (count + most - 1) / most; portions > 0; portions--) {
        prefetch_queued(p, AT_A_TIME);
        const int now = (count + portions - 1) / portions;
        for (int c = 0; c < now; c++) x[c] = p->h + columns[c] * p->width;
        if (rows == 2) pair_dots(p, d, x, now, out);
        else single_dots(p, d, x, now, out);
        out += rows * now;
        columns += now;
        count -= now;
    }
    return out;
}

/* d loss / d rule[n] and d loss / d W_in[n, 0]: delta[n] summed over the time steps of each rule, and weighted by the
 * fixation channel. A trial's sum goes to its rule where the rule began, so the time steps are taken last to first. */
static void row_sums(const Block *b, int64_t n) {
    REAL sums[WIDTH] __attribute__((aligned(64))) = {0}, *rule = (REAL *)b->p->grads.rule + n * b->p->tasks;
    const REAL *delta = b->delta + n * b->width;
    vec on_even = {0}, on_odd = {0}; /* two sums side by side: a single one would wait for each addition */
    for (int64_t i = b->change_start[b->steps] - 1, end = b->steps; i >= 0;) {
        const int64_t start = b->changes[i].t;
        for (int v = 0; v < b->width / LANES; v++) {
            const REAL *d = delta + start * b->stride + v * LANES, *x = b->fixation + start * b->width + v * LANES;
            vec even = load(sums + v * LANES), odd = {0};
            int64_t left = (end < b->ends[v] ? end : b->ends[v]) - start;
            for (; left > 1; left -= 2, d += 2 * b->stride, x += 2 * b->width) {
                even += load(d);
                on_even += load(d) * load(x);
                odd += load(d + b->stride);
                on_odd += load(d + b->stride) * load(x + b->width);
            }
            if (left > 0) {
                even += load(d);
                on_even += load(d) * load(x);
            }
            store(sums + v * LANES, even + odd);
        }
        for (end = start; i >= 0 && b->changes[i].t == start; i--) {
            rule[b->changes[i].k] += sums[b->changes[i].s];
            sums[b->changes[i].s] = 0;
        }
    }
    ((REAL *)b->p->grads.input)[n * CHANNELS] += horizontal_sum(on_even + on_odd);
}

/* d loss / d readout of AT_ONCE neurons from n on: as many as the registers allow. */
enum { AT_ONCE = VECTOR_BYTES == 64 ? 4 : 2 };

static void readout_rows(const Block *b, int64_t n, int64_t listed) {
    const int64_t N = b->neurons;
    const int64_t *at_dlogits = b->offsets + b->steps * (b->width / LANES);
    REAL *grad = b->p->grads.readout;
    const REAL *d[6], *h[AT_ONCE];
    for (int r = 0; r < AT_ONCE; r++) h[r] = b->h + b->stride + (n + r < N ? n + r : n) * b->width;
    for (int first = 0; first < CLASSES; first += 6) {
        REAL out[6 * AT_ONCE] = {0};
        for (int c = 0; c < 6; c++) d[c] = b->dlogits + (first + c) * b->width;
        dots(d, h, at_dlogits, b->offsets, listed, 6, AT_ONCE, out);
        for (int r = 0; r < AT_ONCE && n + r < N; r++)
            for (int c = 0; c < 6 && first + c < CLASSES; c++) grad[(first + c) * N + n + r] += out[r * 6 + c];
    }
}

static void readout_bias_gradient(const Block *b, int64_t listed) {
    const int64_t *at_dlogits = b->offsets + b->steps * (b->width / LANES);
    REAL *bias = b->p->grads.readout_bias;
    for (int c = 0; c < CLASSES; c++) {
        vec sum = {0};
        for (int64_t i = 0; i < listed; i++) sum += load(b->dlogits + c * b->width + at_dlogits[i]);
        bias[c] += horizontal_sum(sum);
    }
}

/* Queue what a pair is the first to use: its own deltas, the states of its fresh columns; returns what follows. */
static const int32_t *queue_pair(const Block *b, const Products *p, int64_t pair, const int32_t *fresh) {
    const Pairs *pairs = &b->p->rows;
    for (int r = 0; r < 2 && pairs->rows[2 * pair + r] >= 0; r++)
        queue_history(p, b->delta + pairs->rows[2 * pair + r] * b->width);
    for (int32_t i = pairs->fresh_counts[pair]; i > 0; i--) queue_history(p, b->h + *fresh++ * b->width);
    return fresh;
}

/* All gradients that are sums over time steps and trials, pair of rows by pair of rows, so that a neuron's states and
 * deltas are used for all of them while they are in the cache. The recurrent ones stay in order of use; the first time
 * step counts for them only where there is an initial state. */
static __attribute__((noinline)) void weight_gradients(const Block *b, int64_t listed) {
    const int64_t skip = b->p->initial_state ? 0 : b->live[0];
    Queue queue = {.left = 0};
    const Products p = {b->h, b->delta, b->offsets + skip, listed - skip, b->width, &queue};
    Cursor c = begin(&b->p->rows, 0);
    REAL *out = b->weight_gradient;
    const int64_t pairs = b->p->rows.pairs;
    const int32_t *fresh = b->p->rows.fresh;
    int64_t queued = large(b->p) ? 0 : pairs; /* a small network's history is in the cache anyway */
    for (int64_t pair = 0; pair < pairs; pair++, advance(&c)) {
        for (; queued < pairs && queued <= pair + AHEAD; queued++) fresh = queue_pair(b, &p, queued, fresh);
        const int32_t *columns = c.columns;
        out = run_dots(&p, c.rows[0], c.rows[1], columns, c.counts[0], out);
        out = run_dots(&p, c.rows[0], -1, columns + c.counts[0], c.counts[1], out);
        out = run_dots(&p, c.rows[1], -1, columns + c.counts[0] + c.counts[1], c.counts[2], out);
        row_sums(b, c.rows[0]);
        if (c.rows[1] >= 0) row_sums(b, c.rows[1]);
        if (c.rows[0] % AT_ONCE == 0) readout_rows(b, c.rows[0], listed);
    }
    readout_bias_gradient(b, listed);
}

#endif
