/* Backward pass: the gradient by what the nonlinearity is applied to, `delta`, time step by time step. */
#ifndef LMRNN_BACKWARD_H
#define LMRNN_BACKWARD_H

#include "forward.h"

typedef struct {
    const REAL *later, *after, *slope, *dlogits, *fixation, *readout;
    REAL *delta, *carry, *sums, *fixation_sums, *packed;
    uint64_t active;
    int64_t width, chunk_stride;
    int first;
    REAL leak;
} Back;

INLINE void finish_delta(const Back *s, int64_t n, vec *sum, const int vectors, const int from_state) {
    REAL *packed = s->packed + n * s->chunk_stride;
    packed += __builtin_popcountll(s->active & (((uint64_t)1 << (s->first * LANES)) - 1));
    vec on_fixation = load(s->fixation_sums + n * LANES);
    UNROLL for (int v = 0; v < vectors; v++) {
        const int64_t at = n * s->width + (s->first + v) * LANES;
        const uint32_t bits = bits_of(s->active, s->first + v);
        vec dz = sum[v];
        if (s->carry) {
            vec whole = dz + load(s->carry + at);
            dz = whole * s->leak;
            store(s->carry + at, whole - dz);
        }
        if (from_state == RELU) dz = keep(load(s->after + at) > (vec){0}, dz);
        else if (from_state == TANH) dz *= 1 - load(s->after + at) * load(s->after + at);
        else dz *= load(s->slope + at);
        store(s->delta + at, dz);
        store(s->sums + at, load(s->sums + at) + dz);
        on_fixation += dz * load(s->fixation + (s->first + v) * LANES);
        if (bits) {
            compress(packed, bits, dz);
            packed += __builtin_popcount(bits);
        }
    }
    store(s->fixation_sums + n * LANES, on_fixation);
}

INLINE void backward_panel(const Block *b, const Back *s, const int vectors, const int from_state) {
    const REAL *later = s->later + s->first * LANES, *dlogits = s->dlogits + s->first * LANES;
    Cursor c = begin(&b->p->transpose, b->backward_weights);
    for (int64_t pair = 0; pair < b->p->transpose.pairs; pair++, advance(&c)) {
        const int64_t n0 = c.rows[0], n1 = c.rows[1] >= 0 ? c.rows[1] : n0;
        const REAL *w0 = s->readout + n0 * CLASS_ROWS, *w1 = s->readout + n1 * CLASS_ROWS;
        vec first[4] = {{0}}, second[4] = {{0}};
        for (int k = 0; k < CLASSES; k++)
            UNROLL for (int v = 0; v < vectors; v++) {
                vec x = load(dlogits + k * s->width + v * LANES);
                HOLD(x);
                first[v] += w0[k] * x;
                second[v] += w1[k] * x;
            }
        if (s->later) gather(c, later, s->width, vectors, first, second);
        finish_delta(s, n0, first, vectors, from_state);
        if (n1 != n0) finish_delta(s, n1, second, vectors, from_state);
    }
}

#define BACKWARD(f)                                                   \
    static void backward_##f(const Block *b, const Back *s, int vectors) { \
        if (vectors == 4) backward_panel(b, s, 4, f);                 \
        else if (vectors == 3) backward_panel(b, s, 3, f);            \
        else if (vectors == 2) backward_panel(b, s, 2, f);            \
        else backward_panel(b, s, 1, f);                              \
    }
BACKWARD(RELU)
BACKWARD(TANH)
BACKWARD(SOFTPLUS) /* stands for any: takes the stored slope */

/* Trials that end between t and t + 1 have no delta at t + 1: it counts as 0. */
static void clear_ended(const Block *b, int64_t t) {
    for (int64_t n = 0; n < b->neurons; n++)
        for (int v = b->live[t + 1]; v < b->live[t]; v++)
            store(b->delta + (t + 1) * b->stride + n * b->width + v * LANES, (vec){0});
}

static void backward_step(Block *b, int64_t t, int64_t chunk_start) {
    const Problem *p = b->p;
    const int later = t + 1 < b->steps;
    if (later && b->live[t + 1] < b->live[t]) clear_ended(b, t);
    Back s = {
        .later = later ? b->delta + (t + 1) * b->stride : 0, .after = b->h + (t + 1) * b->stride,
        .slope = b->slope + t * b->stride, .dlogits = b->dlogits + t * CLASS_ROWS * b->width,
        .fixation = b->fixation + t * b->width, .readout = b->readout, .delta = b->delta + t * b->stride,
        .carry = p->leak != 1 ? b->carry : 0, .sums = b->sums, .fixation_sums = b->fixation_sums,
        .packed = b->drive + b->active_start[t] - b->active_start[chunk_start], .active = b->active[t],
        .width = b->width, .chunk_stride = b->chunk_stride, .leak = (REAL)p->leak,
    };
    for (s.first = 0; s.first < b->live[t]; s.first += 4) {
        const int vectors = b->live[t] - s.first < 4 ? b->live[t] - s.first : 4;
        if (p->leak != 1 || p->nonlinearity == SOFTPLUS) backward_SOFTPLUS(b, &s, vectors);
        else if (p->nonlinearity == RELU) backward_RELU(b, &s, vectors);
        else backward_TANH(b, &s, vectors);
    }
}

/* The gradient of the rule columns is delta summed over the time steps that had the rule: add what was summed for
 * the trials whose rule at t is another, and start their sums anew. */
static void flush_rules(Block *b, int64_t t) {
    const Problem *p = b->p;
    REAL *grad = p->grads.rule;
    for (int64_t s = 0, running = trials_at(b, t); s < running; s++) {
        const int32_t k = (int32_t)p->rules[t * p->batch + b->members[s]];
        if (k == b->task[s]) continue;
        for (int64_t n = 0; n < b->neurons; n++) {
            grad[n * p->tasks + b->task[s]] += b->sums[n * b->width + s];
            b->sums[n * b->width + s] = 0;
        }
        b->task[s] = k;
    }
}

static __attribute__((noinline)) void flush_all_rules(const Block *b) {
    REAL *grad = b->p->grads.rule;
    for (int64_t n = 0; n < b->neurons; n++, grad += b->p->tasks)
        for (int64_t s = 0; s < b->size; s++) grad[b->task[s]] += b->sums[n * b->width + s];
}

#endif
